"""Alerts and reactions on the live screen and in `rnts status`: lines, the table, what is wrong."""

import copy
from pathlib import Path
from typing import Any

import pytest
from screen_tools import alerts, draw, reaction, without_faults

from rnts.commands._alert_end import AlertEnd
from rnts.commands._alerts import summary
from rnts.commands._finding import Level
from rnts.commands._findings import findings
from rnts.commands._plain import plain_line
from rnts.commands.status import snapshot_lines

MS = 1_000_000


def document(**said: Any) -> dict[str, Any]:
    """A population without faults, with what an alert process says."""
    return without_faults() | {"alerts": alerts(**said)}


def told(found: dict[str, Any]) -> list[tuple[Level, str]]:
    """What is wrong, without what is not about alerts."""
    wrong = findings(found)
    return [(each.level, each.text) for each in wrong]


def test_alerts_have_a_line_and_the_first_table() -> None:
    """How many fire, and who, silenced ones last, states by their names, and how many more."""
    lines = draw(document(reaction=reaction(2_100_000)), 80, 40)
    text = "\n".join(lines)
    assert " alerts      3 firing  2 pending  of 4 rules" in text
    assert " reaction    p50  900 µs  p99 2.10 ms  p99.9 2.10 ms  60 canaries in a minute" in text
    first = next(i for i, line in enumerate(lines) if line.startswith(" alerts 3/5"))
    assert [line.split() for line in lines[first : first + 4]] == [
        ["alerts", "3/5", "state", "for", "of", "group", "value"],
        ["sick", "firing", "2m", "motor/17", "motor", "critical"],
        ["full", "pending", "2m", "all", "900", ">", "100"],
        ["slow", "silenced", "2m", "cortex", "120", ">", "100"],
    ]
    assert lines[first + 4].startswith(" groups ")
    text = "\n".join(line.plain for line in snapshot_lines(document(), 100, 40))
    assert "alerts 3/5" in text and "3 firing" in text and "reaction" not in text


@pytest.mark.parametrize("size", [(20, 8), (40, 12), (60, 16), (120, 40), (200, 60)])
def test_small_screens_say_how_many_alerts_fire(size: tuple[int, int]) -> None:
    """The line of alerts and the 99th percentile stay where there is next to no room."""
    text = "\n".join(draw(document(reaction=reaction(2_100_000)), *size))
    assert "3 firing" in text and "p99 2.10 ms" in text


def test_without_an_alert_process_nothing_is_said_of_alerts() -> None:
    """No line, no table, no finding; and no line of reactions where they are not measured."""
    text = "\n".join(draw(without_faults(), 80, 40))
    assert "alerts" not in text and "reaction" not in text and told(without_faults()) == []
    waiting = document(reaction={"is_waiting": True})
    assert "reaction    waits for an agent and an aggregator" in "\n".join(draw(waiting, 80, 40))


def test_reactions_that_are_slow_or_lost_are_found() -> None:
    """Beyond 20 ms, of at least ten; losses by reason, and critical where none comes back."""
    firing = told(document())
    assert firing == [
        (Level.CRITICAL, "alert sick fires (2)"),
        (Level.WARNING, "alert slow fires (1)"),
    ]

    def beside(**said: Any) -> list[tuple[Level, str]]:
        return [each for each in told(document(**said)) if each not in firing]

    assert beside(reaction=reaction(20 * MS)) == []
    assert beside(reaction=reaction(99 * MS, count=9)) == []
    (slow,) = beside(reaction=reaction(21 * MS))
    assert slow == (Level.WARNING, "reactions are slow: p99 21.0 ms from a record to its action")
    (lost,) = beside(reaction=reaction(1, agent_away=2, unknown=1))
    assert lost == (Level.WARNING, "3 canaries lost within a minute: agent_away 2, unknown 1")
    (cut,) = beside(reaction=reaction(1, count=0, agent_away=10))
    assert cut[0] is Level.CRITICAL and cut[1].endswith("; no alert would come through")
    (never,) = beside(reaction=reaction(1, count=0, came_back=0, unknown=10))
    assert never[0] is Level.UNKNOWN and never[1].endswith("agent send elsewhere?")


def test_what_hinders_alerts_is_found() -> None:
    """An aggregator that is not heard, a memory that cannot be written, actions, a process."""
    process = {"is_live": False, "memory": "disk_full", "actions_left_alone": ["page"]}
    words = [text for _, text in told(document(**process))]
    assert words[2:] == [
        "the alert process hears no aggregator: alerts are without data",
        "alerts cannot be remembered (disk_full): a restart would forget them",
        "actions that fail: page",
    ]
    silent = without_faults() | {"alerts": {"process": {"is_silent": True}}}
    assert told(silent) == [(Level.WARNING, "the alert process does not answer")]


def test_the_plain_line_tells_of_reactions_and_alerts() -> None:
    """For logs and pipes; `rnts alert list` says how long reactions take, too."""
    words = plain_line(document(reaction=reaction(22 * MS))).split(" | ")
    said = "reaction p50 900 µs p99 22.0 ms p99.9 22.0 ms (60 canaries)"
    assert said in words
    assert "alert sick fires (2)" in words
    assert summary(alerts(reaction(22 * MS), is_dry_run=False)).endswith(f" · {said}")
    assert "reactions are slow: p99 22.0 ms from a record to its action" in words


def test_a_screen_waits_for_no_alert_process(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is not there is asked seldom, and after a while it is said; no folder is never asked."""
    clock = [100.0]
    monkeypatch.setattr("rnts.commands._alert_end.time.monotonic", lambda: clock[0])
    snapshot = without_faults()
    before = copy.deepcopy(snapshot)
    nobody, end = AlertEnd(None), AlertEnd(runtime_folder / "memory")
    for passed_s, is_silent in ((0.0, False), (29.0, False), (30.0, True)):
        clock[0] = 100.0 + passed_s
        end.add_to(snapshot)
        nobody.add_to(before)
        assert ("alerts" in snapshot) == is_silent
    assert snapshot["alerts"] == {"process": {"is_silent": True}}
    assert before == without_faults()
    end.close()
    nobody.close()
