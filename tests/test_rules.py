"""What conditions mean, and what is said about those that mean nothing."""

import re
import subprocess
import sys
from pathlib import Path

import naive_rules
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rnts.rules import vocabulary
from rnts.rules.condition import Condition, Reading, parse_condition, parse_quantity
from rnts.rules.faults import RuleError
from rnts.rules.program import Program

SECOND = 1_000_000_000
MANUAL = (Path(__file__).parents[1] / "docs" / "rules.md").read_text()
EXAMPLE = r"^\| `(.+)` \| ([-0-9.? ]+) \| (true|false|unknown) \| (\S+) \|$"
EXAMPLES = re.findall(EXAMPLE, MANUAL, re.MULTILINE)
TRUTHS = {"true": 1.0, "false": 0.0, "unknown": None}


def said(text: str) -> str:
    """What is said about a text that is no condition."""
    with pytest.raises(RuleError) as caught:
        parse_condition(text)
    return str(caught.value)


def number(text: str) -> float | None:
    """A number of the manual."""
    return None if text == "?" else float(text)


def test_manual_has_examples() -> None:
    """The pattern finds the table that the next test runs."""
    assert len(EXAMPLES) == 15


@pytest.mark.parametrize(("text", "read", "truth", "value"), EXAMPLES)
def test_examples_of_the_manual_are_true(text: str, read: str, truth: str, value: str) -> None:
    """Each row of the table holds, by the kernel and by the naive evaluator."""
    condition = parse_condition(text)
    given = [number(each) for each in read.split()]
    assert len(condition.readings) == len(given)
    expected = TRUTHS[truth], number(value)

    results = np.zeros((2, 1, 1))
    column = np.array([[np.nan if each is None else each] for each in given])
    Program([condition]).evaluate(column, results[0], results[1])
    assert [None if np.isnan(each) else each for each in results.ravel()] == [*expected]

    known = dict(zip([reading[:3] for reading in condition.readings], given, strict=True))
    plain = text.partition(" for ")[0]
    assert naive_rules.evaluate(plain, lambda *reading: known[reading]) == expected


def test_conditions_of_the_manual_are_read() -> None:
    """The first block of examples is valid, and so is every name in the tables."""
    block = re.search(r"```rules\n(.*?)```", MANUAL, re.DOTALL)
    assert block
    scopes = [parse_condition(line).scope for line in block[1].splitlines()]
    assert scopes == ["all", "neuron", "all", "group", "neuron", "host", "all"]
    for name in (*vocabulary.COUNTS, *vocabulary.FUNCTIONS, *vocabulary.HEALTH):
        assert f"`{name}" in MANUAL, name


def test_a_condition_has_scope_readings_and_duration() -> None:
    """What is read is named in the model's terms, each once, with its window and scope."""
    text = "p99_9_processing_time_ms over 50ms > 1 and p99_90(processing_time_s) over 50ms < 2 and "
    found = parse_condition(text + "queue_depth > 1 for 1.5s")
    assert (found.scope, found.scope_is_given, found.for_ns) == ("neuron", False, 3 * SECOND // 2)
    assert found.readings == (
        Reading("p99_9", "processing_time_ns", SECOND // 20, "neuron"),
        Reading("last", "queue_depth", 0, "neuron"),
    )


def test_clauses_stand_in_any_order() -> None:
    """`by` before `for` or behind it is the same."""

    def clauses(found: Condition) -> tuple[str, bool, int]:
        return found.scope, found.scope_is_given, found.for_ns

    expected = ("host", True, 2 * SECOND)
    assert clauses(parse_condition("errors > 1 by host for 2s")) == expected
    assert clauses(parse_condition("errors > 1\n for 2s\tby host")) == expected


FAULTS = {
    "": "1:1: the condition is empty",
    "queue_depth": "1:1: a number is neither true nor false; compare it, as in error_rate > 0.5",
    "1 > 2": "1:1: nothing in it depends on any neuron",
    "p99_procesing_time_ms > 1": (
        "1:1: unknown name p99_procesing_time_ms; did you mean p99_processing_time_ms?"
    ),
    "processing_time > 1": (
        "1:1: processing_time has no unit; write processing_time_ns or processing_time_us "
        "or processing_time_ms or processing_time_s"
    ),
    "meen(queue_depth) > 1": "1:1: unknown function meen; did you mean mean?",
    "mean(queue_depht) > 1": "1:6: unknown metric queue_depht; did you mean queue_depth?",
    "mean(1) > 1": "1:1: mean takes the name of one metric, as in mean(queue_depth)",
    "p0_queue_depth > 1": "1:1: a percentile is above 0 and below 100",
    "health == 'critcal'": "1:11: unknown state critcal; did you mean critical?",
    "health == critical": (
        "1:11: unknown name critical; a state is a text: health_status == 'critical'"
    ),
    "health == 2": "1:1: a state is compared with a text, as in health_status == 'critical'",
    "health > 'critical'": "1:10: states have no order; write == or != instead of >",
    "errors == 'critical'": "1:11: only health_status is compared with a text",
    "rate(queue_depth) > 1": (
        "1:1: rate cannot be asked of queue_depth: it is a level and no counter: "
        "ask mean(…) or delta(…) of it"
    ),
    "queue_depth over 5s > 1": (
        "1:1: queue_depth alone is the last value of a neuron and has no window; "
        "write max(queue_depth) over …"
    ),
    "min(queue_depth) over 5ms > 1": (
        "1:23: a window is 10ms to 1h long, and a whole number of 10ms"
    ),
    "absent(queue_depth, 2h)": "1:21: a window is 10ms to 1h long, and a whole number of 10ms",
    "(errors + 1) over 5s > 1": "1:1: over belongs to one name or function, not to a calculation",
    "processing_time_ms > 5s": (
        "1:22: a duration follows over, for, or absent(…); other times are numbers in the unit "
        "of the name, as in p99_processing_time_ms > 100"
    ),
    "processing_time_ms > memory_mb": (
        "1:22: mb cannot be compared with ms; write both in one unit"
    ),
    "queue_depth > 1 by group": (
        "1:1: queue_depth is of one neuron; by group there is mean, min or max of it"
    ),
    "health == 'critical' and neurons > 1": (
        "1:26: neurons counts neurons and says nothing about one; this condition is by neuron, "
        "because of health"
    ),
    "errors > 1 for 3": "1:16: for is followed by a duration, such as 30s or 5m",
    "errors > 1 by groop": "1:15: by is followed by a scope; did you mean group?",
    "errors > 1 for 3s for 4s": "1:19: for stands twice",
    "errors >\n5 records": "2:3: records follows 5 without a sign between them",
    "errors >": "1:9: the expression ends too early",
    "errors && records": "1:8: && has no meaning here; write and",
    "errors > 1 if records else 2": (
        "1:1: if has no meaning in a condition; write comparisons joined by and, or, not"
    ),
    "errors in (1, 2)": (
        "1:1: in has no meaning in a condition; write comparisons joined by and, or, not"
    ),
    "errors, records": (
        "1:1: a list has no meaning in a condition; write comparisons joined by and, or, not"
    ),
    "f'x' == health": "1:2: the text follows f without a sign",
    "health == 'a' 'b'": "1:15: 'b' follows 'a' without a sign between them",
    r"health == 'a\x'": "1:13: a text holds no backslash",
    "errors > 1e999": "1:10: the number is too large",
    "errors.real > 1": (
        "1:7: .real is neither number nor duration; numbers are written as 100, 0.5 or 1e-3, "
        "durations as 5s or 500ms"
    ),
    "health == '\udcff'": "1:12: this is no character",
    "errors[0] > 1": "1:7: [ has no meaning here; windows are written as over 5s",
    "avg(queue_depth) > 1": "1:1: unknown function avg; did you mean mean?",
    "AVG_queue_depth > 1": "1:1: unknown name AVG_queue_depth; did you mean mean_queue_depth?",
    "P99_processing_time_ms > 1": (
        "1:1: unknown name P99_processing_time_ms; did you mean p99_processing_time_ms?"
    ),
    "p99.9(queue_depth) > 1": "1:4: p99.9 has no point; write p99_9",
    "p99.9_queue_depth > 1": "1:4: p99.9_queue_depth has no point; write p99_9",
    "p100(queue_depth) > 1": "1:1: a percentile is above 0 and below 100",
    "sum(messages_sent) > 1": (
        "1:1: unknown function sum; rate(…) and delta(…) of a counter are sums over its neurons"
    ),
    "rate > 1": "1:1: rate is a function of a metric, as in rate(messages_sent)",
    "rate(errors) > 1": (
        "1:6: rate is of a metric, and errors is none; it stands alone, as in errors over 5s"
    ),
    "mean(Queue_Depth) > 1": "1:6: unknown metric Queue_Depth; did you mean queue_depth?",
    "mean(queue_depth, 5s) > 1": ("1:19: a window is written behind it: mean(queue_depth) over …"),
    "mean(messages) > 1": (
        "1:6: unknown metric messages; known here: processing_time_ns, processing_time_us, "
        "processing_time_ms, processing_time_s, queue_depth, memory_bytes, memory_kb, "
        "memory_mb, …"
    ),
    "group == 'a'": (
        "1:1: group has no value: a condition is asked of each by itself, as by group or by host "
        "says, and never of one by its name"
    ),
    "errors > 1 AND records > 2": "1:12: AND has no meaning here; write and",
    "NOT errors > 1": "1:1: NOT has no meaning here; write not",
    "errors > 1 BY group": "1:12: BY has no meaning here; write by",
    "errors > 1 by GROUP": "1:15: by is followed by a scope; did you mean group?",
    "errors over 5 s > 1": "1:13: 5 s is one word: 5s",
    "error_rate > 50%": (
        "1:16: % has no meaning here; write a name in percent, as error_rate_percent > 50"
    ),
    "errors => 1": "1:8: => has no meaning here; write >=",
    "errors >> 1": "1:8: >> has no meaning here; write >",
    "errors \u2265 1": "1:8: \u2265 has no meaning here; write >=",
    "health == \u2018critical\u2019": "1:11: \u2018 has no meaning here; write '",
    "errors > 1,000": "1:11: numbers have no commas: 1,000 is 1000",
    "health == 'CRITICAL'": "1:11: unknown state CRITICAL; did you mean critical?",
    "queue_depth > 1 / (2 - 2)": "1:20: what is divided by 0 is never known",
    "x > 1 and y > 2 and errors > 3": (
        "1:1: unknown name x; known here: activation_count, processing_time_ns, "
        "processing_time_us, processing_time_ms, processing_time_s, queue_depth, memory_bytes, "
        "memory_kb, …\n"
        "1:11: unknown name y; known here: activation_count, processing_time_ns, "
        "processing_time_us, processing_time_ms, processing_time_s, queue_depth, memory_bytes, "
        "memory_kb, …"
    ),
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_told_with_its_place_and_what_to_write(text: str) -> None:
    """Line and column within the condition, what is wrong, and the nearest name."""
    assert said(text) == FAULTS[text]


@pytest.mark.parametrize(
    "text",
    ["-" * 3_000 + "errors > 1", "not " * 900 + "errors > 1", "errors" + " + 1" * 900 + " > 1",
     "(" * 900 + "errors" + ")" * 900 + " > 1", "errors > 1 and " * 400 + "errors > 1",
     "errors > " + "1" * 100, "1 < " * 600 + "errors"],
)  # fmt: skip
def test_length_and_depth_have_limits(text: str) -> None:
    """What is too long, too deep or too large is refused in words, without running out of stack."""
    assert re.search("at most (4096 characters|1024 words)|more than 32|too long", said(text))


PIECES = [*vocabulary.known_names(), *vocabulary.known_functions(), *"()+-*/<>=!,.'\"[]{}\\#@:;~\n"]
PIECES += ["5s", "0", "1.5", "over", "by", "for", "and", "or", "not", "in", "is", "if", "else", "é"]
PIECES += ["group", "lambda", "await", "yield", "None", "'critical'", "0x1", "1_0", "1j", "µs"]


@example(["errors", " over", " 5µs", "> 1"])
@given(st.lists(st.sampled_from([*PIECES, " "]), max_size=25) | st.text().map(lambda text: [text]))
def test_no_text_raises_anything_but_its_faults(pieces: list[str]) -> None:
    """Whatever is written, it is a condition or is told why not, at a place within the text."""
    for text in ("".join(pieces), " ".join(pieces)):
        for parse in (parse_condition, parse_quantity):
            try:
                assert parse(text).readings
            except RuleError as error:
                assert error.faults
                assert all(0 <= fault.position <= len(text) for fault in error.faults)


def test_what_is_watched_is_no_text_and_has_no_for() -> None:
    """A standing query may be a number or a state; `for` belongs to alerts."""
    assert parse_quantity("health").scope == "neuron"
    assert parse_quantity("p99_processing_time_ms by group").scope == "group"
    for text in ("'critical'", "1 + 1", "errors for 5s"):
        with pytest.raises(RuleError):
            parse_quantity(text)


@pytest.mark.parametrize("length", ["3s", "0s"])
def test_a_duration_that_does_not_belong_there_is_told_at_its_place(length: str) -> None:
    """Where something is only watched, `for` is marked and not the begin of the expression."""
    with pytest.raises(RuleError, match="for belongs to conditions of alerts") as caught:
        parse_quantity(f"error_rate > 0.5 for {length} by group")
    assert [fault.position for fault in caught.value.faults] == [17]


def test_reading_conditions_loads_no_numpy() -> None:
    """Files are checked by commands that start quickly."""
    program = "import sys, rnts.rules.condition, rnts.rules.words; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
