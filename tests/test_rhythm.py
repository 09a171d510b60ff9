"""The agent's rhythm: heartbeats when windows can close, sleep that fits what there is to do."""

import pytest

from rnts import rhythm
from rnts.rhythm import WATERMARK_SLACK_NS, Rhythm

MS, SECOND = 1_000_000, 1_000_000_000
NOW = 10_000 * SECOND


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was slept, in ns; the clock stands 100 us after NOW."""
    times: list[int] = []
    monkeypatch.setattr(rhythm.time, "monotonic_ns", lambda: NOW + 100_000)
    monkeypatch.setattr(rhythm.time, "sleep", lambda s: times.append(round(s * 1e9)))
    return times


def waits(
    made: Rhythm, took: int = 0, holds: bool = False, after_ns: int = 0
) -> list[tuple[int, int, bool]]:
    """How a pass that began so long after NOW lets the collector wait."""
    seen: list[tuple[int, int, bool]] = []

    def wait(step_ns: int, timeout_ns: int, with_bells: bool) -> bool:
        seen.append((step_ns, timeout_ns, with_bells))
        return False

    made.rest(NOW + after_ns, took, holds, wait)
    return seen


def test_passes_keep_to_a_rhythm(slept: list[int]) -> None:
    """Under load the next pass begins 1 ms after this one began, if this one was short."""
    assert waits(Rhythm(SECOND), took=5) == []
    assert slept == [MS - 100_000]


@pytest.mark.parametrize(("took_us", "pass_us"), [(200, 1000), (300, 1200), (700, 2000)])
def test_a_pass_that_costs_more_comes_less_often(
    slept: list[int], monkeypatch: pytest.MonkeyPatch, took_us: int, pass_us: int
) -> None:
    """The agent works a quarter of the time, as long as that makes nobody wait over 2 ms."""
    monkeypatch.setattr(rhythm.time, "monotonic_ns", lambda: NOW + took_us * 1_000)
    waits(Rhythm(SECOND), took=5)
    assert slept == [(pass_us - took_us) * 1_000]


def test_a_batch_that_waits_is_not_slept_over(slept: list[int]) -> None:
    """Records in hand are as good a reason as new ones."""
    assert waits(Rhythm(SECOND), holds=True) == []
    assert slept == [MS - 100_000]


def test_a_long_pass_leaves_the_core_to_others(
    slept: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a pass took, a short sleep follows, unless there is more than it could take."""
    monkeypatch.setattr(rhythm.time, "monotonic_ns", lambda: NOW + 5 * MS)
    waits(Rhythm(SECOND), took=5)
    assert slept == [200_000]
    waits(Rhythm(SECOND), took=8192)
    assert slept == [200_000]


@pytest.mark.parametrize("rings", [True, False])
def test_looks_become_rare_in_silence(slept: list[int], rings: bool) -> None:
    """Soon after records lanes are looked at every 1 ms, later every 7 ms, or when rung."""
    made = Rhythm(SECOND, rings)
    made.on_frame(NOW, 0)
    [(step_ns, _, is_rung)] = waits(made)
    assert (step_ns, is_rung) == (7 * MS, rings)
    waits(made, took=1)
    assert waits(made, after_ns=4 * MS) == [(MS, 20 * MS, rings)]


@pytest.mark.parametrize("after_ns", [0, 1, 3 * MS])
def test_programs_that_record_often_never_ring(slept: list[int], after_ns: int) -> None:
    """Within 4 ms of a record nobody is asked to pay for a wake-up."""
    made = Rhythm(SECOND, rings=True)
    waits(made, took=1)
    assert waits(made, after_ns=after_ns) == [(MS, 4 * MS - after_ns, False)]


@pytest.mark.parametrize("passed_ns", [0, 1, 499 * MS, 799 * MS])
def test_heartbeats_in_silence_come_when_a_window_can_close(passed_ns: int) -> None:
    """The watermark of a heartbeat has just passed the end of a window."""
    made = Rhythm(SECOND)
    wall_ns = 1000 * SECOND + passed_ns + WATERMARK_SLACK_NS
    made.on_frame(NOW, wall_ns)
    due_ns = NOW + SECOND - passed_ns
    assert not made.is_heartbeat_due(due_ns - 1)
    assert made.is_heartbeat_due(due_ns)


def test_heartbeats_never_crowd() -> None:
    """Right before the end of a window the next heartbeat still is 200 ms away."""
    made = Rhythm(SECOND)
    made.on_frame(NOW, 1000 * SECOND + 999 * MS + WATERMARK_SLACK_NS)
    assert not made.is_heartbeat_due(NOW + 199 * MS)
    assert made.is_heartbeat_due(NOW + 200 * MS)


def test_heartbeats_are_not_farther_apart_than_a_second() -> None:
    """Long windows do not make an agent look as if it were gone."""
    made = Rhythm(60 * SECOND)
    made.on_frame(NOW, 30 * SECOND)
    assert made.is_heartbeat_due(NOW + SECOND)


def test_heartbeats_are_frequent_while_records_come(slept: list[int]) -> None:
    """Others wait for the watermark of who has just sent something."""
    made = Rhythm(SECOND)
    waits(made, took=1)
    made.on_frame(NOW, 0)
    assert not made.is_heartbeat_due(NOW + 199 * MS)
    assert made.is_heartbeat_due(NOW + 200 * MS)


def test_what_is_due_is_due_again_after_its_interval() -> None:
    """Discovery and status have intervals of their own."""
    made = Rhythm(SECOND)
    assert made.is_due("discover", NOW)
    assert not made.is_due("discover", NOW + 49 * MS)
    assert made.is_due("discover", NOW + 50 * MS)
    assert made.is_due("status", NOW)
    assert not made.is_due("status", NOW + 999 * MS)


def test_who_looks_for_an_aggregator_does_not_sleep_long(slept: list[int]) -> None:
    """While nobody answers, messages are looked after every 20 ms."""
    made = Rhythm(SECOND)
    made.stir(NOW)
    assert waits(made) == [(MS, 20 * MS, False)]
