"""The host source on a machine of files: metrics, events, and what it reads to know them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from host_tools import (
    BEAT_NS,
    KERNEL_THREAD,
    PAGE_BYTES,
    SECOND_NS,
    TICK_NS,
    Facts,
    Machine,
)

from rnts.events import Activated, Deactivated
from rnts.host_process import IDLE_BEATS
from rnts.host_threads import PASSES_BETWEEN_MAX
from rnts.model import METRIC_NAMES, Health


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with one process, init."""
    return Machine(tmp_path)


def test_first_pass_is_quiet(machine: Machine) -> None:
    """Processes that were there before are announced and recorded, but have not just started."""
    machine.put(5, Facts(b"nginx", uid=0))
    report = machine.beat()
    assert (report.processes, report.recorded, report.started) == (2, 2, 0)
    assert machine.notes.events == []
    named = {entry["name"]: entry for entry in machine.notes.names}
    assert named["nginx[5]"]["group"] == "nginx"
    assert named["nginx[5]"]["role"] == "root"
    assert named["nginx[5]"]["host"] == os.uname().nodename
    assert named["nginx[5]"]["neuron_id"] != named["init[1]"]["neuron_id"]


def test_start_and_end_are_events(machine: Machine) -> None:
    """A process that comes is activated, one that goes is deactivated and forgotten."""
    machine.beat()
    machine.put(5, Facts(b"sh", cmdline=b"/bin/sh\0run.sh\0", uid=0))
    assert machine.beat().started == 1
    machine.remove(5)
    report = machine.beat()
    assert (report.exited, report.processes) == (1, 1)
    assert machine.notes.events == [
        ("sh[5]", Activated(1.0, "/bin/sh run.sh")),
        ("sh[5]", Deactivated("ended")),
    ]
    assert machine.notes.forgotten == ["sh[5]"]


@pytest.mark.parametrize(
    ("wait_status", "reason"),
    [(0, "ended"), (3 << 8, "ended with status 3"), (9, "killed by SIGKILL"), (63, "signal 63")],
)
def test_a_zombie_tells_how_it_ended(machine: Machine, wait_status: int, reason: str) -> None:
    """Exit status or signal are in the reason, if the process was seen as a zombie."""
    machine.put(5, Facts())
    machine.beat()
    machine.put(5, Facts(state="Z", wait_status=wait_status), cpu_ns=1)
    machine.beat()
    machine.remove(5)
    machine.beat()
    (_, event) = machine.notes.events[-1]
    assert isinstance(event, Deactivated) and event.reason.endswith(reason)


def test_all_metrics_of_a_busy_process(machine: Machine) -> None:
    """Each metric has the value of its source, over the interval where it is a rate."""
    facts = Facts(
        minor_faults=100,
        major_faults=10,
        io=(1000, 100, 50, 5),
        schedstat=(5_000, 700, 40),
        resident_pages=25,
    )
    machine.put(5, facts, cpu_ns=5_000)
    machine.beat(2)
    first = machine.notes.take("work[5]")
    assert first == {
        "health": Health.HEALTHY,
        "memory_bytes": 25 * PAGE_BYTES,
        "activation_count": 40,
        "messages_sent": 5,
        "messages_received": 50,
        "bytes_transmitted": 1100,
    }
    run_ns, wait_ns = BEAT_NS // 5, BEAT_NS // 10
    facts = replace(
        facts,
        minor_faults=190,
        major_faults=20,
        io=(2000, 200, 60, 8),
        schedstat=(5_000 + run_ns, 700 + wait_ns, 44),
        resident_pages=30,
    )
    machine.put(5, facts, cpu_ns=5_000 + run_ns)
    metrics: dict[str, object] = {}
    for cpu_ns in (5_000 + run_ns, 5_001 + run_ns):  # the I/O counters come every second beat
        machine.put(5, facts, cpu_ns)
        machine.beat()
        metrics = (machine.notes.take("work[5]") or {}) | metrics
    assert metrics == {
        "health": Health.HEALTHY,
        "cpu_usage_percent": pytest.approx(20.0),
        "cache_hit_rate": 0.9,
        "processing_time_ns": run_ns // 4,
        "queue_depth": 0,
        "noise_ratio": pytest.approx(1 / 3),
        "memory_bytes": 30 * PAGE_BYTES,
        "activation_count": 44,
        "messages_sent": 8,
        "messages_received": 60,
        "bytes_transmitted": 2200,
        "connection_count": 0,
    }
    assert metrics.keys() - {"health"} <= set(METRIC_NAMES)


@pytest.mark.parametrize(
    ("wait_share", "threads", "expected"),
    [(0.4, 1, 0), (0.6, 1, 1), (3.2, 4, 3), (3.2, 1, 1), (0.5, 1, 1)],
)
def test_queue_depth_is_the_mean_number_of_waiting_threads(
    machine: Machine, wait_share: float, threads: int, expected: int
) -> None:
    """Waiting time through time that passed, and never more threads than there are."""
    machine.put(5, Facts(threads=threads, tasks={5: (0, 0, 1)}))
    machine.beat()
    counters = (1, int(wait_share * BEAT_NS), 2)
    machine.put(5, Facts(threads=threads, schedstat=counters, tasks={5: counters}), cpu_ns=1)
    machine.beat()
    metrics = machine.notes.take("work[5]")
    assert metrics is not None and metrics["queue_depth"] == expected


def test_counters_that_fall_give_no_rates(machine: Machine) -> None:
    """A counter that fell is passed on as it stands; what would need its growth is absent."""
    before = Facts(minor_faults=9, major_faults=9, io=(9, 9, 9, 9), schedstat=(9, 9, 9))
    machine.put(5, before, cpu_ns=9_000)
    machine.beat()
    machine.put(5, Facts(io=(1, 1, 1, 1), schedstat=(5, 5, 5)), cpu_ns=8_000)
    machine.beat()
    metrics = machine.notes.take("work[5]")
    assert metrics is not None and metrics["activation_count"] == 5
    absent = {"cpu_usage_percent", "cache_hit_rate", "processing_time_ns", "noise_ratio"}
    assert not absent & metrics.keys()


def test_an_empty_interval_gives_no_rates(machine: Machine) -> None:
    """Two looks at the same time know what changed, but not how fast."""
    machine.put(5, Facts())
    machine.beat()
    machine.put(5, Facts(schedstat=(1, 1, 2)), cpu_ns=1)
    machine.beat(beat_ns=0)
    metrics = machine.notes.take("work[5]")
    assert metrics is not None
    assert not {"cpu_usage_percent", "queue_depth"} & metrics.keys()


def test_one_long_activation_counts_as_one(machine: Machine) -> None:
    """A process that was never taken off its CPU is still in its first activation."""
    machine.put(5, Facts(schedstat=(0, 0, 7)))
    machine.beat()
    machine.put(5, Facts(schedstat=(BEAT_NS, 0, 7)), cpu_ns=BEAT_NS)
    machine.beat()
    metrics = machine.notes.take("work[5]")
    assert metrics is not None and metrics["processing_time_ns"] == BEAT_NS
    assert metrics["noise_ratio"] == 0.0


def test_kernel_threads_have_neither_memory_nor_calls(machine: Machine) -> None:
    """What a kernel thread does not have is absent, not zero."""
    machine.put(5, Facts(b"kswapd0", flags=KERNEL_THREAD))
    machine.beat()
    machine.put(5, Facts(b"kswapd0", flags=KERNEL_THREAD, schedstat=(9, 0, 2)), cpu_ns=9)
    machine.beat()
    metrics = machine.notes.take("kswapd0[5]")
    assert metrics is not None and metrics["activation_count"] == 2
    assert not {"memory_bytes", "messages_sent", "connection_count"} & metrics.keys()


def test_an_idle_process_reports_every_fourth_beat_and_is_not_read(machine: Machine) -> None:
    """While its clock stands still only its resident size is read, and that now and then."""
    machine.put(5, Facts())
    machine.put(8, Facts(b"kthreadd", flags=KERNEL_THREAD))
    machine.sweep()
    machine.notes.records.clear()
    machine.reader.reads.clear()
    machine.beat(3 * IDLE_BEATS)
    assert machine.reader.reads == [name for name in machine.reader.reads if name.endswith("stat")]
    assert machine.reader.reads.count("5/stat") == 3
    assert "8/stat" not in machine.reader.reads
    for name in ("work[5]", "kthreadd[8]"):
        records = [metrics for recorded, metrics in machine.notes.records if recorded == name]
        assert len(records) == 3
        assert all(metrics["cpu_usage_percent"] == 0.0 for metrics in records)
        assert all(metrics["queue_depth"] == 0 for metrics in records)


def test_memory_of_an_idle_process_is_true(machine: Machine) -> None:
    """Others can take the memory of a process that sleeps."""
    machine.put(5, Facts(resident_pages=100))
    machine.beat()
    machine.put(5, Facts(resident_pages=7))
    machine.beat(IDLE_BEATS)
    metrics = machine.notes.take("work[5]")
    assert metrics is not None and metrics["memory_bytes"] == 7 * PAGE_BYTES


def test_the_last_deeds_before_sleep_are_told(machine: Machine) -> None:
    """What the last busy look left out is read when the process has come to rest."""
    tasks = dict.fromkeys(range(5, 105), (0, 0, 1))
    machine.put(5, Facts(threads=100, tasks=tasks))
    machine.beat()
    for cpu_ns in range(1, 7):
        tasks = dict.fromkeys(range(5, 105), (cpu_ns, 0, 1 + cpu_ns))
        facts = Facts(threads=100, tasks=tasks, io=(0, 0, 0, cpu_ns), schedstat=tasks[5])
        machine.put(5, facts, cpu_ns)
        machine.beat()
    records = [metrics for name, metrics in machine.notes.records if name == "work[5]"]
    assert sum("activation_count" in metrics for metrics in records) == 2
    machine.notes.records.clear()
    machine.beat(IDLE_BEATS)
    metrics = machine.notes.take("work[5]")
    assert metrics is not None
    assert (metrics["activation_count"], metrics["messages_sent"]) == (700, 6)


def test_many_threads_are_looked_at_less_often(machine: Machine) -> None:
    """A process with thousands of threads is read every eighth pass, the clock every time."""
    tasks = {5: (0, 0, 1), 6: (0, 0, 1)}
    machine.put(5, Facts(threads=5000, tasks=tasks))
    machine.beat()
    machine.reader.reads.clear()
    for cpu_ns in range(1, 2 * PASSES_BETWEEN_MAX + 1):
        machine.put(5, Facts(threads=5000, tasks=tasks), cpu_ns)
        machine.beat()
    assert machine.reader.reads.count("5/task/6/schedstat") == 2


def test_another_program_takes_another_name(machine: Machine) -> None:
    """A process that starts another program keeps its id and takes that program's name."""
    machine.put(5, Facts(b"sh"))
    machine.beat()
    machine.put(5, Facts(b"ls"), cpu_ns=9)
    machine.beat()
    names = [entry for entry in machine.notes.names if entry["name"] != "init[1]"]
    assert [entry["name"] for entry in names] == ["sh[5]", "ls[5]"]
    assert names[0]["neuron_id"] == names[1]["neuron_id"]
    assert machine.notes.take("ls[5]")


def test_without_clocks_all_are_read_in_each_pass(tmp_path: Path) -> None:
    """A `/proc` of another system serves too: CPU time in ticks, and nobody is passed over."""
    machine = Machine(tmp_path, has_clocks=False)
    machine.put(5, Facts(cpu_ticks=10))
    machine.beat()
    machine.put(5, Facts(cpu_ticks=12))
    machine.beat()
    metrics = machine.notes.take("work[5]")
    assert metrics is not None
    assert metrics["cpu_usage_percent"] == pytest.approx(100 * 2 * TICK_NS / BEAT_NS)
    machine.beat()
    metrics = machine.notes.take("work[5]")
    assert metrics is not None and metrics["cpu_usage_percent"] == 0.0


@pytest.mark.parametrize("kept_max", [0, 3, 100])
def test_kept_files_change_nothing(tmp_path: Path, kept_max: int) -> None:
    """However many files may be kept open, the same is recorded, and all are closed in the end."""
    machine = Machine(tmp_path, kept_max=kept_max)
    for cpu_ns in range(6):
        for pid in (5, 6):
            machine.put(pid, Facts(schedstat=(cpu_ns, 0, 10 + cpu_ns)), cpu_ns)
        machine.beat()
    assert machine.reader.kept == min(kept_max, 6)
    for pid in (5, 6):
        metrics = machine.notes.take(f"work[{pid}]")
        assert metrics is not None and metrics["activation_count"] == 15
    machine.beat(IDLE_BEATS)
    assert machine.reader.kept == 0
    machine.source.close()


def test_the_report_adds_up(machine: Machine) -> None:
    """What passes report one by one is what the source reports altogether."""
    for pid in range(5, 15):
        machine.put(pid, Facts())
    passes = [machine.beat(), machine.beat(beat_ns=SECOND_NS)]
    machine.remove(7)
    machine.put(15, Facts())
    passes.append(machine.beat())
    total = machine.source.report
    for name in ("passes", "recorded", "started", "exited"):
        assert getattr(total, name) == sum(getattr(report, name) for report in passes)
    assert total.recorded == len(machine.notes.records)
    assert total.processes == passes[-1].processes == 11
    assert total.cost_ns > 0
