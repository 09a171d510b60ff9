"""How numbers, times and foreign text are written, and how lines are fitted to a width."""

import math
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rnts.commands import _format as form
from rnts.commands._population import events
from rnts.commands._table import Column, Part, fit, labelled, line, table

MILLISECOND_NS, SECOND_NS = 10**6, 10**9
UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (form.count(0), "0"),
        (form.count(7), "7"),
        (form.count(999), "999"),
        (form.count(999.6), "1.00k"),
        (form.count(1000), "1.00k"),
        (form.count(12_345), "12.3k"),
        (form.count(99_949), "99.9k"),
        (form.count(99_950), "100k"),
        (form.count(999_499), "999k"),
        (form.count(999_500), "1.00M"),
        (form.count(2.5e9), "2.50G"),
        (form.count(-1234), "-1.23k"),
        (form.count(3.27), "3.27"),
        (form.count(0.00042), "4.2e-04"),
        (form.exact(1_234_567), "1,234,567"),
        (form.duration(0), "0 ns"),
        (form.duration(999), "999 ns"),
        (form.duration(1_000), "1.00 µs"),
        (form.duration(12_345), "12.3 µs"),
        (form.duration(999.5 * MILLISECOND_NS), "1.00 s"),
        (form.duration(59.9 * SECOND_NS), "59.9 s"),
        (form.duration(83 * SECOND_NS), "1m 23s"),
        (form.duration(-83 * SECOND_NS), "-1m 23s"),
        (form.size(512), "512 B"),
        (form.size(1023), "1.00 KiB"),
        (form.size(1536), "1.50 KiB"),
        (form.size(1 << 30), "1.00 GiB"),
        (form.elapsed(0.9), "0s"),
        (form.elapsed(60), "1m 00s"),
        (form.elapsed(3600 + 7 * 60), "1h 07m"),
        (form.elapsed(2 * 86_400 + 3 * 3600), "2d 03h"),
        (form.age(0, 59 * SECOND_NS), "59s"),
        (form.age(0, 3600 * SECOND_NS), "1h"),
        (form.age(SECOND_NS, 0), "0s"),
        (form.percent(0.0054), "0.54 %"),
        (form.percent(1), "100 %"),
        (form.quantity(1_500, "ns"), "1.50 µs"),
        (form.quantity(1_536, "B"), "1.50 KiB"),
        (form.quantity(61.04, "%"), "61.0 %"),
        (form.quantity(1_536, "1"), "1.54k"),
    ],
)
def test_numbers_have_three_digits_and_a_unit(shown: str, expected: str) -> None:
    """The table of how numbers are written, with the edges where the unit changes."""
    assert shown == expected


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "7", True, [7], {}])
def test_what_is_no_number_is_a_dash(value: object) -> None:
    """A value that is absent, or of another type in another version, is never shown as a number."""
    shown = (
        form.count(value),
        form.exact(value),
        form.duration(value),
        form.size(value),
        form.elapsed(value),
        form.percent(value),
        form.clock(value),
        form.age(value, 0),
        form.age(0, value),
    )
    assert set(shown) == {form.ABSENT}


@given(st.floats(0.01, 9.99e14))
def test_a_count_is_right_to_half_a_percent(value: float) -> None:
    """Three digits keep the value, and the text is never wider than its column."""
    shown = form.count(value)
    unit = shown.lstrip("-0123456789.")

    assert len(shown) <= 7
    assert float(shown.removesuffix(unit)) * UNITS[unit] == pytest.approx(value, rel=0.5)
    if value >= 1:
        assert float(shown.removesuffix(unit)) * UNITS[unit] == pytest.approx(value, rel=0.0051)


def test_the_clock_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of day are those of the people before the screen; impossible ones are a dash."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "XYZ-2")
        time.tzset()
        assert form.clock(0) == "02:00:00"
    time.tzset()
    assert form.clock(1e40) == form.ABSENT


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([0, 0], "▁▁"),
        ([1, 1], "██"),
        ([0, 0.001, 8], "▁▂█"),
        ([None, 4, None, 8], " ▅ █"),
        ([1, 2, 3, 4, 5, 6, 7], "▂▃▄▅▆▇█"),
    ],
)
def test_a_sparkline_tells_zero_from_little_and_from_nothing(
    values: list[float | None], bars: str
) -> None:
    """Zero is the lowest bar, any more is higher, and what is not known is blank."""
    assert form.sparkline(values) == bars


@given(st.text())
def test_visible_text_holds_nothing_that_steers(text: str) -> None:
    """No control, format, private, unassigned or lone surrogate character is left."""
    shown = form.visible(text)
    hidden = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}

    assert not hidden & {unicodedata.category(character) for character in shown}
    assert form.visible(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [red]name[/red]", "plain [red]name[/red]"),
        ("視覚野 é ñ", "視覚野 é ñ"),
        ("a\x1b[31mb\x07", "a\\x1b[31mb\\x07"),
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\u202eevil", "\\u202eevil"),
        ("👍🏽", "👍\\U0001f3fd"),
        ("\ud800", "\\ud800"),
    ],
    ids=ascii,
)
def test_visible_text_shows_what_was_there(text: str, shown: str) -> None:
    """Ordinary text stays; the rest is in Python's notation."""
    assert form.visible(text) == shown


@given(st.text(), st.integers(0, 40), st.booleans())
def test_fitted_text_has_exactly_its_cells(text: str, cells: int, to_right: bool) -> None:
    """Wide characters, combining ones and escapes included."""
    assert cell_len(fit(text, cells, to_right)) == cells


@given(st.lists(st.tuples(st.text(), st.just("bold"))), st.integers(0, 60))
def test_a_line_keeps_its_width(cells: list[tuple[str, str]], width: int) -> None:
    """However many cells: one line, cut at the width."""
    drawn = line(cells, width).plain

    assert cell_len(drawn) <= width
    assert "\n" not in drawn


def test_a_table_drops_columns_before_it_cuts_numbers() -> None:
    """The highest rank goes first; those that stay are whole."""
    columns = (
        Column("name", 6, share=1, is_text=True),
        Column("a", 5, rank=1),
        Column("b", 5, 0, 2),
    )
    rows = [(("neuron", ""), ("12345", ""), ("67890", ""))]

    def drawn(width: int) -> list[str]:
        return [text.plain for text in table(columns, rows, width)]

    assert drawn(24) == ["name            a      b", "neuron      12345  67890"]
    assert drawn(19) == ["name              a", "neuron        12345"]
    assert drawn(12) == ["name        ", "neuron      "]


def test_a_labelled_line_drops_parts_whole() -> None:
    """Parts go by rank, the lowest stays, and the label gets short where room is scarce."""
    parts = [Part(rank, ((text, ""),)) for rank, text in ((1, "p50 1 ns"), (0, "p99 2 ns"))]

    assert labelled("processing", parts, 60, "proc").plain == "processing  p50 1 ns  p99 2 ns"
    assert labelled("processing", parts, 24, "proc").plain == "proc p50 1 ns  p99 2 ns"
    assert labelled("processing", parts, 22, "proc").plain == "proc p99 2 ns"


@pytest.mark.parametrize(("peer", "shown"), [("nginx[7]", "nginx[7] · reset"), (None, "9 · reset")])
def test_a_peer_goes_by_its_name_where_it_has_one(peer: str | None, shown: str) -> None:
    """An id of twenty digits says nothing to a person."""
    lost = {"type": "ConnectionLost", "peer_id": "9", "reason": "reset", "name": "a", "peer": peer}
    (row,) = events({"events": {"recent": [lost]}}).rows

    assert row[-1][0] == shown
