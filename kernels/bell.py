"""The bell: a word of a lane by which a record that ends a silence wakes the agent.

Guarantee: who records rings at most once for each time that the agent lies down to sleep, and else
only looks at a word that lies in its cache. A ring that is lost, by a death between the record and
it or by the order of stores, costs time and no record: the agent looks by and by all the same.
Cost: a load and a branch a record; 2 to 10 us where it rings, the kernel's futex(2).
"""

import platform
from typing import Any

from llvmlite import ir

from rnts.kernels._jit import OBJECTS, device, intrinsic
from rnts.kernels.atomics import load_acquire, store_release

if OBJECTS is None:
    from numba import types
    from numba.core import cgutils

BELL = 8  # in a lane's block: 1 while the agent sleeps, and 0 once somebody has rung
ASLEEP = 1

# Words of what `wait_any` waits for, `struct futex_waitv` of Linux: the value that a word has as
# long as nobody rings, its address, and its kind.
VALUE, ADDRESS, KIND = range(3)
WAIT_WORDS = 3
WAITS_MAX = 128  # the kernel's FUTEX_WAITV_MAX
KIND_SHARED = 2  # FUTEX2_SIZE_U32, between processes

_I64, _I32 = ir.IntType(64), ir.IntType(32)
_TIMESPEC = ir.LiteralStructType([_I64, _I64])
_NS = 1_000_000_000
_CLOCK_MONOTONIC = 1
_FUTEX_WAITV = 449  # on every architecture
# By name of the architecture; what is not here is not rung, and -1 is no system call.
FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}.get(platform.machine(), -1)
_WAKE, _ONE = 1, 1


def _call_system(builder: Any, *words: Any) -> Any:
    """Emit libc's syscall(2), by name, so that it caches; -1 for whatever went wrong."""
    kind = ir.FunctionType(_I64, [_I64], var_arg=True)
    call = cgutils.get_or_insert_function(builder.module, kind, "syscall")
    return builder.call(call, words)


@intrinsic
def order_all(typing_context):
    """Have each store before this be seen before any load behind it happens."""

    def generate(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def wake(typing_context, address):
    """Wake one process that waits for the lower half of the word at `address`; waits for none."""

    def generate(context, builder, signature, arguments):
        _call_system(builder, _I64(FUTEX), arguments[0], _I64(_WAKE), _I64(_ONE))
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def wait_any(typing_context, waits, count, deadline_ns):
    """Sleep until one of the first `count` words that `waits` tells of is rung; -1 if none is.

    waits:        int64[count, WAIT_WORDS]
    deadline_ns:  of the steady clock

    It also is -1, at once, where a word has another value already, is no memory, or where this
    Linux (before 5.16) cannot do that.
    """

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        room = cgutils.alloca_once(builder, _TIMESPEC)
        spec = ir.Constant(_TIMESPEC, ir.Undefined)
        seconds = builder.sdiv(arguments[2], _I64(_NS))
        spec = builder.insert_value(spec, seconds, 0)
        spec = builder.insert_value(spec, builder.srem(arguments[2], _I64(_NS)), 1)
        builder.store(spec, room)
        address, until = (builder.ptrtoint(pointer, _I64) for pointer in (array.data, room))
        return _call_system(
            builder, _I64(_FUTEX_WAITV), address, arguments[1], _I64(0), until,
            _I64(_CLOCK_MONOTONIC),
        )  # fmt: skip

    return types.int64(waits, types.int64, types.int64), generate


@device
def ring(lane):
    """Wake the agent, which was asleep."""
    store_release(lane + BELL, 0)
    wake(lane + BELL)


@device
def is_rung(lane):
    """Whether the agent sleeps, so that who has published something rings."""
    return load_acquire(lane + BELL) != 0
