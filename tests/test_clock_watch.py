"""Clocks that are set and machines that sleep are noticed; what NTP does every day is not."""

import time
from pathlib import Path

import pytest
from test_agent import make_agent

from rnts import agent as agent_module
from rnts import clock_watch
from rnts.clock_watch import STEP_NS_MIN, ClockWatch, Reading, read_clocks

MS, SECOND = 1_000_000, 1_000_000_000
START = Reading(1_790_000_000 * SECOND, 50 * SECOND, 80 * SECOND)


def later(reading: Reading, wall_ns: int, steady_ns: int, boot_ns: int) -> Reading:
    """A reading that is so much later on each clock."""
    return Reading(
        reading.wall_ns + wall_ns, reading.steady_ns + steady_ns, reading.boot_ns + boot_ns
    )


def looked(*readings: Reading) -> dict[str, int]:
    """What the watch says after these."""
    watch = ClockWatch()
    for reading in readings:
        found = watch.look(reading)
    return found


@pytest.mark.parametrize("step_ns", [-3600 * SECOND, -51 * MS, 51 * MS, SECOND, 10**18])
def test_steps_are_counted_with_their_size(step_ns: int) -> None:
    """Whichever way the clock was set, the last step and the time after it are told."""
    second = later(START, SECOND + step_ns, SECOND, SECOND)
    third = later(second, SECOND, SECOND, SECOND)
    assert looked(START, second, third) == {
        "clock_steps": 1,
        "clock_step_ns_last": step_ns,
        "clock_step_seen_ns": second.wall_ns,
        "suspends": 0,
        "suspend_ns_last": 0,
        "suspend_seen_ns": 0,
    }


def test_a_suspend_is_no_step() -> None:
    """The clock of the day goes on through a sleep, and so does that since the boot."""
    awake = later(START, 61 * SECOND, SECOND, 61 * SECOND)
    found = looked(START, awake)
    assert (found["clock_steps"], found["suspends"]) == (0, 1)
    assert (found["suspend_ns_last"], found["suspend_seen_ns"]) == (60 * SECOND, awake.wall_ns)


def test_a_clock_that_is_set_after_a_sleep_is_both() -> None:
    """Each is told with its own size."""
    found = looked(START, later(START, 70 * SECOND, SECOND, 61 * SECOND))
    assert (found["suspend_ns_last"], found["clock_step_ns_last"]) == (60 * SECOND, 9 * SECOND)


@pytest.mark.parametrize("slew_ns", [-500_000, 500_000, STEP_NS_MIN])
def test_slewing_is_no_step(slew_ns: int) -> None:
    """500 ppm for an hour, and even 50 ms a second, are not counted, however they add up."""
    readings = [later(START, i * (SECOND + slew_ns), i * SECOND, i * SECOND) for i in range(3600)]
    assert set(looked(*readings).values()) == {0}


def test_readings_that_were_torn_apart_are_not_trusted() -> None:
    """What came between two readings of one moment is no step."""
    torn = later(START, SECOND + 200 * MS, SECOND, SECOND + 200 * MS)
    assert looked(START, torn)["suspends"] == 1
    assert set(looked(START, torn._replace(spread_ns=200 * MS)).values()) == {0}


def test_the_tightest_of_some_readings_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that was interrupted is made again."""
    steady = iter([0, 10 * MS, 20 * MS, 20 * MS + 50, 30 * MS])
    monkeypatch.setattr(clock_watch.time, "monotonic_ns", lambda: next(steady))
    reading = read_clocks()
    assert (reading.steady_ns, reading.spread_ns) == (20 * MS, 50)


def test_clocks_of_this_machine_agree_with_themselves() -> None:
    """Two readings, one after the other, lie within what passed between them."""
    first, second = read_clocks(), read_clocks()
    for name in ("wall_ns", "steady_ns", "boot_ns"):
        assert getattr(second, name) >= getattr(first, name) > 0, name
    assert abs(first.wall_ns - time.time_ns()) < 3600 * SECOND


def test_an_agent_tells_of_its_clock(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status has the counts, and sees a step between two looks."""
    readings = iter([START, later(START, 9 * SECOND, SECOND, SECOND)])
    monkeypatch.setattr(agent_module, "read_clocks", lambda: next(readings))
    agent = make_agent()
    agent._connect(0)
    assert [agent.status()["clock_steps"] for _ in range(2)] == [0, 1]
    agent._link.close()
