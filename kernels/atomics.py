"""Loads and stores at addresses with the orders of C11, the wall clock and a sleep, for kernels.

Guarantee: `load_acquire` and `store_release` are single 64-bit accesses (plain moves on x86-64,
ldar and stlr on aarch64) which LLVM neither merges, nor splits, nor moves the wrong way. Cost: that
of the move; `now_ns` about 20 ns (vDSO). Addresses are int64 and must be multiples of 8.
"""

from typing import Any

from llvmlite import ir

from rnts.kernels._jit import OBJECTS, intrinsic

if OBJECTS is None:
    from numba import types
    from numba.core import cgutils

_I64 = ir.IntType(64)
_I32 = ir.IntType(32)
_BYTES = ir.IntType(8).as_pointer()
_TIMESPEC = ir.LiteralStructType([_I64, _I64])
_CLOCK_REALTIME, _CLOCK_MONOTONIC = 0, 1
_NS = 1_000_000_000


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _I64.as_pointer())


@intrinsic
def load(typing_context, address):
    """The word at `address`; for words that only this thread writes, or that were acquired."""

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(builder, arguments[0]), typ=_I64)

    return types.int64(types.int64), generate


@intrinsic
def load_acquire(typing_context, address):
    """The word at `address`; what its writer wrote before releasing it is seen after this."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_pointer(builder, arguments[0]), "acquire", 8, typ=_I64)

    return types.int64(types.int64), generate


@intrinsic
def store(typing_context, address, value):
    """Write a word that nobody reads before a later `store_release` publishes it."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[1], _pointer(builder, arguments[0]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def store_release(typing_context, address, value):
    """Write a word after everything that this thread wrote before."""

    def generate(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], _pointer(builder, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def prefetch(typing_context, address):
    """Fetch the cache line at `address`, to be written soon; waits for nothing, cannot fault."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _I32, _I32, _I32])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", (_BYTES,), kind)
        to_write, near, data = _I32(1), _I32(3), _I32(1)
        builder.call(fetch, [builder.inttoptr(arguments[0], _BYTES), to_write, near, data])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def prefetch_word(typing_context, array, word):
    """Have the cache fetch the line of int64 word `word` of a contiguous array, some time soon."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), _BYTES)
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _I32, _I32, _I32])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [_BYTES], kind)
        builder.call(fetch, [place, _I32(1), _I32(3), _I32(1)])  # to write, keep near, data
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


@intrinsic
def float64_bits(typing_context, value):
    """The 64 bits of a float64, as int64."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], _I64)

    return types.int64(types.float64), generate


@intrinsic
def float32_bits(typing_context, value):
    """The 32 bits of a float32, as int64 without sign."""

    def generate(context, builder, signature, arguments):
        return builder.zext(builder.bitcast(arguments[0], _I32), _I64)

    return types.int64(types.float32), generate


@intrinsic
def multiply_float32(typing_context, one, other):
    """The bits of the product of two float32 that are given by their bits, all as int64."""

    def generate(context, builder, signature, arguments):
        kind = ir.FloatType()
        factors = [builder.bitcast(builder.trunc(a, _I32), kind) for a in arguments]
        product = builder.bitcast(builder.fmul(*factors), _I32)
        return builder.zext(product, _I64)

    return types.int64(types.int64, types.int64), generate


def _read_clock(context, builder, clock):
    """Emit a call of libc's clock_gettime by name, so that it caches; nanoseconds as an int64."""
    spec = cgutils.alloca_once(builder, _TIMESPEC)
    kind = ir.FunctionType(_I32, [_I32, _TIMESPEC.as_pointer()])
    read = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
    builder.call(read, [_I32(clock), spec])
    value = builder.load(spec, typ=_TIMESPEC)
    seconds = builder.mul(builder.extract_value(value, 0), _I64(_NS))
    return builder.add(seconds, builder.extract_value(value, 1))


@intrinsic
def now_ns(typing_context):
    """Nanoseconds since the epoch, as int64."""

    def generate(context, builder, signature, arguments):
        return _read_clock(context, builder, _CLOCK_REALTIME)

    return types.int64(), generate


@intrinsic
def steady_ns(typing_context):
    """Nanoseconds of the clock that nobody sets, as int64: that of Python's perf_counter_ns."""

    def generate(context, builder, signature, arguments):
        return _read_clock(context, builder, _CLOCK_MONOTONIC)

    return types.int64(), generate


@intrinsic
def sleep_ns(typing_context, duration_ns):
    """Give the core away for `duration_ns` (less than a second); a signal cuts it short."""

    def generate(context, builder, signature, arguments):
        spec = cgutils.alloca_once(builder, _TIMESPEC)
        value = builder.insert_value(ir.Constant(_TIMESPEC, ir.Undefined), _I64(0), 0)
        builder.store(builder.insert_value(value, arguments[0], 1), spec)
        kind = ir.FunctionType(_I32, [_TIMESPEC.as_pointer(), _I64.as_pointer()])
        sleep = cgutils.get_or_insert_function(builder.module, kind, "nanosleep")
        builder.call(sleep, [spec, ir.Constant(_I64.as_pointer(), None)])
        return context.get_dummy_value()

    return types.void(types.int64), generate
