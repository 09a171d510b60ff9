"""The agent's rates follow the load between two marks, and lanes are told of them."""

from pathlib import Path

import pytest
from sampling_tools import Bench

from rnts import layout
from rnts.collector import Collector
from rnts.commands._findings import of_processes
from rnts.commands._history import History
from rnts.commands._system import processes_line
from rnts.commands._vitals import vital_signs
from rnts.lane_rates import LaneRates
from rnts.sampling import HIGH, LOW, RATE_MIN, Backlog, Load, Rates, SamplingOptions

WEIGHTS = (1.0, 0.8, 0.1)
CALM, BETWEEN, FLOOD = Load(0.01, 0.0, 0.0), Load(0.3, 0.1, 0.1), Load(0.5, 0.3, 0.0)
SECOND = 1_000_000_000


def adaptive() -> Rates:
    """Rates that follow the load, from where everything is kept."""
    return Rates(SamplingOptions(1.0, True, WEIGHTS), 5)


def test_everything_is_kept_unless_somebody_asks() -> None:
    """By default the switch is off, whatever the load."""
    rates = Rates(SamplingOptions(), 5)
    for _ in range(50):
        rates.step(FLOOD)
    assert rates.words(0) == ([0, 0, 0], 0)
    assert rates.document() is None


def test_a_fixed_rate_is_the_base_rate_times_the_weight() -> None:
    """Without `adaptive` load changes nothing."""
    rates = Rates(SamplingOptions(0.5, False, WEIGHTS), 5)
    rates.step(FLOOD)
    assert rates.by_class == pytest.approx((0.5, 0.4, 0.05))
    words, switch = rates.words(3 * SECOND)
    assert [word & 0xFFFFFFFF for word in words] == [2**31, round(0.4 * 2**32), round(0.05 * 2**32)]
    assert switch & 63 == 3 and switch >> 6 in range(1, 64)


@pytest.mark.parametrize("place", range(3))
def test_any_load_above_its_high_mark_lowers_the_rates(place: int) -> None:
    """CPU, lanes and backlog each count; what is least important gives way first."""
    load = list(CALM)
    load[place] = HIGH[place]
    rates = adaptive()
    rates.step(Load(*load))
    assert rates.by_class == pytest.approx((1.0, 1.0, 0.7))
    for _ in range(100):
        rates.step(Load(*load))
    assert rates.by_class == pytest.approx((RATE_MIN,) * 3)


def test_full_lanes_are_felt_at_once() -> None:
    """Far beyond the mark one step leaves even the most important at three tenths."""
    rates = adaptive()
    rates.step(Load(0.0, 0.9, 0.0))
    assert rates.by_class == pytest.approx((0.3, 0.24, 0.03))


def test_between_the_marks_nothing_changes_and_calm_has_to_last() -> None:
    """Rates rise only after half a second below all low marks, up to everything."""
    rates = adaptive()
    for _ in range(12):
        rates.step(FLOOD)
    before = rates.by_class
    for _ in range(50):
        rates.step(BETWEEN)
    assert rates.by_class == before
    for _ in range(4):
        rates.step(CALM)
    assert rates.by_class == before
    rates.step(BETWEEN)
    for _ in range(4):
        rates.step(CALM)
    assert rates.by_class == before  # what came between has ended the calm
    for _ in range(100):
        rates.step(CALM)
    assert rates.by_class == (1.0, 1.0, 1.0)
    assert all(low < high for low, high in zip(LOW, HIGH, strict=True))


def test_an_aggregator_that_is_away_is_no_load() -> None:
    """What waits while no frame is taken for a second, and is then sent, leaves rates alone; what
    grows although frames are taken lowers them."""
    backlog = Backlog()
    assert backlog.share(256, 1) == HIGH.backlog
    away = [backlog.share(256 + 100 * step, 1) for step in range(1, 30)]
    assert [share > 0 for share in away] == [True] * 9 + [False] * 20
    assert backlog.is_stuck
    assert [backlog.share(3_100 - 1_000 * step, 2 + step) for step in range(3)] == [0, 0, 0]
    assert backlog.share(1_100 + 256, 5) == HIGH.backlog
    assert backlog.share(0, 6) == 0
    assert backlog.share(256, 7) == HIGH.backlog
    assert not backlog.is_stuck
    for _ in range(30):
        backlog.share(0, 7)
    assert not backlog.is_stuck  # nothing waits


def test_each_time_that_sampling_begins_is_another_generation() -> None:
    """What programs knew before is of no use: meanwhile everything was kept."""
    rates = adaptive()
    seen = []
    for _ in range(3):
        rates.step(Load(0.0, 0.9, 0.0))
        seen.append(rates.words(0)[1] >> 6)
        for _ in range(100):
            rates.step(CALM)
        assert rates.words(0)[1] == 0
    assert len(set(seen)) == 3 and 0 not in seen


def test_lanes_are_told_and_have_memory_first(runtime_folder: Path) -> None:
    """A lane has the words and the table's memory before it may leave anything out; no lane does
    without that memory. How full lanes were is known once."""
    bench = Bench(runtime_folder, "python", lane_slots=64)
    bench.taker.collector.close()
    collector = Collector(lambda: [runtime_folder])
    collector.discover()
    lanes = LaneRates(collector)
    for i in range(32):
        bench.emit(i)
    collector.drain(bench.taker.room, 0, 64)
    assert (lanes.fill(), lanes.fill()) == (0.5, 0.0)

    lanes.tell([1, 2, 3], 65)
    assert [bench.word(layout.LANE_RATES + 8 * i) for i in range(3)] == [1, 2, 3]
    assert bench.word(layout.LANE_SWITCH) == 65
    lanes.tell([0, 0, 0], 0)
    assert bench.word(layout.LANE_SWITCH) == 0

    for owner in collector.owners:
        owner.reserve_table = lambda: False  # type: ignore[method-assign]
    lanes.tell([1, 2, 3], 65)
    assert (bench.word(layout.LANE_SWITCH), lanes.without_memory) == (0, 1)
    collector.close()
    bench.producer.close(unlink=True)


def test_who_looks_sees_what_is_left_out() -> None:
    """The line of processes says the least share; leaving out what is critical is a finding."""
    rates = adaptive()
    rates.step(Load(0.0, 0.9, 0.0))
    said = {**(rates.document() or {}), "lanes_without_memory": 2}
    agent = {"host": "h", "pid": 7, "state": "connected", "sampling": said}
    document = {"time_ns": 1, "agents": [agent], "aggregator": {}}
    assert "keeps 3 %" in processes_line(document, 200).plain
    words = [finding.text for finding in of_processes(document)]
    assert any("on the critical path it keeps 30 % of the samples" in text for text in words)
    assert any("no memory to sample in 2 lanes" in text for text in words)


def test_a_percentile_of_samples_says_where_that_of_all_lies() -> None:
    """Effective samples and the interval stand behind it; an interval that is unknown does not."""
    sampling = {"effective_samples": 1234.5, "intervals": {"99": [1e6, 1.5e6]}}
    metric = {"percentiles": {"50": 1e5, "99": 1.2e6}, "relative_error": 0.0054}
    for ends, expected in (([1e6, 1.5e6], ", p99 from 1.00 ms to 1.50 ms"), (None, "")):
        sampling["intervals"] = {"99": ends}  # type: ignore[dict-item]
        document = {"metrics": {"processing_time_ns": {**metric, "sampling": sampling}}}
        lines = [line.plain for line in vital_signs(document, 200, History(), 3)]
        [said] = [line for line in lines if line.startswith("processing")]
        assert f"1.23k effective samples{expected}" in said
        assert ("from" in said) == bool(expected)
