"""`rnts watch` without an aggregator: faults, what is said of the connection, and the table."""

import io
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from engine_tools import group
from rich.console import Console
from settings_tools import isolate
from typer.testing import CliRunner

from rnts.commands import _watch_loop
from rnts.commands._watch_lines import JsonLines, PlainLines
from rnts.commands._watch_loop import run_watch
from rnts.commands._watch_table import Table
from rnts.commands._watched import Watched, marked, understand
from rnts.commands.watch import watch
from rnts.errors import ConnectError, RntsError, UsageError
from rnts.process import StopEvent
from rnts.reflex.change import Change, Update
from rnts.rules.faults import Fault
from rnts.standing.client import WatchClient

APP = typer.Typer()
APP.command()(watch)
LATENCY, FAILING = "p99_processing_time_ms by group", "error_rate > 0.5 by group"


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, tmp_path)


def error_of(*arguments: str) -> RntsError:
    """The error that a call of the command ends with."""
    error = CliRunner().invoke(APP, arguments).exception
    assert isinstance(error, RntsError), error
    return error


def test_faults_are_marked_under_the_text() -> None:
    """Each at its place, with what was meant; those of all expressions at once."""
    error = error_of("mean(queue_dept) + p99_procesing_time_ms", LATENCY, "queue_depth\n for 5s")
    assert isinstance(error, UsageError)
    lines = str(error).splitlines()
    assert lines[0] == "mean(queue_dept) + p99_procesing_time_ms"
    assert lines[1].startswith(" " * 5 + "^ ") and "queue_depth" in lines[1]
    assert lines[2].startswith(" " * 19 + "^ ") and "p99_processing_time_ms" in lines[2]
    assert lines[3] == "queue_depth"
    assert any("for belongs to conditions" in line for line in lines[4:])


def test_faults_of_several_lines_stand_below_their_lines() -> None:
    """A fault is marked in the line in which it is; one beyond the text at its end."""
    faults = [Fault(1, "one"), Fault(5, "two"), Fault(99, "three")]
    assert marked("ab\ncd\te", faults) == "ab\n ^ one\ncd e\n  ^ two\n^ three"


def test_without_an_aggregator_it_ends(
    monkeypatch: pytest.MonkeyPatch, runtime_folder: Path
) -> None:
    """After a moment of patience it says where it looked, and what to start."""
    monkeypatch.setattr(_watch_loop, "_START_S", 0.1)
    error = error_of(LATENCY)
    assert isinstance(error, ConnectError)
    assert str(runtime_folder) in str(error) and "rnts up" in str(error)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("--for", "5"), "5s"), (("--every", "2h"), "1h"), (("--endpoint", "nowhere"), "host:port")],
)
def test_wrong_options_are_told(arguments: tuple[str, ...], word: str) -> None:
    """Durations have a unit and a limit, addresses a form."""
    error = error_of(LATENCY, *arguments)
    assert isinstance(error, UsageError) and word in str(error)


class Played:
    """A connection on which a test says what happens at each poll."""

    def __init__(self, watched: dict[str, Watched]) -> None:
        queries = {key: one.query(None, 1000, 5) for key, one in watched.items()}
        self.client = WatchClient(queries, 0, 1)
        self.endpoint, self.is_live = "ipc:///played", False
        self.steps: list[Callable[[], list[Update]]] = []
        self.stop = StopEvent()

    def poll(self, timeout_ms: int) -> list[Update]:
        """The next step; after the last one somebody presses Ctrl-C."""
        if not self.steps:
            self.stop.on_signal(2, None)
            return []
        return self.steps.pop(0)()

    def set(self, is_live: bool, *updates: Update, merged: int = 0) -> None:
        """At the next poll the aggregator is there or not, and tells this."""

        def step() -> list[Update]:
            self.is_live = self.client.is_complete = is_live
            self.client.merged["0"] += merged
            return list(updates)

        self.steps.append(step)


def update(value: float, truth: float = math.nan, omitted: int = 0) -> Update:
    """News of one group."""
    changes = (Change(group("a"), truth, value),)
    return Update("0", 1_790_000_000_123_000_000, False, changes, (), omitted)


def test_what_makes_the_lines_incomplete_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """An aggregator that is away or back, merged updates, entities that were left out."""
    watched = understand([LATENCY])
    played = Played(watched)
    played.set(True, update(5))
    played.set(True, update(6, omitted=3), merged=4)
    played.set(True, update(6, omitted=3))
    played.set(False)
    played.set(False)
    played.set(True)
    assert run_watch(played, watched, PlainLines(False), played.stop, None) == 130
    out, err = capsys.readouterr()
    assert [line.split("  ")[1:] for line in out.splitlines()] == [
        ["group=a", "5 ms"],
        ["group=a", "6 ms"],
    ]
    assert all(".123  " in line for line in out.splitlines())
    assert err.splitlines() == [
        "rnts: 4 updates were merged, since this end was slow",
        "rnts: 3 more are left out, see --limit",
        "rnts: the aggregator is away: what was told may have changed since",
        "rnts: the aggregator is back",
    ]


def test_where_nothing_is_known_that_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, after a while, of expressions that have no entity; the others need no words."""
    monkeypatch.setattr(_watch_loop, "_EMPTY_S", 0)
    watched = understand([LATENCY, FAILING, "error_rate"])
    played = Played(watched)
    played.set(True, update(5))
    played.set(True)
    run_watch(played, watched, PlainLines(True), played.stop, None)
    assert capsys.readouterr().err.splitlines() == [
        f"rnts: {FAILING}: it is not true of any group so far",
        "rnts: error_rate: nothing is known of all neurons together so far",
    ]


def test_notices_are_objects_among_objects(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads lines learns of them in their place, by a word that does not change."""
    watched = understand([FAILING])
    played = Played(watched)
    played.set(True, update(0.75, truth=1), merged=2)
    played.set(False)
    run_watch(played, watched, JsonLines(), played.stop, None)
    out, err = capsys.readouterr()
    assert err == ""
    expression = f'"expression":"{FAILING}","count":2}}'
    assert [line.partition(",")[2] for line in out.splitlines()] == [
        f'"expression":"{FAILING}","labels":{{"group":"a"}},"truth":true,"value":0.75,"unit":null}}',
        '"notice":"merged","message":"2 updates were merged, since this end was slow",'
        + expression,
        '"notice":"away","message":"the aggregator is away: what was told may have changed since"}',
    ]


def test_what_the_aggregator_does_not_take_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """One of several is told with its mark, and the rest goes on; if it is all, that is the end."""
    watched = understand([LATENCY, FAILING])
    played = Played(watched)
    played.client.wrong = {"1": (Fault(11, "newer than this aggregator"),)}
    played.set(True, update(5))
    run_watch(played, watched, PlainLines(True), played.stop, None)
    out, err = capsys.readouterr()
    assert out.endswith(f"group=a  5 ms  {LATENCY}\n")
    assert err.splitlines()[1:] == [
        f"rnts: {FAILING}",
        "rnts:            ^ newer than this aggregator",
    ]
    played.client.wrong["0"] = (Fault(0, "nor this"),)
    played.stop = StopEvent()
    played.set(True)
    with pytest.raises(UsageError, match="none of these"):
        run_watch(played, watched, PlainLines(True), played.stop, None)


def test_who_has_no_place_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The aggregator's words, and no waiting for what will not come."""
    watched = understand([LATENCY])
    played = Played(watched)
    played.client.refused = "64 clients already"
    with pytest.raises(RntsError, match="64 clients already"):
        run_watch(played, watched, PlainLines(False), played.stop, None)


@pytest.mark.parametrize(
    ("text", "change", "words"),
    [
        (LATENCY, Change((), math.nan, 1234567.0), "1.23457e+06 ms"),
        (LATENCY, Change((), math.nan, math.nan), "unknown"),
        ("health_status", Change((), math.nan, 1.0), "degraded"),
        ("error_rate_percent", Change((), math.nan, 12.5), "12.5 %"),
        ("rate(bytes_transmitted_mb)", Change((), math.nan, 2.0), "2 mb a second"),
        ("errors / records", Change((), math.nan, math.inf), "inf"),
        (FAILING, Change((), 1.0, 0.75), "true (0.75)"),
        (FAILING, Change((), 0.0, 0.0), "false (0)"),
        (FAILING, Change((), math.nan, math.nan), "unknown"),
    ],
)
def test_values_are_told_in_the_unit_that_was_asked_for(
    text: str, change: Change, words: str
) -> None:
    """Numbers with their unit, states by name, conditions as true, false or unknown."""
    assert understand([text])["0"].value_in_words(change) == words


def table(width: int, height: int, *texts: str) -> list[str]:
    """The lines of a table of three groups, one with a name that could steer a terminal."""
    watched = understand(texts)
    for one in watched.values():
        names = {"a": 5.0, "b\x1b[2J": 70.0, "c": math.nan}
        changes = tuple(Change(group(name), math.nan, value) for name, value in names.items())
        one.view.apply(Update("0", 1_790_000_000 * 10**9, True, changes, (), 7))
    made = Table(Console(file=io.StringIO()), list(watched.values()))
    made.notice("away", "the aggregator is away")
    return [line.plain.rstrip() for line in made.lines(width, height)]


def test_the_table_has_the_largest_first() -> None:
    """Each expression with its entities by value, how many there are, and notices below."""
    lines = table(80, 20, LATENCY)
    assert lines[0].startswith("rnts watch · live")
    assert lines[1].startswith(f"{LATENCY} 2/9") and lines[1].endswith("value")
    assert [line.split() for line in lines[2:4]] == [
        ["b\\x1b[2J", "70", "ms"],
        ["a", "5", "ms"],
    ]
    assert lines[4].endswith("the aggregator is away") and len(lines) == 5


def test_the_table_has_the_worst_states_first() -> None:
    """Whoever is critical stands above those that never said how they are."""
    (one,) = understand(["health_status"]).values()
    states = {"silent": 3.0, "well": 0.0, "ill": 2.0, "weak": 1.0}
    changes = tuple(Change(group(name), math.nan, value) for name, value in states.items())
    one.view.apply(Update("0", 1_790_000_000 * 10**9, True, changes, ()))

    lines = Table(Console(file=io.StringIO()), [one]).lines(80, 20)

    assert [line.plain.split()[-1] for line in lines[2:6]] == [
        "critical", "degraded", "unknown", "healthy",
    ]  # fmt: skip


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 8), (12, 3), (1, 1)])
def test_the_table_fits_every_terminal(width: int, height: int) -> None:
    """No line is wider than the terminal, and no more lines are drawn than it has."""
    lines = table(width, height, LATENCY, FAILING, "queue_depth")
    assert len(lines) <= height and max(map(len, lines)) <= width
