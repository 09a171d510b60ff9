"""Made-up machines for `rnts tune`: trees of /proc and /sys, and calls that change only these."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from rnts.cpu_list import format_cpus
from rnts.tuning.calls import Coalescing
from rnts.tuning.doing import Tuner, Undone
from rnts.tuning.files import Files
from rnts.tuning.journal import NAME, Journal
from rnts.tuning.machine import Machine
from rnts.tuning.plan import Asked, Part
from rnts.tuning.planning import ALL, make_plan
from rnts.tuning.reading import read_machine
from rnts.tuning.session import Session

BASE_SLICE_NS = 2_800_000
FULL, NONE = "000001ffffffffff", "0000000000000000"
WHOLE = "         0          0 4294967295"


class KernelFiles(Files):
    """Files that take what is written to them as the kernel does."""

    def write(self, path: str, value: str) -> None:
        """A value replaces the former one; some files show it among others."""
        place = self.locate(path)
        text = place.read_text()
        if path.endswith("/autogroup"):
            value = re.sub(r"nice .*", f"nice {value}", text.strip())
        elif "[" in text:
            words = text.replace("[", "").replace("]", "").split()
            value = " ".join(f"[{word}]" if word == value else word for word in words)
        place.write_text(f"{value}\n")


class Calls:
    """What cannot be asked by files; `refuse` raises for what this machine does not take."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.slices: dict[int, int] = {}
        self.cards: dict[str, Coalescing] = {}
        self.refuse: Callable[[str], None] = lambda what: None

    def slice_ns(self, thread: int) -> int | None:
        """All threads have slices that are as long, unless they asked for others."""
        return self.slices.get(thread, BASE_SLICE_NS)

    def set_slice_ns(self, thread: int, wanted_ns: int) -> None:
        """0 is the length of all."""
        self.refuse("slice_ns")
        self.slices[thread] = wanted_ns or BASE_SLICE_NS

    def set_nice(self, thread: int, nice: int) -> None:
        """As the kernel shows it in `stat`."""
        self.refuse("nice")
        path = self._of(thread) / "stat"
        columns = path.read_text().split(" ")
        columns[18] = str(nice)
        path.write_text(" ".join(columns))

    def set_cpus(self, thread: int, cpus: frozenset[int]) -> None:
        """As the kernel shows it in `status`."""
        self.refuse("cpus")
        path = self._of(thread) / "status"
        line = f"Cpus_allowed_list:\t{format_cpus(cpus)}"
        path.write_text(re.sub(r"Cpus_allowed_list:.*", line, path.read_text()))

    def coalescing(self, interface: str) -> Coalescing:
        """Only of cards that this machine has."""
        if interface not in self.cards:
            raise OSError(95, "Operation not supported")
        return self.cards[interface]

    def set_coalescing(self, interface: str, wanted: Coalescing) -> None:
        """Cards of this machine count in fours."""
        self.refuse("coalescing")
        self.cards[interface] = wanted._replace(usecs=wanted.usecs // 4 * 4)

    def _of(self, thread: int) -> Path:
        found = [*self.files.proc.glob(f"*/task/{thread}")]
        if not found:
            raise ProcessLookupError(thread)
        return found[0]


class World:
    """A machine in a folder; what it lacks is absent from its files."""

    def __init__(self, folder: Path, user: int = 0, capabilities: str = FULL) -> None:
        self.folder = folder
        self.files = KernelFiles(folder / "proc", folder / "sys")
        self.calls = Calls(self.files)
        self.state = folder / "state"
        self.cpus: list[int] = []
        self.put("/proc/sys/kernel/random/boot_id", "boot-1")
        self.put("/proc/self/uid_map", WHOLE)
        self.put("/proc/self/cgroup", "0::/")
        self.put("/proc/meminfo", "MemTotal: 8388608 kB\nSwapTotal:       0 kB")
        self.put("/proc/self/limits", limits(8 << 20))
        self.rights = user, capabilities

    def put(self, path: str, text: str) -> None:
        """A file of the kernel's."""
        place = self.files.locate(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{text}\n")

    def processors(self, cores: int, threads: int = 1, nodes: int = 1, allowed: str = "") -> None:
        """Numbered as Linux does: first one of each core, then their siblings."""
        self.cpus = list(range(cores * threads))
        listed = format_cpus(self.cpus)
        self.put("/sys/devices/system/cpu/online", listed)
        by_node: dict[int, list[int]] = {}
        for cpu in self.cpus:
            core = cpu % cores
            node = core * nodes // cores
            by_node.setdefault(node, []).append(cpu)
            topology = f"/sys/devices/system/cpu/cpu{cpu}/topology"
            siblings = format_cpus(core + cores * thread for thread in range(threads))
            self.put(f"{topology}/thread_siblings_list", siblings)
            self.put(f"{topology}/physical_package_id", str(node))
        for node, cpus in by_node.items():
            self.put(f"/sys/devices/system/node/node{node}/cpulist", format_cpus(cpus))
        user, capabilities = self.rights
        self.put(
            "/proc/self/status",
            f"Name:\trnts\nUid:\t{user}\t{user}\t{user}\t{user}\n"
            f"CapEff:\t{capabilities}\nCpus_allowed_list:\t{allowed or listed}",
        )

    def interrupts(self, lines: Iterable[tuple[int, str, str, dict[int, int]]]) -> None:
        """Number, name, affinity and counts by processor; and those that each processor has."""
        text = [" " * 6 + " ".join(f"CPU{cpu}" for cpu in self.cpus)]
        for number, name, cpus, counts in lines:
            row = " ".join(str(counts.get(cpu, 0)) for cpu in self.cpus)
            text.append(f"{number:>4}: {row} PCI-MSI {number}-edge {name}")
            self.put(f"/proc/irq/{number}/smp_affinity_list", cpus)
        text.append(" LOC: " + " ".join("9" for _ in self.cpus) + " Local timer interrupts")
        self.put("/proc/interrupts", "\n".join(text))

    def governors(self, governor: str, choices: str) -> None:
        """A policy for each processor."""
        for cpu in self.cpus:
            folder = f"/sys/devices/system/cpu/cpufreq/policy{cpu}"
            self.put(f"{folder}/scaling_governor", governor)
            self.put(f"{folder}/scaling_available_governors", choices)

    def card(self, name: str, coalescing: Coalescing | None, state: str = "up") -> None:
        """A network card; None collects no interrupts."""
        self.put(f"/sys/class/net/{name}/operstate", state)
        self.put(f"/sys/class/net/{name}/device/vendor", "0x8086")
        if coalescing:
            self.calls.cards[name] = coalescing

    def process(
        self, number: int, command: str, threads: int = 2, user: int = 0, **others: str
    ) -> None:
        """A process with threads, each with a number of its own."""
        folder = f"/proc/{number}"
        environment = {"RNTS_STATE_DIR": str(self.state), **others}
        words = "\0".join(f"{key}={value}" for key, value in environment.items())
        self.put(f"{folder}/environ", words)
        self.put(f"{folder}/cmdline", "\0".join(command.split()))
        self.put(f"{folder}/comm", command.split()[0])
        self.put(f"{folder}/cgroup", "0::/")
        self.put(f"{folder}/limits", limits(8 << 20))
        if self.files.text("/proc/sys/kernel/sched_autogroup_enabled") == "1":
            self.put(f"{folder}/autogroup", f"/autogroup-{number} nice 0")
        listed = format_cpus(self.cpus)
        for path in (folder, *(f"{folder}/task/{number + one}" for one in range(threads))):
            # From column 3 on: the state, the session as 6, niceness as 19, the start as 22.
            stat = [Path(path).name, "(rnts)", "S", "1", str(number), str(number)]
            stat += ["0"] * 12 + ["0", "4", "0", str(number * 10)] + ["0"] * 20
            self.put(f"{path}/stat", " ".join(stat))
            self.put(
                f"{path}/status", f"Uid:\t{user}\t{user}\t{user}\nCpus_allowed_list:\t{listed}"
            )

    def machine(self, **wish: str) -> Machine:
        """As it is described."""
        return read_machine(self.files, self.calls, wish, str(self.state))

    def session(self) -> Session:
        """What a call of `rnts tune` sees of it."""
        return Session(self.state, self.files, self.calls)

    def picture(self) -> dict[str, str]:
        """All that could be changed, so that two moments can be compared."""
        found = {
            str(path.relative_to(self.folder)): path.read_text()
            for top in ("proc", "sys")
            for path in sorted((self.folder / top).rglob("*"))
            if path.is_file()
        }
        wish = self.state / "tune.json"
        found["wish"] = wish.read_text() if wish.exists() else ""
        slices = {k: v for k, v in self.calls.slices.items() if v != BASE_SLICE_NS}
        return {**found, "slices": str(slices), "cards": str(self.calls.cards)}


def limits(lock_bytes: int) -> str:
    """A `limits` file."""
    return (
        "Limit                     Soft Limit           Hard Limit           Units\n"
        f"Max locked memory         {lock_bytes}              {lock_bytes}              bytes\n"
        "Max nice priority         0                    0"
    )


def golden(parts: Iterable[Part]) -> str:
    """A plan with all that is in it, a line for each thing."""
    lines = []
    for part in parts:
        lines.append(f"{part.name}: {part.state}")
        lines += [f"  absent: {part.absent}"] if part.absent else []
        lines += [f"  note: {note}" for note in part.notes]
        lines += [f"  advice: {text} [{command}]" for text, command in part.advice]
        for step in part.steps:
            sign = "!" if step.refusal else "?" if step.is_optional else ">"
            sign = sign if step.is_open else "="
            line = f"  {sign} {step.kind} {step.place}: {step.former!r} -> {step.wanted!r}"
            lines.append(f"{line} ({step.why})")
            lines += [f"      {step.refusal} [{step.command}]"] if sign == "!" else []
    return "\n".join(lines) + "\n"


def run(world: World, parts: tuple[str, ...] = ALL) -> None:
    """Do these parts of the plan."""
    journal = Journal(world.state / NAME)
    tuner = Tuner(world.session().places, journal, world.machine().boot)
    for part in make_plan(world.machine(), Asked(parts)):
        assert tuner.do(part).did not in ("failed", "to do")


def revert(world: World) -> list[Undone]:
    """Undo what is noted, as a new process would."""
    journal = Journal(world.state / NAME)
    tuner = Tuner(world.session().places, journal, world.machine().boot)
    return tuner.undo(journal.newest_first)
