"""Converts the arguments of a builtin to the words of a record, unrolled when it is compiled.

Guarantee: what is no plain number, or does not fit its field, is refused and not shortened; None
counts as not given. Cost: about 1 ns an argument. Floats and ints of up to 60 bits are read where
they lie, in the ways of the Pythons that are known here; all else is asked of CPython.
"""

import sys
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rnts.kernels.pyapi import FLOAT_VALUE, I64, INT_SIZE, TYPE, call

U64, U32, F32, F64, U8 = range(5)  # storages of fields, as the model numbers them
_LIMITS = {U32: (1 << 32) - 1, U8: (1 << 8) - 1}
_WORD_FIELDS = 3  # before it lie kind, neuron and time
_SLOT_WORDS = 16
_F32, _F64, _I32 = ir.FloatType(), ir.DoubleType(), ir.IntType(32)
_ALL_ONES = (1 << 64) - 1
# An int is its size, as the version of CPython writes it, and digits of 30 bits in 32. For each
# version: the bits of the size that count, and their value for one digit and for two, without sign.
_DIGITS, _DIGIT_BITS = 24, 30
_SIZES = {(3, 11): (_ALL_ONES, 1, 2)} | {
    (3, minor): (~4 & _ALL_ONES, 8, 16) for minor in (12, 13, 14)
}
SIZE_OF_INT = _SIZES.get(sys.version_info[:2])


class Argument(NamedTuple):
    """Where an argument goes: a storage, its place in a slot, its bit in the mask."""

    storage: int
    word: int
    shift: int
    bit: int


def spell(arguments: tuple[Argument, ...]) -> str:
    """Arguments as the text that `convert` takes: a constant that Numba's cache knows apart."""
    return ";".join(",".join(map(str, argument)) for argument in arguments)


@intrinsic
def convert(typing_context, given, slot, objects, arguments):
    """Convert what is given; returns the mask, or -1, perhaps with an exception set.

    `given` has an object for each of the arguments, or 0; `objects` the objects None, float and
    int; `arguments` says in a literal which arguments they are. Words 3 … 15 of `slot` are written,
    those of absent fields with 0.
    """
    if not isinstance(arguments, types.StringLiteral):
        return None
    known = [Argument(*map(int, text.split(","))) for text in arguments.literal_value.split(";")]

    def generate(context, builder, signature, values):
        return _Emission(builder, *values[:3]).convert(known)

    return types.int64(*[types.int64] * 3, arguments), generate


class _Emission:
    """The code of one converter while it is written."""

    def __init__(self, builder: Any, given: Any, slot: Any, objects: Any) -> None:
        self.builder = builder
        self.given, self.slot = given, slot
        self.none, self.float_type, self.int_type = (self.load(objects, 8 * i) for i in range(3))
        self.refused = builder.append_basic_block("refused")
        self.mask = cgutils.alloca_once_value(builder, I64(0))

    def convert(self, arguments: list[Argument]) -> Any:
        """Write it all; the value that the converter returns."""
        builder = self.builder
        for word in range(_WORD_FIELDS, _SLOT_WORDS):
            self.store(self.slot, 8 * word, I64(0))
        for index, argument in enumerate(arguments):
            value = self.load(self.given, 8 * index)
            is_there = builder.and_(
                builder.icmp_unsigned("!=", value, I64(0)),
                builder.icmp_unsigned("!=", value, self.none),
            )
            with builder.if_then(is_there):
                self.put(argument, value)
        converted, done = builder.block, builder.append_basic_block("done")
        mask = builder.load(self.mask)
        builder.branch(done)
        builder.position_at_end(self.refused)
        builder.branch(done)
        builder.position_at_end(done)
        result = builder.phi(I64)
        result.add_incoming(mask, converted)
        result.add_incoming(I64(-1), self.refused)
        return result

    def put(self, argument: Argument, value: Any) -> None:
        """Write one field that is there, and its bit."""
        builder = self.builder
        is_float = argument.storage in (F32, F64)
        bits = self.number(argument, value) if is_float else self.whole(argument, value)
        offset = 8 * argument.word
        if argument.storage not in (U64, F64):
            bits = builder.shl(bits, I64(argument.shift))
            bits = builder.or_(bits, self.load(self.slot, offset))
        self.store(self.slot, offset, bits)
        mask = builder.or_(builder.load(self.mask), I64(1 << argument.bit))
        builder.store(mask, self.mask)

    def whole(self, argument: Argument, value: Any) -> Any:
        """An int as a word."""
        builder = self.builder
        found = cgutils.alloca_once(builder, I64)
        with builder.if_else(self.read_small(value, found), likely=True) as (then, otherwise):
            with then:
                pass
            with otherwise:
                asked = call(builder, "PyLong_AsUnsignedLongLong", I64, value)
                builder.store(asked, found)
                is_suspect = builder.icmp_unsigned("==", asked, I64(_ALL_ONES))
                with builder.if_then(is_suspect, likely=False):
                    self.refuse_if(self.is_error())
        bits = builder.load(found)
        if argument.storage != U64:
            self.refuse_if(builder.icmp_unsigned(">", bits, I64(_LIMITS[argument.storage])))
        return bits

    def read_small(self, value: Any, found: Any) -> Any:
        """Read an int of one or two digits into `found`; whether it is one."""
        builder = self.builder
        if SIZE_OF_INT is None:
            return ir.IntType(1)(0)
        counting, one, two = SIZE_OF_INT
        size = builder.and_(self.load(value, INT_SIZE), I64(counting))
        has_two = builder.icmp_unsigned("==", size, I64(two))
        has_either = builder.or_(builder.icmp_unsigned("==", size, I64(one)), has_two)
        digits = self.load(value, _DIGITS)
        low = builder.and_(digits, I64((1 << _DIGIT_BITS) - 1))
        high = builder.shl(builder.lshr(digits, I64(32)), I64(_DIGIT_BITS))
        builder.store(builder.or_(low, builder.select(has_two, high, I64(0))), found)
        is_int = builder.icmp_unsigned("==", self.load(value, TYPE), self.int_type)
        return builder.and_(is_int, has_either)

    def number(self, argument: Argument, value: Any) -> Any:
        """A float, or what CPython makes one of, as a word."""
        builder = self.builder
        found = cgutils.alloca_once(builder, _F64)
        is_plain = builder.icmp_unsigned("==", self.load(value, TYPE), self.float_type)
        with builder.if_else(is_plain, likely=True) as (then, otherwise):
            with then:
                word = self.load(value, FLOAT_VALUE)
                builder.store(builder.bitcast(word, _F64), found)
            with otherwise:
                asked = call(builder, "PyFloat_AsDouble", _F64, value)
                builder.store(asked, found)
                with builder.if_then(builder.fcmp_ordered("==", asked, _F64(-1)), likely=False):
                    self.refuse_if(self.is_error())
        exact = builder.load(found)
        if argument.storage == F64:
            return builder.bitcast(exact, I64)
        narrow = builder.fptrunc(exact, _F32)
        infinite = [_F64(float("inf")), _F64(float("-inf"))]
        was = [builder.fcmp_ordered("==", exact, limit) for limit in infinite]
        wide = builder.fpext(narrow, _F64)
        now = [builder.fcmp_ordered("==", wide, limit) for limit in infinite]
        grew = builder.and_(builder.or_(*now), builder.not_(builder.or_(*was)))
        self.refuse_if(grew)
        return builder.zext(builder.bitcast(narrow, _I32), I64)

    def is_error(self) -> Any:
        """Whether an exception is set."""
        return self.builder.icmp_unsigned("!=", call(self.builder, "PyErr_Occurred", I64), I64(0))

    def refuse_if(self, condition: Any) -> None:
        """Give the whole record up where the condition holds."""
        go_on = self.builder.append_basic_block("go_on")
        self.builder.cbranch(condition, self.refused, go_on)
        self.builder.position_at_end(go_on)

    def load(self, address: Any, offset: int) -> Any:
        """The word at an address."""
        return self.builder.load(self._pointer(address, offset), typ=I64)

    def store(self, address: Any, offset: int, value: Any) -> None:
        """Write a word."""
        self.builder.store(value, self._pointer(address, offset))

    def _pointer(self, address: Any, offset: int) -> Any:
        word = self.builder.add(address, I64(offset))
        return self.builder.inttoptr(word, I64.as_pointer())
