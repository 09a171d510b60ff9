"""The kernel and the naive evaluator agree on conditions that hypothesis writes."""

import math
from typing import Any

import naive_rules
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnts.kernels.conditions import BLOCK
from rnts.rules.condition import Reading, parse_condition, parse_quantity
from rnts.rules.faults import RuleError
from rnts.rules.program import Program, programs

# Names that may stand beside each other: those of one unit, and those of none.
LEVELS = {
    "ms": ["processing_time_ms"],
    "us": ["processing_time_us"],
    "mb": ["memory_mb"],
    "bytes": ["memory_bytes"],
    "percent": ["cpu_usage_percent", "cache_hit_rate_percent", "noise_ratio_percent"],
    "": ["queue_depth", "connection_count", "signal_strength", "activation_potential"],
}
COUNTERS = ["activation_count", "messages_sent", "messages_received"]
WINDOWS = st.sampled_from(["", "", " over 50ms", " over 5s", " over 1m"])
VALUES = st.sampled_from([math.nan, 0.0, 1.0, 2.0, 3.0, 100.0, 2e6, -1.0, 0.5, 1e300, math.inf])


def readings_of(unit: str, scope: str) -> list[str]:
    """What can be asked of a scope, in a unit or in none."""
    names = {*LEVELS[unit], *LEVELS[""]}
    asked = [f"{function}_{name}" for function in ("mean", "min", "max") for name in names]
    asked += [f"{function}({name})" for function in ("mean", "max", "count") for name in names]
    asked += [f"rate({name})" for name in COUNTERS] + [f"delta_{name}" for name in COUNTERS]
    asked += ["errors", "records", "error_rate"]
    if unit == "percent":
        asked += ["error_rate_percent"]
    timed = [name for name in names if scope != "neuron" or name.startswith("processing")]
    asked += [f"{p}({name})" for p in ("p50", "p99_9", "p99_90") for name in timed]
    if scope == "neuron":
        asked += [f"delta({name})" for name in names]
    else:
        asked += ["affected_neurons", "active_neurons"]
    return sorted(asked)


def now_of(unit: str, scope: str) -> list[str]:
    """What can be asked of a scope that has no window."""
    if scope == "neuron":
        return [*LEVELS[unit], *LEVELS[""], *COUNTERS]
    return ["neurons", "critical_neurons", "degraded_neurons"]


def readings(unit: str, scope: str) -> st.SearchStrategy[str]:
    """One reading, with or without a window."""
    windowed = st.builds("{}{}".format, st.sampled_from(readings_of(unit, scope)), WINDOWS)
    return windowed | st.sampled_from(now_of(unit, scope))


def numbers(unit: str, scope: str) -> st.SearchStrategy[str]:
    """Expressions that are numbers, some of them of numbers alone."""
    leaves = readings(unit, scope) | st.sampled_from(["0", "1", "2", "0.5", "1e300"])
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner)
            | st.builds("-{}".format, inner)
        ),
        max_leaves=4,
    )


def truths(unit: str, scope: str) -> st.SearchStrategy[str]:
    """Expressions that are true or not, and depend on a reading."""
    number, sign = numbers(unit, scope), st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    reading = readings(unit, scope)
    some = reading | st.builds("({} {} {})".format, number, st.sampled_from("+-*/"), reading)
    leaves = st.builds("{} {} {}".format, some, sign, number)
    leaves |= st.builds("{} {} {}".format, number, sign, some)
    leaves |= st.builds("{} {} {} {} {}".format, number, sign, some, sign, number)
    leaves |= st.sampled_from(["absent(activation_count, 5s)", "absent(queue_depth) over 1m"])
    if scope == "neuron":
        states = st.sampled_from(list(naive_rules.STATES))
        leaves |= st.builds("health_status {} '{}'".format, st.sampled_from(["==", "!="]), states)
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds("({} and {})".format, inner, inner)
            | st.builds("({} or {} or {})".format, inner, inner, inner)
            | st.builds("not {}".format, inner)
        ),
        max_leaves=5,
    )


def is_condition(text: str) -> bool:
    """Whether a text is a condition: what is divided by a zero that is written out is none."""
    try:
        parse_condition(text)
    except RuleError as error:
        assert {fault.message for fault in error.faults} == {"what is divided by 0 is never known"}
        return False
    return True


@st.composite
def rules_of_one_scope(draw: Any) -> tuple[str, list[str]]:
    """A scope, and up to four conditions of it."""
    scope = draw(st.sampled_from(["neuron", "group", "all"]))
    unit = draw(st.sampled_from(list(LEVELS)))
    rules = truths(unit, scope).filter(lambda text: is_condition(f"{text} by {scope}"))
    return scope, draw(st.lists(rules, min_size=1, max_size=4))


def drawn_readings(draw: Any, program: Program, entities: int) -> NDArray[np.float64]:
    """Numbers, or what is unknown, for each reading and entity."""
    rows = []
    for reading in program.readings:
        most = {"health": 3, "health_or_unknown": 3, "absent": 1}.get(reading.function)
        few = st.sampled_from([math.nan, *map(float, range((most or 0) + 1))])
        one = few if most else VALUES
        rows.append(draw(st.lists(one, min_size=entities, max_size=entities)))
    return np.array(rows).reshape(len(rows), entities)


def as_unknown(value: float) -> float | None:
    """None for what is unknown."""
    return None if math.isnan(value) else value


def run(program: Program, columns: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """Truth and values; what was there before does not matter."""
    shape = (len(program.rules), columns.shape[1])
    truth, values = np.full(shape, 7.0), np.full(shape, 7.0)
    program.evaluate(np.ascontiguousarray(columns), truth, values)
    return truth, values


@settings(deadline=None)
@given(rules_of_one_scope(), st.data())
def test_kernel_and_naive_evaluator_agree(rules: tuple[str, list[str]], data: Any) -> None:
    """Truth and value are those of docs/rules.md for each entity, what is unknown included."""
    scope, texts = rules
    program = Program([parse_condition(f"{text} by {scope}") for text in texts])
    columns = drawn_readings(data.draw, program, 5)
    copies = data.draw(st.sampled_from([1, 1, BLOCK // 5 + 7]))

    truth, values = run(program, np.tile(columns, copies))

    for entity in range(5):
        known = dict(zip(program.readings, columns[:, entity].tolist(), strict=True))

        def read(function: str, metric: str, window_ns: int, known: Any = known) -> float | None:
            return as_unknown(known[Reading(function, metric, window_ns, scope)])

        for row, text in enumerate(texts):
            expected = naive_rules.evaluate(text, read)
            for copy in (0, copies - 1):
                at = copy * 5 + entity
                found = as_unknown(truth[row, at]), as_unknown(values[row, at])
                assert found == expected, text


@pytest.mark.parametrize("entities", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_every_entity_is_evaluated_once(entities: int) -> None:
    """The last block may be shorter, and none may be empty."""
    program = Program([parse_condition("queue_depth > 10 and queue_depth < 1e6")])
    depths = np.arange(entities, dtype=float)

    truth, values = run(program, depths.reshape(1, -1))

    assert truth.tolist() == [(depths > 10).astype(float).tolist()]
    assert values.tolist() == [depths.tolist()]


def test_rules_are_split_by_scope() -> None:
    """One program for each scope, in which rules share the readings that they have in common."""
    texts = ["queue_depth > 1", "errors > 2", "queue_depth > 3 and error_rate > 0.5", "errors > 4"]
    found = programs([parse_condition(text) for text in texts])

    assert {scope: len(program.rules) for scope, program in found.items()} == {
        "neuron": 2,
        "all": 2,
    }
    assert [reading.function for reading in found["neuron"].readings] == ["last", "error_rate"]
    assert [reading.function for reading in found["all"].readings] == ["errors"]


def test_what_is_watched_may_be_a_number() -> None:
    """A standing query's value is the number itself, in the unit of its name."""
    program = Program([parse_quantity("p99_processing_time_ms by group")])

    truth, values = run(program, np.array([[2e6, math.nan]]))

    np.testing.assert_array_equal(values, [[2.0, math.nan]])
    np.testing.assert_array_equal(truth, values)


def test_columns_of_another_shape_are_misuse() -> None:
    """The kernel does not check, so `evaluate` does."""
    program = Program([parse_condition("queue_depth > 1")])
    for readings, rules in (((2, 3), (1, 3)), ((1, 3), (2, 3)), ((1, 3), (1, 4))):
        with pytest.raises(ValueError):
            program.evaluate(np.zeros(readings), np.zeros(rules), np.zeros(rules))
    with pytest.raises(ValueError, match="one scope"):
        Program([parse_condition("queue_depth > 1"), parse_condition("errors > 1")])
