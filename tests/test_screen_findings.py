"""What the screen says is wrong: losses, imbalance, neurons that are gone, trouble of processes."""

import re
from typing import Any

import pytest
from screen_tools import changed, draw, screen, without_faults

from rnts.accounting import DROPS

SECOND = 1_000_000_000
NOW = without_faults()["time_ns"]


@pytest.mark.parametrize("reason", DROPS)
def test_each_loss_is_shown_with_its_meaning(reason: str) -> None:
    """A reason of loss stands with its exact count and what it means."""
    document = without_faults()
    document["accounting"]["dropped"][reason] = 12_345
    text = "\n".join(draw(document, 200, 60))

    assert re.search(rf"{reason} +12,345  {re.escape(DROPS[reason])}", text)
    assert "12,345 lost" in text


def test_a_loss_that_goes_on_is_worse_than_one_that_is_over() -> None:
    """Records lost within ten seconds are counted as `now`; later they are history."""
    shown = screen()

    def verdict_after(seconds: int, lost: int) -> str:
        document = without_faults()
        document["time_ns"] += seconds * 1_000_000_000
        document["accounting"]["dropped"]["late"] = lost
        return shown.render(document, notices=[], elapsed_s=seconds).lines(120, 24)[1].plain

    assert verdict_after(0, 5) == "  WARNING  5 records lost: late 5"
    assert verdict_after(1, 12) == "  CRITICAL  12 records lost, 7 now: late 12"
    for second in range(2, 11):
        assert "7 now" in verdict_after(second, 12)
    assert "none now" in verdict_after(11, 12)


def test_what_does_not_balance_comes_first() -> None:
    """Records that nobody can account for are the worst that can be."""
    document = changed(lambda d: d["accounting"].update(balanced=False))
    document["accounting"]["emitted"] += 1_234
    lines = draw(document, 80, 24)

    assert "CRITICAL  not balanced: 1,234 emitted and not accounted for" in lines[1]
    assert "NOT balanced: 1,234 emitted and not accounted for" in "\n".join(lines)


def shown_after(*changes: dict[str, Any]) -> list[str]:
    """The first lines once a second each has passed with these parts changed."""
    shown = screen()
    for second, change in enumerate(changes):
        document = without_faults() | change
        document["time_ns"] += second * 1_000_000_000
        frame = shown.render(document, notices=[], elapsed_s=second)
    return [line.plain.rstrip() for line in frame.lines(120, 40)]


def counted(known: int, active: int) -> dict[str, Any]:
    """So many neurons, all of them healthy."""
    return {"neurons": {"known": known, "active": active, "health": {"healthy": known}}}


def test_many_neurons_that_leave_or_fall_silent_are_a_warning() -> None:
    """A tenth of the population gone or silent is said for a minute; a few are not."""
    assert "WARNING  100 neurons are gone" in shown_after(counted(1000, 990), counted(900, 890))[1]
    assert (
        "WARNING  100 neurons fell silent" in shown_after(counted(999, 900), counted(999, 800))[1]
    )
    assert "OK" in shown_after(counted(1000, 990), counted(960, 950))[1]
    assert "OK" in shown_after(counted(20, 20), counted(12, 12))[1]
    assert "OK" in shown_after(counted(20, 20), counted(1000, 20), counted(1000, 1000))[1]


def test_the_counts_of_another_aggregator_are_not_compared() -> None:
    """After a restart of the aggregator everything begins at zero, and that is no news."""
    first = {"aggregator": {"pid": 1, "started_ns": 1}}
    second = {"aggregator": {"pid": 2, "started_ns": 2}}

    assert "OK" in shown_after(counted(1000, 990) | first, counted(0, 0) | second)[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"agents": []}, "WARNING  no agent is connected"),
        (
            {"agents": [{"host": "h", "pid": 7, "state": "silent", "silent_ns": 5_000_000_000}]},
            "WARNING  agent 7 on h is silent for 5.00 s",
        ),
        (
            {
                "agents": [
                    {"host": "h", "clock_step_ns_last": -3 * SECOND, "clock_step_seen_ns": NOW}
                ]
            },
            "WARNING  the clock of h was set back by 3.00 s: until then records are late",
        ),
        (
            {"agents": [{"host": "h", "clock_step_ns_last": SECOND, "clock_step_seen_ns": NOW}]},
            "WARNING  the clock of h was set ahead by 1.00 s: windows between are empty",
        ),
        (
            {"agents": [{"host": "h", "suspend_ns_last": 9 * SECOND, "suspend_seen_ns": NOW}]},
            "WARNING  h was asleep for 9.00 s: nothing was measured meanwhile",
        ),
        (
            {"agents": [{"host": "h", "pid": 7, "lanes_quarantined": {"positions": 2}}]},
            "WARNING  agent 7 on h reads some lanes no more, since what they say cannot be: pos",
        ),
        (
            {"agents": [{"host": "h", "pid": 7, "clock_notice": "its clock is 300 ms behind"}]},
            "WARNING  agent 7 on h: its clock is 300 ms behind",
        ),
        (
            {
                "aggregator": {
                    "ledger": {"condition": "full", "advice": "no room", "windows_behind": 4}
                }
            },
            "WARNING  the ledger is not written: no room; 4 windows wait; nothing is lost, agents",
        ),
        (
            {"aggregator": {"ledger": {"condition": None, "set_aside": "/x.damaged"}}},
            "WARNING  the ledger was damaged: it lies at /x.damaged, and a new one was begun",
        ),
        ({"window": {"complete": False}}, "WARNING  the last window is incomplete"),
        (
            {"window": {"complete": False, "start_ns": 1}, "aggregator": {"started_ns": 2}},
            "UNKNOWN  the last window may lack records: the aggregator began within it",
        ),
        ({"accounting": {"emitted": 0}}, "UNKNOWN  no record has arrived yet"),
        ({"window": None}, "UNKNOWN  no window of time is complete yet"),
        (
            {"aggregator": {"refused": {"checksum": 3}}},
            "WARNING  messages refused: checksum 3",
        ),
        (
            {"limits": {"neurons_max": 1000, "overflow_records": 12_345}},
            "WARNING  12,345 records of neurons beyond the limit of 1,000 are not told apart",
        ),
        (
            {"limits": {"values_refused": 2, "names_refused": 0}},
            "WARNING  left out: values_refused 2;",
        ),
        (
            {"sickest": [{"name": "a", "health": "healthy", "errors": 2}]},
            "WARNING  errors in the last window: a 2",
        ),
    ],
)
def test_what_is_wrong_is_said_in_the_second_line(change: dict[str, Any], words: str) -> None:
    """Trouble with agents, windows, messages, limits and errors is found in the document."""
    assert words in shown_after(change)[1]


def test_what_befell_a_clock_is_said_for_a_while() -> None:
    """Five minutes later nobody wonders any more."""
    agent = {"host": "h", "suspends": 1, "suspend_ns_last": SECOND, "suspend_seen_ns": NOW}

    def said(after_s: int) -> bool:
        shown = shown_after({"agents": [agent], "time_ns": NOW + after_s * SECOND})
        return any("asleep" in line for line in shown)

    assert [said(after_s) for after_s in (0, 299, 301)] == [True, True, False]
