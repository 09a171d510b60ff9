"""Rows of lanes in LLVM's language: what kernels do to all sixteen columns of a record at once.

A compiled loop over arrays that may overlap has to find out, for each row, that they do not, and
keeps too much in memory meanwhile: written as vectors, a row takes a third of that.
"""

from typing import Any

from llvmlite import ir

LANES = 16
HALF = 8  # what is done in many steps is done by halves: more would not stay in the registers
I1, I8, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()


class Rows:
    """Loads and stores rows of lanes, which begin at any cell of a contiguous array.

    Arrays are told by their numbers among the arguments of the intrinsic.
    """

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self._context, self._builder = context, builder
        self._types, self._arguments = signature.args, arguments

    def _place(self, array: int, cell: Any) -> Any:
        make = self._context.make_array(self._types[array])
        data = make(self._context, self._builder, self._arguments[array]).data
        return self._builder.gep(data, [cell])

    def load(self, array: int, cell: Any, kind: Any, lanes: int = HALF) -> Any:
        """The lanes from a cell on."""
        row = ir.VectorType(kind, lanes)
        pointer = self._builder.bitcast(self._place(array, cell), row.as_pointer())
        return self._builder.load(pointer, align=_bytes_of(kind), typ=row)

    def load_cell(self, array: int, cell: Any) -> Any:
        """One cell."""
        return self._builder.load(self._place(array, cell))

    def store(self, array: int, cell: Any, row: Any) -> None:
        """Write lanes from a cell on."""
        pointer = self._builder.bitcast(self._place(array, cell), row.type.as_pointer())
        self._builder.store(row, pointer, align=_bytes_of(row.type.element))


def _bytes_of(kind: Any) -> int:
    """What a row is aligned to: it begins at any cell, not where vectors do."""
    return kind.width // 8 if isinstance(kind, ir.IntType) else 8


def constant(kind: Any, value: Any, lanes: int = HALF) -> Any:
    """A row with the same constant in each lane."""
    return ir.Constant(ir.VectorType(kind, lanes), [value] * lanes)


def spread(builder: Any, scalar: Any, lanes: int = HALF) -> Any:
    """A row with the same number in each lane."""
    nothing = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(nothing, scalar, I32(0))
    return builder.shuffle_vector(first, nothing, constant(I32, 0, lanes))


def lanes_of(builder: Any, mask: Any, lanes: int = HALF, first: int = 0) -> Any:
    """The bits of a mask, from bit `first` on, as a truth for each lane."""
    bits = builder.trunc(builder.lshr(mask, I64(first)), ir.IntType(lanes))
    return builder.bitcast(bits, ir.VectorType(I1, lanes))


def joined(builder: Any, low: Any, high: Any) -> Any:
    """Two halves as one row."""
    order = ir.Constant(ir.VectorType(I32, LANES), list(range(LANES)))
    return builder.shuffle_vector(low, high, order)


def every_second(builder: Any, row: Any, first: int) -> Any:
    """Every second lane, from lane `first` on."""
    order = ir.Constant(ir.VectorType(I32, row.type.count // 2), [*range(first, row.type.count, 2)])
    return builder.shuffle_vector(row, row, order)


def moved(builder: Any, cell: Any, cells: int) -> Any:
    """A cell further on."""
    return builder.add(cell, ir.Constant(cell.type, cells))


def extreme(builder: Any, name: str, left: Any, right: Any) -> Any:
    """The lesser ("minnum") or greater ("maxnum") of each lane, none of which is NaN.

    A comparison and a choice would do, too, but where they go back to the place that they came
    from, LLVM makes masked stores of them, which are microcode on some processors: 52 ns a row.
    """
    kind = left.type
    full_name = f"llvm.{name}.v{kind.count}f64"
    function = builder.module.globals.get(full_name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(kind, [kind, kind]), full_name)
    return builder.call(function, [left, right], fastmath=("nnan",))


def fused(builder: Any, left: Any, right: Any, more: Any) -> Any:
    """left * right + more of singles, in one step where the processor has one."""
    kind = left.type
    name = f"llvm.fmuladd.v{kind.count}f32"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
    return builder.call(function, [left, right, more])
