"""What `rnts tune` plans for a machine: the same each time, and what that machine can take."""

from pathlib import Path

import pytest
from tune_machines import DATA, MACHINES, container, laptop, plan_of, server, vm_two
from tune_tools import FULL, World, limits

from rnts.cpu_list import parse_cpus
from rnts.tuning.calls import Coalescing
from rnts.tuning.cores import choose
from rnts.tuning.machine import Machine
from rnts.tuning.plan import Asked, Part
from rnts.tuning.planning import ALL, make_plan


def part(machine: Machine, name: str, **others: object) -> Part:
    """One part of a plan."""
    (found,) = make_plan(machine, Asked((name,), **others))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("name", MACHINES)
def test_plans_are_those_that_are_kept(name: str, tmp_path: Path) -> None:
    """A machine has the plan that a person has read; `tests/tune_machines.py` writes them anew."""
    assert plan_of(MACHINES[name](tmp_path)) == (DATA / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", MACHINES)
def test_the_same_machine_has_the_same_plan(name: str, tmp_path: Path) -> None:
    """A plan depends on the description alone, and planning changes nothing."""
    world = MACHINES[name](tmp_path)
    before, machine = world.picture(), world.machine()

    assert make_plan(machine, Asked(ALL)) == make_plan(world.machine(), Asked(ALL))
    assert machine == world.machine()
    assert world.picture() == before


@pytest.mark.parametrize("cores", [3, 4, 8, 12])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("nodes", [1, 2])
def test_agent_and_aggregator_share_no_core(
    cores: int, threads: int, nodes: int, tmp_path: Path
) -> None:
    """Each has a whole core, on one node where that has two, and core 0 is left to the kernel."""
    world = World(tmp_path)
    world.processors(cores, threads, nodes)
    machine = world.machine()
    chosen = {role: parse_cpus(text) for role, text in choose(machine).cpus.items()}
    by_number = {cpu.number: cpu for cpu in machine.cpus}

    for role in ("agent", "aggregate"):
        assert len({by_number[cpu].siblings for cpu in chosen[role]}) == 1
        assert len(chosen[role]) == threads
        assert 0 not in chosen[role] or (cores, nodes) == (3, 2)  # no other node has two
    assert not chosen["agent"] & chosen["aggregate"]
    assert len({by_number[cpu].node for cpu in chosen["agent"] | chosen["aggregate"]}) == 1
    own = chosen["alert"] - chosen["agent"] - chosen["aggregate"]
    assert bool(own) == (cores >= 8)


def test_cores_that_serve_interrupts_are_left_to_them(tmp_path: Path) -> None:
    """The quiet cores are taken, wherever they are."""
    world = World(tmp_path)
    world.processors(6)
    world.interrupts([(30, "eth0", "1-3", dict.fromkeys((1, 2, 3), 10**6))])

    assert choose(world.machine()).cpus == {"agent": "4", "aggregate": "5", "alert": "4-5"}


def test_a_choice_stays_while_it_can_be_had(tmp_path: Path) -> None:
    """Cores that were chosen once are not exchanged; those that are no longer ours are."""
    wish = {"cores.agent": "5", "cores.aggregate": "6", "cores.alert": "7"}
    world = World(tmp_path)
    world.processors(8)
    assert list(choose(world.machine(**wish)).cpus.values()) == ["5", "6", "7"]

    world.processors(8, allowed="0-5")
    assert list(choose(world.machine(**wish)).cpus.values()) == ["1", "2", "1-2"]


def test_a_quota_below_three_processors_pins_nothing(tmp_path: Path) -> None:
    """Many cores and little time on them: pinned threads could not go where that is."""
    world = World(tmp_path)
    world.processors(16)
    world.put("/proc/self/cgroup", "4:cpu,cpuacct:/box\n0::/")
    world.put("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "150000")
    world.put("/sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000")
    found = part(world.machine(), "pin-cores")

    assert world.machine().quota == 1.5
    assert not [step for step in found.steps if step.kind == "cpus"]
    assert "quota of 1.5" in found.notes[0]


def test_nothing_is_made_worse_than_it_is(tmp_path: Path) -> None:
    """A thread with shorter slices, a better niceness or a larger buffer keeps them."""
    world = vm_two(tmp_path)
    world.calls.set_nice(300, -15)
    world.calls.set_slice_ns(300, 100_000)
    world.put("/proc/sys/net/core/rmem_max", str(64 << 20))
    plan = make_plan(world.machine(), Asked(("priority", "socket-buffers")))
    open_places = {step.place for each in plan for step in each.open_steps}

    assert not [place for place in open_places if "/300:" in place]
    assert "/proc/sys/net/core/rmem_max" not in open_places


def test_other_users_processes_are_refused(tmp_path: Path) -> None:
    """Without rights nobody else's threads are pinned, and the command for root is told."""
    world = laptop(tmp_path)
    world.process(600, "python -m rnts aggregate", threads=1, user=7)
    found = part(world.machine(), "pin-cores")
    (refused,) = found.refused

    assert found.state == "refused"
    assert refused.refusal == "process 600 belongs to user 7"
    assert refused.command.startswith("sudo taskset -cp ")


def test_parts_that_a_machine_lacks_are_named_with_the_reason(tmp_path: Path) -> None:
    """A governor that is not offered, a card that is not there: absent, and what there is."""
    machine = server(tmp_path).machine()

    assert "performance, schedutil" in part(machine, "governor", governor="turbo").absent
    assert "eth0, eth1" in part(machine, "irq-coalescing", interfaces=("eth7",)).absent
    assert part(machine, "irq-coalescing", interfaces=("eth1",)).open_steps[0].place == "eth1"


def test_interrupts_that_cannot_be_moved_are_told(tmp_path: Path) -> None:
    """What the kernel keeps where it is, is no refusal."""
    world = server(tmp_path)
    world.files.locate("/proc/irq/61/smp_affinity_list").chmod(0o444)
    found = part(world.machine(), "irq-affinity")

    assert found.notes == ("the kernel keeps interrupts 61 where they are",)
    assert found.state == "to do"
    assert "61" not in [step.place for step in found.steps]


@pytest.mark.parametrize(
    ("lock_bytes", "state", "notes"),
    [(0, "refused", 0), (1 << 20, "to do", 1), (1 << 40, "to do", 1)],
)
def test_memory_is_locked_within_the_limit(
    lock_bytes: int, state: str, notes: int, tmp_path: Path
) -> None:
    """RLIMIT_MEMLOCK of the agent that runs decides, unless who asks may lock all."""
    world = laptop(tmp_path)
    world.put("/proc/500/limits", limits(lock_bytes))
    found = part(world.machine(), "lock-memory")

    assert (found.state, len(found.notes)) == (state, notes)


def test_niceness_in_a_control_group_is_told(tmp_path: Path) -> None:
    """Where a service has a weight of its own, niceness counts within it only."""
    world = vm_two(tmp_path)
    world.put("/proc/300/cgroup", "0::/system.slice/rnts-agent.service")
    world.put("/sys/fs/cgroup/system.slice/rnts-agent.service/cpu.weight", "100")
    found = part(world.machine(), "priority")

    assert "rnts-agent.service CPUWeight" in found.advice[0].command
    assert "group_nice" not in [step.kind for step in found.steps if ":" in step.place]


def test_a_session_that_holds_other_programs_is_left(tmp_path: Path) -> None:
    """An agent started from a shell shares its session; its niceness would raise the shell's."""
    world = vm_two(tmp_path)
    path = world.files.locate("/proc/300/stat")
    path.write_text(path.read_text().replace("S 1 300 300", "S 1 300 250"))
    found = part(world.machine(), "priority")

    assert "shares its session" in found.notes[0]
    assert "300:3000" not in [step.place for step in found.steps]


def test_advice_is_given_where_it_applies(tmp_path: Path) -> None:
    """Swapping and a slow clock are for a person to decide on; neither is a refusal."""
    world = laptop(tmp_path)
    world.put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm")
    machine = world.machine()

    for name, command in (("swappiness", "vm.swappiness=10"), ("time-source", "echo tsc")):
        found = part(machine, name)
        assert command in found.advice[0].command
        assert (found.state, found.refused) == ("advice", ())
    world.put("/sys/devices/system/clocksource/clocksource0/available_clocksource", "acpi_pm")
    assert "offers no other" in part(world.machine(), "time-source").advice[0].text
    world.put("/proc/sys/vm/swappiness", "5")
    assert part(world.machine(), "swappiness").state == "in place"


def test_what_is_asked_for_survives_being_written_down() -> None:
    """The journal remembers parts, governor, microseconds and cards."""
    asked = Asked(("governor",), "powersave", 7, ("eth0", "eth1"))

    assert Asked.of(asked.document()) == asked


def test_a_container_is_told_who_may(tmp_path: Path) -> None:
    """Root of a user namespace may not, nor where files are mounted read-only."""
    world = container(tmp_path)
    assert "mounted read-only" in part(world.machine(), "socket-buffers").refused[0].refusal
    world.put("/proc/self/mounts", "proc /proc proc rw 0 0")
    assert "user namespace" in part(world.machine(), "socket-buffers").refused[0].refusal
    world.card("eth0", Coalescing(1, False))
    assert "CAP_NET_ADMIN" in part(world.machine(), "irq-coalescing").refused[0].refusal
    assert World(tmp_path, capabilities=FULL).rights[1] == FULL
