"""What the fold does to all columns of a record at once: read them, and add them up.

Guarantee: each column is what its formula says, in double precision, nothing fused or reordered.
Cost: 5 ns to read a record, 5 ns to add it to a row of moments.
"""

from typing import Any

from llvmlite import ir

from rnts.kernels._jit import OBJECTS, intrinsic
from rnts.kernels.vectors import (
    F64,
    HALF,
    I8,
    I64,
    LANES,
    Rows,
    constant,
    extreme,
    joined,
    lanes_of,
    moved,
    spread,
)

if OBJECTS is None:
    from numba import types

WHOLE_COLUMNS = HALF  # the first columns are whole numbers, the others floats
# A float from here on is refused, as NaN and infinity are: sums of such could leave the range.
NUMBER_LIMIT = 1e250


@intrinsic
def observe_row(
    typing_context, values, source, rows, last, observed, target, says, keeps, counters
):
    """Write what a record says, a number a column; returns how many of its floats are refused.

    values:    int64[:]: its fields from cell `source` on; floats are the bits of their float64
    rows:      int64[:]: the last values from cell `last` on; those of the mask `keeps` are replaced
    observed:  float64[:], written from cell `target` on: NaN where the mask `says` has no bit
    counters:  mask of the columns that yield their increase: since 0 if they are less than before
    """

    def generate(context, builder, signature, arguments):
        _, source, _, last, _, target, says, keeps, counters = arguments
        rows = Rows(context, builder, signature, arguments)
        raw, before = rows.load(0, source, I64, LANES), rows.load(2, last, I64, LANES)
        whole = _whole_numbers(builder, rows, source, last, counters)
        floats = rows.load(0, moved(builder, source, WHOLE_COLUMNS), F64)
        floats, refused = _floats(builder, floats, says)
        every = joined(builder, whole, floats)
        nothing = constant(F64, float("nan"), LANES)
        said, kept = lanes_of(builder, says, LANES), lanes_of(builder, keeps, LANES)
        rows.store(4, target, builder.select(said, every, nothing))
        rows.store(2, last, builder.select(kept, raw, before))
        return refused

    masks = (types.int64, types.int64, types.int64)
    return types.int64(values, source, rows, last, observed, target, *masks), generate


def _whole_numbers(builder: Any, rows: Rows, source: Any, last: Any, counters: Any) -> Any:
    """The whole numbers of a record, those of counters less what they were before."""
    raw, before = rows.load(0, source, I64), rows.load(2, last, I64)
    has_grown = builder.icmp_unsigned(">=", raw, before)
    is_increase = builder.and_(lanes_of(builder, counters), has_grown)
    base = builder.select(is_increase, before, constant(I64, 0))
    return builder.uitofp(builder.sub(raw, base), ir.VectorType(F64, HALF))


def _floats(builder: Any, floats: Any, says: Any) -> tuple[Any, Any]:
    """The floats of a record, NaN for those that are none, and how many of these it does say."""
    below = builder.fcmp_ordered("<", floats, constant(F64, NUMBER_LIMIT))
    above = builder.fcmp_ordered(">", floats, constant(F64, -NUMBER_LIMIT))
    is_fine = builder.and_(below, above)
    said = lanes_of(builder, says, first=WHOLE_COLUMNS)
    refused = builder.bitcast(builder.and_(said, builder.not_(is_fine)), I8)
    fine = builder.select(is_fine, floats, constant(F64, float("nan")))
    return fine, builder.zext(builder.ctpop(refused), I64)


@intrinsic
def add_row(typing_context, observed, source, weight, weighted, moments, row):
    """Add a record's columns to a row of moments; NaN adds nothing.

    Moments are four rows from cell `row` on: weights, weighted sums, least and greatest. `weight`
    applies to the columns of the mask `weighted`, to others 1.
    """

    def generate(context, builder, signature, arguments):
        _add_to(builder, Rows(context, builder, signature, arguments), arguments, (4,))
        return context.get_dummy_value()

    words = (observed, source, types.float64, types.int64, moments, row)
    return types.void(*words), generate


@intrinsic
def add_rows(typing_context, observed, source, weight, weighted, moments, row, others, other):
    """The same to two rows at once, of moments and of others: what adds up is computed once."""

    def generate(context, builder, signature, arguments):
        _add_to(builder, Rows(context, builder, signature, arguments), arguments, (4, 6))
        return context.get_dummy_value()

    words = (observed, source, types.float64, types.int64, moments, row, others, other)
    return types.void(*words), generate


def _add_to(builder: Any, rows: Rows, arguments: Any, targets: tuple[int, ...]) -> None:
    """Add a record to rows of moments, by the numbers of their arguments; cells follow them."""
    _, source, weight, weighted, *_ = arguments
    for lane in range(0, LANES, HALF):
        values = rows.load(0, moved(builder, source, lane), F64)
        applies = lanes_of(builder, weighted, first=lane)
        share = builder.select(applies, spread(builder, weight), constant(F64, 1.0))
        parts = _parts(builder, values, share)
        for target in targets:
            _add_parts(builder, rows, target, moved(builder, arguments[target + 1], lane), parts)


def _parts(builder: Any, values: Any, share: Any) -> list[Any]:
    """What values add to weights, sums, least and greatest; for NaN what changes none of them."""
    present = builder.fcmp_ordered("ord", values, values)
    weighted = builder.fmul(share, values)
    neutral = (0.0, 0.0, float("inf"), float("-inf"))
    return [
        builder.select(present, part, constant(F64, nothing))
        for part, nothing in zip((share, weighted, values, values), neutral, strict=True)
    ]


def _add_parts(builder: Any, rows: Rows, array: int, first: Any, parts: list[Any]) -> None:
    """Join the parts to the rows of moments from cell `first` on."""
    places = [moved(builder, first, number * LANES) for number in range(len(parts))]
    count, total, least, most = (rows.load(array, place, F64) for place in places)
    rows.store(array, places[0], builder.fadd(count, parts[0]))
    rows.store(array, places[1], builder.fadd(total, parts[1]))
    rows.store(array, places[2], extreme(builder, "minnum", least, parts[2]))
    rows.store(array, places[3], extreme(builder, "maxnum", most, parts[3]))
