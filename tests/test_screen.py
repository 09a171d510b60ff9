"""The live screen: every size of terminal, any document and any name, and what is new."""

import copy
import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from screen_tools import SNAPSHOT, alerts, changed, draw, reaction, screen, without_faults

from rnts.commands._format import visible
from rnts.commands._plain import is_live, plain_line
from rnts.commands._screen import Frame, Screen, no_autowrap
from rnts.commands._vitals import health_bar

SIZES = [(20, 5), (40, 12), (80, 24), (120, 40), (200, 60)]
HOSTILE = (
    "[red]bold[/red] [link=http://x]y[/link] :smile:",
    "\x1b[2J\x1b[31mred\x07\x9b31m",
    "two\nlines\r\nand\ttab",
    "日本語の名前" * 20,
    "👨‍👩‍👧 ❤️ 🇩🇪 👍🏽",
    "\u202eright to left\u202c\u200b\u0301",
    "x" * 255,
    "",
)
HOSTILE_IDS = ("markup", "escapes", "lines", "wide", "contested", "direction", "long", "empty")
SGR = re.compile(r"\x1b\[[0-9;]*m")


def with_name(name: str) -> dict[str, Any]:
    """The sample document with a foreign text in every place where another program's may stand."""
    document = copy.deepcopy(SNAPSHOT)
    for row in document["sickest"] + document["busiest"] + document["events"]["recent"]:
        row.update(name=name, group=name, reason=name, details=name)
    document["groups"] = {name: document["groups"]["motor"], "motor": document["groups"]["motor"]}
    for row in document["links"]["top"]:
        row.update(source=name, target=name)
    document["agents"][0].update(host=name, state=name)
    document["alerts"] = alerts(reaction(1, lane_full=1), actions_left_alone=[name], memory=name)
    for row in document["alerts"]["alerts"]:
        row.update(rule=name, bound=name, labels={"neuron": name, "group": name})
    return document


def test_80x24_shows_what_is_wrong_first_then_the_vital_signs() -> None:
    """The classic terminal, line by line as far as the tables."""
    lines = draw(SNAPSHOT, 80, 24, ("agent restarted after signal 9, attempt 1",))

    assert re.fullmatch(r" rnts up {37}\d\d:\d\d:\d\d · up 1m 23s · Ctrl-C ends", lines[0])
    assert lines[1:13] == [
        "  CRITICAL  3 neurons critical: motor/17 (no spike for 5 s), motor/18 (no spik…",
        "  WARNING  12,257 records lost: lane_full 12,041, late 212, invalid 3, torn 1",
        "  WARNING  13 neurons degraded: 視覚野-ニューロン-42 (queue is growi… (+1 more)",
        " • agent restarted after signal 9, attempt 1",
        "",
        " records       904k/s                     █  max 904k/s in a minute",
        " neurons        1,024  ━━━━━━━━━━━━▄█  1,008 healthy  13 degraded  3 critical",
        " losses      12,257 lost  balanced  48,225,541 emitted  1,377 in flight",
        "             lane_full             12,041  the agent did not drain the lane in…",
        "             late                     212  the record came after its window ha…",
        " processing  p50 9.31 µs  p99 1.98 ms  p99.9 44.3 ms  ±0.54 %  max 311 ms",
        " latency     p50  412 µs  p99 1.31 ms  p99.9 2.48 ms  ±0.54 %  record → folded",
    ]
    assert lines[14].startswith(" sickest 4/16  ")
    assert lines[19].startswith(" groups 3/4  ")
    assert "agent 4711" in lines[23]


def test_a_population_without_faults_is_called_ok() -> None:
    """One green line says that all is well; the tables of the sick are not there."""
    lines = draw(without_faults(), 80, 24)

    assert lines[1].startswith("  OK  nothing lost, every record accounted for")
    assert " losses      nothing lost  balanced" in "\n".join(lines)
    assert "sickest" not in "\n".join(lines)
    assert "busiest" in "\n".join(lines)


@pytest.mark.parametrize(
    ("size", "tables"),
    [
        ((80, 24), {"sickest", "groups", "busiest"}),
        ((80, 50), {"sickest", "groups", "busiest", "events", "metrics", "links"}),
        ((120, 40), {"sickest", "groups", "busiest", "events", "metrics", "processes", "links"}),
    ],
    ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else str(len(value)),
)
def test_larger_screens_have_more_tables(size: tuple[int, int], tables: set[str]) -> None:
    """What matters most comes first; a table that does not fit is left out whole."""
    text = "\n".join(draw(SNAPSHOT, *size))
    titles = {"sickest", "groups", "busiest", "events", "metrics", "processes", "links"}
    found = {title for title in titles if re.search(rf"(\n |   ){title}( \d+/\S+)?  ", text)}

    assert found == tables


def test_20x5_keeps_the_worst_and_the_vital_signs() -> None:
    """The least screen: a verdict and four numbers, none of them cut."""
    assert draw(SNAPSHOT, 20, 5) == [
        "3 neurons critical:…",
        "rate   904k/s",
        "neur    1,024",
        "lost 12,257 lost",
        "proc p99 1.98 ms",
    ]


@given(
    st.integers(1, 230),
    st.integers(1, 70),
    st.sampled_from([None, SNAPSHOT, *map(with_name, HOSTILE)]),
)
def test_a_picture_never_exceeds_its_screen(width: int, height: int, document: Any) -> None:
    """Any size, any names: at most as many lines and cells as there are."""
    frame = screen().render(document, notices=HOSTILE, elapsed_s=1.0)
    lines = frame.lines(width, height)

    assert len(lines) <= height
    assert all(cell_len(line.plain) <= width for line in lines)


@pytest.mark.parametrize("name", HOSTILE, ids=HOSTILE_IDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_names_cannot_style_or_steer_the_terminal(size: tuple[int, int], name: str) -> None:
    """Only our own colours reach the terminal; markup and escapes are shown as text."""
    output = io.StringIO()
    width, height = size
    console = Console(
        file=output, width=width, height=height, force_terminal=True, color_system="truecolor"
    )
    drawn = Screen(console, name).render(with_name(name), notices=[name], elapsed_s=1.0)
    console.print(drawn)
    text = SGR.sub("", output.getvalue())

    assert all(c == "\n" or c.isprintable() for c in text)
    assert len(text.splitlines()) <= height
    assert all(cell_len(line) <= width for line in text.splitlines())
    if width >= 80:
        assert visible(name)[:8] in text


@pytest.mark.parametrize("key", sorted(SNAPSHOT))
@pytest.mark.parametrize("value", ["absent", None, 7, "words", [], {}, [7], {"a": 7}, [None]])
def test_a_document_of_another_version_is_shown_as_far_as_it_goes(key: str, value: Any) -> None:
    """Parts that are absent, of another shape or unknown spoil nothing else."""
    document = changed(lambda d: d.pop(key) if value == "absent" else d.update({key: value}))
    document["of_a_later_version"] = {"a": [1]}

    for size in SIZES:
        assert draw(document, *size)
    assert plain_line(document)


def test_an_empty_document_has_no_zeroes() -> None:
    """What is not known is a dash, never a number and never called well."""
    text = "\n".join(draw({}, 80, 24))

    assert "nothing is known of losses yet" in text
    assert not re.search(r"\b0\b", text)


def test_waiting_for_the_aggregator_shows_the_notices() -> None:
    """Before the first document there is a line that says so, and what the supervisor said."""
    lines = draw(None, 80, 24, ("aggregator started", "agent started"))

    assert lines[1:] == [
        " waiting for the aggregator … 1m 23s",
        " • aggregator started",
        " • agent started",
    ]


def test_trouble_is_noticed_longer_than_progress() -> None:
    """The newest notices of trouble are shown; where there is none, the last of progress."""

    def shown(width: int, height: int, *notices: str) -> list[str]:
        lines = draw(SNAPSHOT, width, height, notices)
        return [line[3:] for line in lines if line.startswith(" • ")]

    assert shown(80, 24, "agent started", "agent listens") == ["agent listens"]
    assert shown(80, 24, "agent died", "agent restarted", "agent listens") == ["agent restarted"]
    assert shown(120, 40, "a: warning: x", "b", "c died", "d: error: y", "cannot z", "e") == [
        "c died",
        "d: error: y",
        "cannot z",
    ]


def test_an_old_document_is_kept_and_said_to_be_old() -> None:
    """An aggregator that falls silent leaves its last document with a warning above."""
    shown = screen()
    shown.render(SNAPSHOT, notices=[], elapsed_s=10.0)

    def second_line(frame: Frame) -> str:
        return frame.lines(80, 24)[1].plain

    assert "no news" not in second_line(shown.render(SNAPSHOT, notices=[], elapsed_s=12.0))
    assert "no news from the aggregator for 5s" in second_line(
        shown.render(None, notices=[], elapsed_s=15.0)
    )
    fresh = changed(lambda d: d.update(time_ns=d["time_ns"] + 6_000_000_000))
    assert "no news" not in second_line(shown.render(fresh, notices=[], elapsed_s=16.0))


def test_the_rate_of_the_last_minute_is_drawn_from_successive_documents() -> None:
    """A bar a second on a wide screen, the present at the right; the gap stays blank."""
    shown = screen()
    for second, rate in ((0, 100.0), (1, 200.0), (4, 400.0)):
        document = changed(lambda d, r=rate: d.update(records_per_second=r))
        document["time_ns"] += second * 1_000_000_000
        frame = shown.render(document, notices=[], elapsed_s=second)
    line = next(row.plain for row in frame.lines(120, 40) if "records " in row.plain[:10])

    assert line.rstrip().endswith(f"400/s  {' ' * 55}▃▅  █  max 400/s in a minute")


def test_percentiles_are_those_that_are_configured_and_say_their_bound() -> None:
    """Others than the usual ones are shown as they are; an unknown bound is not left out."""
    document = without_faults()
    document["metrics"]["processing_time_ns"] |= {
        "percentiles": {"10": 1_000, "75": 2_000},
        "relative_error": None,
    }

    assert "processing  p10 1.00 µs  p75 2.00 µs  ±?" in "\n".join(draw(document, 80, 24))
    assert "processing p10 1.00 µs p75 2.00 µs ±?" in plain_line(document)


def test_a_clock_that_goes_back_starts_the_history_anew() -> None:
    """Bars of a future that has not been are forgotten."""
    shown = screen()
    shown.render(SNAPSHOT, notices=[], elapsed_s=0)
    earlier = changed(lambda d: d.update(time_ns=d["time_ns"] - 10**10, records_per_second=5.0))
    frame = shown.render(earlier, notices=[], elapsed_s=1)

    assert "max 5/s in a minute" in "\n".join(line.plain for line in frame.lines(120, 40))


@given(
    st.fixed_dictionaries(
        {s: st.integers(0, 10**6) for s in ("healthy", "degraded", "critical", "unknown")}
    ),
    st.integers(8, 60),
)
def test_the_bar_of_health_hides_no_state(states: dict[str, int], cells: int) -> None:
    """The bar is as long as wanted, and one sick neuron of a million has its cell."""
    bar = health_bar(states, cells)

    assert sum(len(text) for text, _ in bar) == (cells if any(states.values()) else 0)
    assert len(bar) == sum(1 for n in states.values() if n)
    assert all(text for text, _ in bar)


def test_the_plain_line_says_it_all_in_one_line() -> None:
    """For logs: time, verdict, rate, neurons, times with their bound, losses, other trouble."""
    words = plain_line(SNAPSHOT).split(" | ")

    assert re.fullmatch(r"\d\d:\d\d:\d\d", words[0])
    assert words[1:] == [
        "CRITICAL",
        "904k records/s",
        "1,024 neurons (13 degraded, 3 critical)",
        "processing p50 9.31 µs p99 1.98 ms p99.9 44.3 ms ±0.54 %",
        "latency p50 412 µs p99 1.31 ms p99.9 2.48 ms ±0.54 %",
        "12,257 lost (lane_full 12,041, late 212, invalid 3, torn 1), balanced",
        "errors in the last window: motor/17 4, motor/18 3, cortex/2/113 2, …",
    ]


def test_the_plain_line_gives_the_reason_of_its_verdict() -> None:
    """Also where neither losses nor neurons are it, as in the first window after a start."""
    calm = without_faults()
    calm["window"]["complete"] = False
    words = plain_line(calm).split(" | ")

    assert words[1] == "WARNING"
    assert words[-1].startswith("the last window is incomplete: ")


@pytest.mark.parametrize("name", HOSTILE, ids=HOSTILE_IDS)
def test_the_plain_line_has_no_escapes(name: str) -> None:
    """One printable line, whatever the document says."""
    document = changed(lambda d: d["accounting"]["dropped"].update({name: 1}))

    assert plain_line(document).isprintable()
    assert plain_line(None).isprintable()


class Terminal(io.StringIO):
    """A text stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


@pytest.mark.parametrize(
    ("file", "environ", "live"),
    [
        (Terminal(), {"TERM": "xterm-256color"}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        (io.StringIO(), {"TERM": "xterm-256color"}, False),
        (io.StringIO(), {"TERM": "xterm-256color", "FORCE_COLOR": "1"}, False),
    ],
    ids=["terminal", "dumb", "NO_COLOR", "pipe", "pipe with FORCE_COLOR"],
)
def test_the_screen_is_live_only_where_it_can_be(
    file: io.StringIO, environ: dict[str, str], live: bool
) -> None:
    """Pipes, dumb terminals and NO_COLOR get plain lines."""
    assert is_live(Console(file=file, _environ=environ)) is live


def test_the_terminal_wraps_again_afterwards() -> None:
    """Automatic wrapping is off while the screen is drawn, and on again even after an error."""
    output = io.StringIO()
    with pytest.raises(KeyboardInterrupt), no_autowrap(Console(file=output)):
        assert output.getvalue() == "\x1b[?7l"
        raise KeyboardInterrupt

    assert output.getvalue() == "\x1b[?7l\x1b[?7h"
