"""Plans which processors threads of RNTS have, and how soon they get them."""

from collections.abc import Iterator
from typing import NamedTuple

from rnts.cpu_list import format_cpus, parse_cpus
from rnts.tuning.cores import Choice
from rnts.tuning.machine import Machine, Process, Thread
from rnts.tuning.permission import file_refusal, process_refusal, write_command
from rnts.tuning.plan import Advice, Kind, Part, Step
from rnts.wish import CORES, GROUP_NICE, NICE, SLICE_NS

NICE_WANTED = -10  # weighs as nine ordinary threads, which the agent's share never needs
SLICE_NS_WANTED = 200_000  # the agent's pass; the kernel takes 0.1 to 100 ms
_LATER = "processes that start later take it from there"


class Target(NamedTuple):
    """A thread of a process of RNTS."""

    process: Process
    thread: Thread

    @property
    def place(self) -> str:
        """As `Places` has it: numbers are used again, start times are not."""
        process, thread = self
        return f"{process_place(process)}/{thread.number}:{thread.start}"


def process_place(process: Process) -> str:
    """The same for a process as a whole."""
    return f"{process.number}:{process.start}"


def targets(machine: Machine) -> Iterator[Target]:
    """All threads of RNTS that run."""
    for process in machine.processes:
        yield from (Target(process, thread) for thread in process.threads)


def pin_cores(machine: Machine, choice: Choice) -> Part:
    """Agent, aggregator and alert on cores of their own, or precedence where there are too few."""
    if not choice.cpus:
        free = priority(machine)
        return free._replace(name="pin-cores", notes=(choice.why, *free.notes))
    steps = [wish_step(machine, CORES + role, cpus, _LATER) for role, cpus in choice.cpus.items()]
    for target in targets(machine):
        process, thread = target
        wanted = choice.cpus[process.role]
        command = f"sudo taskset -cp {wanted} {thread.number}"
        why = f"a thread of the {process.role}"
        refusal = process_refusal(machine, process)
        former = format_cpus(parse_cpus(thread.cpus))
        steps.append(Step("cpus", target.place, former, wanted, why, command, refusal))
    return Part("pin-cores", tuple(steps), (choice.why, *_nothing_runs(machine)))


def priority(machine: Machine) -> Part:
    """Threads of RNTS are put on a processor soon when they wake."""
    notes, advice = list(_nothing_runs(machine)), []
    for process in machine.processes:
        who = f"{process.role} {process.number}"
        if process.cpu_group:
            unit = process.cpu_group.rpartition("/")[2]
            text = f"the niceness of {who} counts within its control group {unit} only"
            command = f"sudo systemctl set-property --runtime {unit} CPUWeight=1000"
            advice.append(Advice(text, command))
        elif process.group_nice is not None and not leads_session(process):
            notes.append(
                f"{who} shares its session with the program that started it, and its niceness "
                "counts among these only: `rnts up`, a service and setsid start it alone"
            )
    return Part("priority", tuple(precedence_steps(machine)), tuple(notes), tuple(advice))


def leads_session(process: Process) -> bool:
    """Whether a session began with this process: then nobody else's programs are in it."""
    return process.session == process.number


def precedence_steps(machine: Machine) -> Iterator[Step]:
    """Shorter slices for everybody; a better niceness for who may."""
    may = machine.rights.nice_min <= NICE_WANTED
    refusal = "" if may else "a better niceness takes root, or CAP_SYS_NICE"
    nice, slice_ns = str(NICE_WANTED), str(SLICE_NS_WANTED)
    yield wish_step(machine, SLICE_NS, slice_ns, _LATER)
    if may:
        yield wish_step(machine, NICE, nice, _LATER)
        yield wish_step(machine, GROUP_NICE, nice, f"{_LATER}, if they lead their session")
    for process in machine.processes:
        if process.group_nice is not None and leads_session(process):
            yield Step(
                "group_nice",
                process_place(process),
                str(process.group_nice),
                str(min(process.group_nice, NICE_WANTED)),
                f"the {process.role} before ordinary sessions",
                f"echo {nice} | sudo tee /proc/{process.number}/autogroup",
                process_refusal(machine, process) or refusal,
                is_optional=True,
            )
    for target in targets(machine):
        process, thread = target
        other = process_refusal(machine, process)
        why = f"a thread of the {process.role}"
        if thread.slice_ns is not None:
            former, wanted = str(thread.slice_ns), str(min(thread.slice_ns, SLICE_NS_WANTED))
            text = f"{why}: short slices"
            yield Step("slice_ns", target.place, former, wanted, text, "", other)
        yield Step(
            "nice",
            target.place,
            str(thread.nice),
            str(min(thread.nice, NICE_WANTED)),
            f"{why}: before ordinary programs",
            f"sudo renice -n {nice} -p {thread.number}",
            other or refusal,
            is_optional=True,
        )
    if not may and not machine.processes:
        place, command = "threads that start", "sudo setcap cap_sys_nice+ep, or LimitNICE=-10"
        yield Step("nice", place, "0", nice, "before ordinary programs", command, refusal, True)


def _nothing_runs(machine: Machine) -> tuple[str, ...]:
    if machine.processes:
        return ()
    return ("no agent, aggregator or alert process runs: what starts later takes it from the file",)


def wish_step(machine: Machine, name: str, wanted: str, why: str) -> Step:
    """Asks for something of the processes that start from now on."""
    kind: Kind = "wish"
    return Step(kind, name, machine.wish.get(name, ""), wanted, why)


def irq_affinity(machine: Machine, choice: Choice) -> Part:
    """Interrupts away from the cores that are pinned to."""
    name = "irq-affinity"
    if not choice.cpus:
        return Part(
            name, notes=("no core is kept for RNTS, so interrupts may stay where they are",)
        )
    if not machine.interrupts:
        return Part(name, absent="interrupts cannot be seen here")
    others = {cpu.number for cpu in machine.cpus} - choice.all
    steps, kept = [], []
    for interrupt in machine.interrupts:
        cpus = parse_cpus(interrupt.cpus)
        if not cpus & choice.all:
            continue
        if not interrupt.is_movable:
            kept.append(str(interrupt.number))
            continue
        wanted = format_cpus(cpus & others or others)
        path = f"/proc/irq/{interrupt.number}/smp_affinity_list"
        steps.append(
            Step(
                "interrupt",
                str(interrupt.number),
                format_cpus(cpus),
                wanted,
                f"{interrupt.name or 'an interrupt'} off the cores of RNTS",
                write_command(path, wanted),
                file_refusal(machine, path),
                # Older kernels tell only when asked that they keep one where it is.
                is_optional=machine.rights.is_root,
            )
        )
    notes = [f"the kernel keeps interrupts {', '.join(kept)} where they are"] if kept else []
    advice = []
    if machine.has_irqbalance:
        cores = format_cpus(choice.all)
        advice.append(
            Advice(
                "irqbalance runs, and moves them back",
                f"echo IRQBALANCE_BANNED_CPULIST={cores} | sudo tee -a /etc/default/irqbalance "
                "&& sudo systemctl restart irqbalance",
            )
        )
    return Part(name, tuple(steps), tuple(notes), tuple(advice))
