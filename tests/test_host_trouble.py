"""The host source in trouble: processes that vanish, forbid or confuse, and late passes."""

import threading
from pathlib import Path

import pytest
from host_tools import BEAT_NS, Facts, Machine, NoGpu, Notes

from rnts.events import Activated, Deactivated
from rnts.host import LOAD_MAX, HostReport, HostSource


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with one process, init."""
    return Machine(tmp_path)


def test_a_number_used_again_is_another_neuron(machine: Machine) -> None:
    """Where the start time changed the old process has ended, and a new one comes."""
    machine.put(5, Facts(start_ticks=100))
    machine.beat()
    machine.put(5, Facts(start_ticks=200), cpu_ns=3)
    report = machine.beat()
    assert (report.exited, report.skipped["vanished"]) == (1, 1)
    machine.beat()
    ids = [entry["neuron_id"] for entry in machine.notes.names if entry["name"] == "work[5]"]
    assert len(set(ids)) == 2
    kinds = [type(event) for _, event in machine.notes.events]
    assert kinds == [Deactivated, Activated]


def test_a_process_that_vanishes_midway_is_counted(machine: Machine) -> None:
    """Gone between two reads: a known process has ended, an unknown one was never there."""
    machine.put(5, Facts())
    machine.beat()
    machine.cpu_ns[5] = 1
    (machine.proc.root / "5/stat").unlink()
    machine.put(6, Facts())
    (machine.proc.root / "6/status").unlink()
    report = machine.beat()
    assert report.skipped == {"vanished": 2}
    assert (report.exited, report.processes) == (1, 1)
    assert [type(event) for _, event in machine.notes.events] == [Deactivated]
    assert not any(entry["name"] == "work[6]" for entry in machine.notes.names)


def test_a_forbidden_process_is_counted(machine: Machine) -> None:
    """A process that cannot be looked at is skipped in each pass and harms no other."""
    machine.put(5, Facts())
    machine.put(6, Facts(b"open"))
    machine.reader.refuses = {"5/stat": PermissionError()}
    for _ in range(2):
        assert machine.beat().skipped == {"forbidden": 1}
    assert machine.source.report.skipped == {"forbidden": 2}
    assert machine.notes.take("open[6]") and not machine.notes.take("work[5]")


def test_forbidden_counters_are_absent_and_asked_for_once(machine: Machine) -> None:
    """I/O counters of others are withheld; another program of theirs is asked anew."""
    machine.reader.refuses = {"5/io": PermissionError()}
    machine.put(5, Facts(b"sh"))
    machine.beat()
    for cpu_ns in range(1, 5):
        machine.put(5, Facts(b"sh"), cpu_ns)
        report = machine.beat()
    assert (report.withheld, report.skipped) == (1, {})
    assert machine.reader.reads.count("5/io") == 1
    assert "messages_sent" not in (machine.notes.take("sh[5]") or {"messages_sent": 0})
    machine.reader.refuses = {}
    for cpu_ns in range(5, 7):
        machine.put(5, Facts(b"ls", io=(0, 0, 0, 6)), cpu_ns)
        report = machine.beat()
    assert report.withheld == 0
    assert machine.reader.reads.count("5/io") > 1


@pytest.mark.parametrize("name", ["stat", "io", "schedstat"])
def test_malformed_files_are_counted(machine: Machine, name: str) -> None:
    """Content that the kernel does not document skips the process, and is counted."""
    machine.put(5, Facts())
    (machine.proc.root / f"5/{name}").write_bytes(b"x (y) z")
    assert machine.beat().skipped == {"malformed": 1}
    machine.put(5, Facts())
    assert machine.beat().skipped == {}


def test_other_failures_are_counted(machine: Machine) -> None:
    """Too many open files, or a `/proc` that cannot even be listed, end nothing."""
    machine.put(5, Facts())
    machine.reader.refuses = {"5/stat": OSError(24, "too many open files")}
    assert machine.beat().skipped == {"failed": 1}
    machine.reader.refuses = {"": OSError(5, "input/output error")}
    report = machine.beat()
    assert (report.skipped, report.processes) == ({"failed": 1}, 1)
    machine.reader.refuses = {}
    assert machine.beat().processes == 2


class Beats(threading.Event):
    """A stop flag that lets the fake time pass which `run` wants to wait."""

    def __init__(self, machine: Machine, late_ns: list[int]) -> None:
        super().__init__()
        self.machine, self.late_ns = machine, late_ns
        self.times_ns: list[int] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Wake after the timeout, and as much later as this beat is to be late."""
        assert timeout is not None
        self.machine.now_ns += round(timeout * 1e9) + self.late_ns.pop(0)
        self.times_ns.append(self.machine.now_ns)
        if not self.late_ns:
            self.set()
        return self.is_set()


def test_beats_keep_to_their_grid(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A late beat does not shift the next ones; a missed one is left out and counted."""
    monkeypatch.setattr(machine.source, "sample", lambda: HostReport(cost_ns=0))
    start_ns = machine.now_ns
    stop = Beats(machine, [0, BEAT_NS // 2, 0, 3 * BEAT_NS + 1, 0, 0])
    machine.source.run(stop)
    beats = [(time_ns - start_ns) / BEAT_NS for time_ns in stop.times_ns]
    assert beats == pytest.approx([1, 2.5, 3, 7, 8, 9])
    assert machine.source.report.beats_skipped == 3


def test_dear_passes_come_less_often(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the machine, passes take no more than their share of a core."""
    cost_ns = BEAT_NS  # ten times what is allowed
    monkeypatch.setattr(machine.source, "sample", lambda: HostReport(cost_ns=cost_ns))
    start_ns = machine.now_ns
    stop = Beats(machine, [0] * 4)
    machine.source.run(stop)
    passed_ns = machine.now_ns - start_ns
    assert 4 * cost_ns <= LOAD_MAX * passed_ns * 1.001
    assert machine.source.report.beats_skipped == 4 * 9


def test_run_stops_at_once(machine: Machine) -> None:
    """A flag that is set before the start ends the loop without a pass."""
    stop = threading.Event()
    stop.set()
    machine.source.run(stop)
    assert machine.source.report.passes == 0


@pytest.mark.parametrize("interval_s", [0.0, -1.0, float("nan")])
def test_an_interval_must_be_above_zero(interval_s: float) -> None:
    """Misuse raises, with the rule and the value."""
    with pytest.raises(ValueError, match=r"interval_s must be above 0, not "):
        HostSource(Notes(), interval_s=interval_s, gpu=NoGpu())  # type: ignore[arg-type]
