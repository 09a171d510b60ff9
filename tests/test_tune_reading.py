"""How a machine is read: lists, groups, interrupts, processes; what is missing is no error."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tune_machines import laptop, server
from tune_tools import World

from rnts import scheduling
from rnts.cpu_list import format_cpus, parse_cpus
from rnts.errors import UsageError
from rnts.tuning.calls import LinuxCalls
from rnts.tuning.files import Files
from rnts.tuning.places import Places
from rnts.tuning.reading import read_machine
from rnts.tuning.running import read_thread, role_of


@given(st.frozensets(st.integers(0, 300)))
def test_lists_of_processors_round_trip(cpus: frozenset[int]) -> None:
    """What is written is read again as the same set."""
    assert parse_cpus(format_cpus(cpus)) == cpus


def test_lists_of_processors_are_written_as_linux_does() -> None:
    """Runs are joined, in order."""
    assert format_cpus([3, 1, 0, 2, 8]) == "0-3,8"
    assert parse_cpus(" 0-1,\t3\n") == {0, 1, 3}


@pytest.mark.parametrize("text", ["a", "3-1", "-1", "1-", "0-99999", "1;2"])
def test_what_is_no_list_is_refused(text: str) -> None:
    """With the text, and what to write."""
    with pytest.raises(UsageError, match="0-3,8"):
        parse_cpus(text)


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("python -m rnts agent --no-host", "agent"),
        ("/x/.venv/bin/python /x/.venv/bin/rnts -q aggregate", "aggregate"),
        ("python -P -m rnts --quiet agent", "agent"),
        ("/usr/bin/rnts alert --rules a.yaml", "alert"),
        ("/usr/bin/rnts alert", "alert"),
        ("rnts alert list", ""),
        ("rnts -v up", ""),
        ("rnts", ""),
        ("vim agent.py rnts agent", ""),
        ("grep -r agent rnts agent", ""),
        ("python -m rnts.perf.victim agent", ""),
    ],
)
def test_processes_are_known_by_their_command_line(command: str, role: str) -> None:
    """Only those that run for long, however they were started."""
    assert role_of(command.split()) == role


def test_only_processes_of_the_same_state_are_found(tmp_path: Path) -> None:
    """Who works apart, and whose environment cannot be read, is nobody of ours."""
    world = laptop(tmp_path)
    world.process(501, "python -m rnts agent", RNTS_STATE_DIR="/elsewhere")
    world.process(502, "python -m rnts aggregate")
    world.put("/proc/502/environ", "")
    world.process(503, "python -m rnts aggregate", RNTS_STATE_DIR="", RNTS_RUNTIME_DIR="/run/x")

    assert [process.number for process in world.machine().processes] == [500]
    found = read_machine(world.files, world.calls, {}, "/run/x/state").processes
    assert [process.number for process in found] == [503]


def test_threads_that_end_meanwhile_are_left_out(tmp_path: Path) -> None:
    """A thread whose files are gone is none."""
    world = laptop(tmp_path)
    world.files.locate("/proc/500/task/501/stat").unlink()
    (process,) = world.machine().processes

    assert [thread.number for thread in process.threads] == [500, 502]


def test_interrupts_are_counted_by_processor(tmp_path: Path) -> None:
    """Those of devices, with who may have them; timers are none."""
    found = {one.number: one for one in server(tmp_path).machine().interrupts}

    assert len(found) == 9
    assert (found[60].name, found[60].cpus, found[60].counts[0]) == ("eth0-rx-0", "0", 5_000_000)
    assert [number for number, one in found.items() if not one.is_movable] == [67]


def test_the_nearest_group_decides_which_processors_are_left(tmp_path: Path) -> None:
    """Version 2, then version 1, each with the groups above."""
    world = World(tmp_path)
    world.processors(8)
    world.put("/proc/self/cgroup", "3:cpuset:/box\n0::/a/b")
    world.put("/sys/fs/cgroup/cpuset/box/cpuset.effective_cpus", "0-3")
    assert world.machine().allowed == "0-3"
    world.put("/sys/fs/cgroup/a/cpuset.cpus.effective", "2-5")
    assert world.machine().allowed == "2-5"
    world.put("/sys/fs/cgroup/a/b/cpuset.cpus.effective", "4")
    assert world.machine().allowed == "4"


def test_an_empty_tree_is_a_machine_of_which_nothing_is_known(tmp_path: Path) -> None:
    """No file is needed; nothing raises."""
    machine = read_machine(Files(tmp_path / "p", tmp_path / "s"), LinuxCalls(), {}, "/x")

    assert (machine.cpus, machine.allowed, machine.interfaces, machine.processes) == (
        (),
        "",
        (),
        (),
    )
    assert not machine.rights.is_root


def test_this_machine_can_be_read() -> None:
    """The real one has processors, a boot, and we may use what affinity says."""
    machine = read_machine(Files(), LinuxCalls(), {}, "/nowhere")

    assert parse_cpus(machine.allowed) <= {cpu.number for cpu in machine.cpus}
    assert parse_cpus(machine.allowed) <= os.sched_getaffinity(0)
    assert machine.boot and machine.rights.user == os.geteuid()


def test_a_card_that_collects_nothing_says_so() -> None:
    """The loopback has no interrupts: the kernel refuses, and that is an OSError."""
    with pytest.raises(OSError):
        LinuxCalls().coalescing("lo")


def test_slices_that_nobody_may_ask_for_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sandbox that knows no such call threads are still found; one that has ended is not."""

    def refuse(error: int) -> None:
        def call(*arguments: object) -> None:
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(scheduling, "_call", call)

    folder = f"/proc/{os.getpid()}/task/{os.getpid()}"
    for error in (errno.ENOSYS, errno.EPERM):
        refuse(error)
        thread = read_thread(Files(), LinuxCalls(), folder)
        assert thread is not None and thread.slice_ns is None
    refuse(errno.ESRCH)
    assert read_thread(Files(), LinuxCalls(), folder) is None


def test_affinity_and_slices_of_our_own_threads_can_be_changed(tmp_path: Path) -> None:
    """For real: what is written is read again, and the former value comes back."""
    pid = os.getpid()
    start = next(
        line.rpartition(")")[2].split()[19]
        for line in [Path(f"/proc/{pid}/task/{pid}/stat").read_text()]
    )
    process_start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    place = f"{pid}:{process_start}/{pid}:{start}"
    places = Places(Files(), LinuxCalls(), tmp_path / "tune.json")
    former = places.read("cpus", place)
    assert former is not None
    one = format_cpus([min(parse_cpus(former))])
    try:
        places.write("cpus", place, one)
        assert places.read("cpus", place) == one
    finally:
        places.write("cpus", place, former)
    assert places.read("cpus", place) == former

    before_ns = scheduling.slice_ns(pid)
    if before_ns is not None:  # the kernel has slices of one's own
        try:
            places.write("slice_ns", place, "300000")
            assert places.read("slice_ns", place) in ("300000", str(before_ns))
        finally:
            scheduling.set_slice_ns(pid, 0)
        assert scheduling.slice_ns(pid) == before_ns
    assert places.read("cpus", f"{pid}:{process_start}/{pid}:1") is None
    with pytest.raises(ProcessLookupError):
        places.write("cpus", f"{pid}:{process_start}/{pid}:1", one)
