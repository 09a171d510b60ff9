"""Health of processes: each rule at its limit, and that only changes are told."""

from pathlib import Path

import pytest
from host_tools import PAGE_BYTES, SECOND_NS, Facts, Machine
from hypothesis import given
from hypothesis import strategies as st

from rnts.host_health import (
    BLOCKED_S,
    CALMED_FAULTS_PER_S,
    HUNG_S,
    STARVED_S,
    SWAPPING_FAULTS_PER_S,
    Signs,
    judge,
)
from rnts.host_process import IDLE_BEATS
from rnts.model import Health

HEALTHY, DEGRADED, CRITICAL = Health.HEALTHY, Health.DEGRADED, Health.CRITICAL
SWAPPED = {"swapped_bytes": 1 << 30, "major_faults_per_s": SWAPPING_FAULTS_PER_S}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with one process, init."""
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        (Signs("R", 0.0, 99.0, None, 1 << 40), (HEALTHY, "")),
        (Signs("S", 1e6), (HEALTHY, "")),
        (Signs("Z"), (DEGRADED, "zombie")),
        (Signs("T"), (DEGRADED, "stopped")),
        (Signs("t"), (DEGRADED, "traced")),
        (Signs("D", BLOCKED_S - 0.1), (HEALTHY, "")),
        (Signs("D", BLOCKED_S), (DEGRADED, "blocked")),
        (Signs("D", HUNG_S), (CRITICAL, "hung")),
        (Signs("R", STARVED_S - 0.1), (HEALTHY, "")),
        (Signs("R", STARVED_S), (DEGRADED, "starved")),
        (Signs("S", major_faults_per_s=1e6), (HEALTHY, "")),
        (Signs("S", swapped_bytes=1 << 30, major_faults_per_s=99.0), (HEALTHY, "")),
        (Signs("S", swapped_bytes=1 << 30, major_faults_per_s=100.0), (DEGRADED, "swapping")),
        (Signs("S", resident_bytes=949, memory_limit_bytes=1000), (HEALTHY, "")),
        (Signs("S", resident_bytes=950, memory_limit_bytes=1000), (CRITICAL, "memory")),
        (Signs("S", descriptors=94, descriptors_max=100), (HEALTHY, "")),
        (Signs("S", descriptors=95, descriptors_max=100), (CRITICAL, "descriptors")),
        (Signs("T", resident_bytes=950, memory_limit_bytes=1000), (CRITICAL, "memory")),
    ],
)
def test_rules_at_their_limits(signs: Signs, expected: tuple[Health, str]) -> None:
    """Each rule begins exactly where it says; the worst one wins, and says why."""
    health, cause, reason = judge(signs)
    assert (health, cause) == expected
    assert bool(reason) == (health is not HEALTHY)


def test_swapping_does_not_flutter() -> None:
    """Once it swaps, a process is well again only when its faults have calmed."""
    signs = Signs("S", swapped_bytes=1 << 30, major_faults_per_s=CALMED_FAULTS_PER_S)
    assert judge(signs)[0] is HEALTHY
    assert judge(signs, "swapping")[0] is DEGRADED
    signs.major_faults_per_s -= 1
    assert judge(signs, "swapping")[0] is HEALTHY


@given(
    state=st.sampled_from("RSDZTtXI"),
    state_s=st.floats(0, 1e6),
    faults=st.floats(0, 1e6),
    sizes=st.lists(st.none() | st.integers(0, 1 << 50), min_size=4, max_size=4),
)
def test_every_process_can_be_judged(
    state: str, state_s: float, faults: float, sizes: list[int | None]
) -> None:
    """No signs lead to anything but one of three states; one that is not well has a reason."""
    swapped, limit, descriptors, most = sizes
    signs = Signs(state, state_s, faults, swapped, 1 << 20, limit, descriptors, most)
    health, cause, reason = judge(signs)
    assert (health is HEALTHY) == (cause == "") == (reason == "")
    assert health in (HEALTHY, DEGRADED, CRITICAL)


def test_changes_are_told_once_and_states_with_each_record(machine: Machine) -> None:
    """A change of health is reported with its reason; each record carries the state."""
    machine.put(5, Facts())
    machine.beat()
    machine.put(5, Facts(state="T"), cpu_ns=1)
    machine.beat(2 * IDLE_BEATS)
    states = {metrics["health"] for name, metrics in machine.notes.records if name == "work[5]"}
    assert states == {HEALTHY, DEGRADED}
    machine.put(5, Facts(), cpu_ns=2)
    machine.beat()
    assert machine.notes.healths == [
        ("work[5]", DEGRADED, "stopped by a signal"),
        ("work[5]", HEALTHY, ""),
    ]


def test_ill_from_the_first_look(machine: Machine) -> None:
    """A process that was a zombie before we came is told as one."""
    machine.put(5, Facts(state="Z"))
    machine.beat()
    assert [(name, state) for name, state, _ in machine.notes.healths] == [("work[5]", DEGRADED)]
    assert "memory_bytes" not in (machine.notes.take("work[5]") or {"memory_bytes": 0})


def test_a_first_thread_that_ended_makes_no_zombie(machine: Machine) -> None:
    """A process lives on in its other threads when its first one has ended."""
    machine.put(5, Facts(state="Z", threads=3, tasks={5: (0, 0, 1)}))
    machine.beat()
    assert machine.notes.healths == []


@pytest.mark.parametrize("has_clocks", [True, False])
def test_blocked_for_long_is_degraded_then_critical(tmp_path: Path, has_clocks: bool) -> None:
    """A process that does not come back from the kernel gets worse with time, not with looks."""
    machine = Machine(tmp_path, has_clocks=has_clocks)
    machine.put(5, Facts())
    machine.beat()
    machine.put(5, Facts(state="D", schedstat=(9, 0, 2)), cpu_ns=1)
    machine.beat()
    for wait_s, expected in ((BLOCKED_S - 1, None), (1, DEGRADED), (HUNG_S, CRITICAL)):
        machine.now_ns += int(wait_s * SECOND_NS)
        machine.beat(IDLE_BEATS, beat_ns=1)
        assert (machine.notes.healths[-1][1] if machine.notes.healths else None) == expected
    machine.put(5, Facts(schedstat=(19, 0, 3)), cpu_ns=2)
    machine.beat()
    assert machine.notes.healths[-1] == ("work[5]", HEALTHY, "")


def test_a_process_that_gets_no_cpu_is_starved(machine: Machine) -> None:
    """Ready, but its clock stands still: one thread waits, and after a while that is degraded."""
    machine.put(5, Facts())
    machine.beat()
    machine.put(5, Facts(state="R"))
    machine.beat(IDLE_BEATS)
    metrics = machine.notes.take("work[5]")
    assert metrics is not None and metrics["queue_depth"] == 1
    assert machine.notes.healths == []
    machine.beat(IDLE_BEATS, beat_ns=SECOND_NS)
    assert machine.notes.healths[-1][:2] == ("work[5]", DEGRADED)


def test_swapping_hard_is_degraded(machine: Machine) -> None:
    """Page faults that read a disk, by a process that has memory swapped out."""
    machine.put(5, Facts())
    machine.beat()
    machine.put(5, Facts(major_faults=50, swapped_kb=2048), cpu_ns=1)
    machine.beat()
    name, state, reason = machine.notes.healths[-1]
    assert (name, state) == ("work[5]", DEGRADED)
    assert reason == "swaps: 200 major faults/s, 2 MiB swapped out"
    machine.beat(IDLE_BEATS)
    assert machine.notes.healths[-1] == ("work[5]", HEALTHY, "")


def test_faults_without_swap_are_reading(machine: Machine) -> None:
    """A program that starts reads itself from the disk; that is no swapping."""
    machine.put(5, Facts())
    machine.beat()
    machine.put(5, Facts(major_faults=5000), cpu_ns=1)
    machine.beat()
    (machine.proc.root / "5/status").write_text("Uid:\t0\t0\n")  # a kernel without swapping
    machine.proc.put(1, Facts(b"init"))
    machine.cpu_ns[5] = 2
    machine.beat()
    assert machine.notes.healths == []


def test_near_its_limits_is_critical(machine: Machine) -> None:
    """The memory limit of the control group, and the number of open files."""
    group = machine.proc.groups / "small"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(str(100 * PAGE_BYTES))
    machine.put(5, Facts(cgroup="0::/small\n", resident_pages=10))
    machine.put(6, Facts(b"open", files_max="4", sockets=(1, 2, 3)))
    machine.sweep()
    machine.put(5, Facts(cgroup="0::/small\n", resident_pages=97), cpu_ns=1)
    machine.beat(IDLE_BEATS)
    assert sorted(machine.notes.healths) == [
        ("open[6]", CRITICAL, "has 4 of at most 4 files open"),
        ("work[5]", CRITICAL, "holds 97 % of its memory limit of 0 MiB"),
    ]
