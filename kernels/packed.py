"""Builtins that write records which Python has packed, and count those that it cannot pack.

Guarantee: that of `kernels/builtin.py`; each record is begun and published for itself. Cost: 80 ns
a call.
"""

from typing import Any

from rnts.kernels import pyapi
from rnts.kernels._jit import builtin
from rnts.kernels.atomics import load, store_release
from rnts.kernels.builtin import LANE
from rnts.kernels.lane import (
    ATTEMPTS,
    DATA_DELTA,
    SLOT_MASK,
    SLOT_SHIFT,
    TAIL,
    claim,
    copy_slot,
    publish,
)

_FUNCTION = "int64(int64, int64, int64)"  # METH_FASTCALL


def compile_append() -> Any:
    """`append(emitter, slots, records, address) -> taken`: write records that are made already.

    One record of any number of slots, or many of one slot each: as many as there is room for, each
    begun and published for itself; the rest is counted as `lane_full`. Without a lane: -1.
    """

    @builtin(_FUNCTION)
    def append(module, arguments, count):
        if count != 4:
            pyapi.bad_argument()
            return 0
        lane = load(pyapi.as_int(load(arguments)) + 8 * LANE)
        slots = pyapi.as_int(load(arguments + 8))
        records = pyapi.as_int(load(arguments + 16))
        source = pyapi.as_int(load(arguments + 24))
        if lane == 0 or pyapi.error() != 0:
            return 0 if pyapi.error() != 0 else pyapi.from_int(-1)
        taken = 0
        for _ in range(records):
            if claim(lane, slots) == 0:
                continue
            tail, mask = load(lane + TAIL), load(lane + SLOT_MASK)
            first = lane + load(lane + DATA_DELTA)
            for k in range(slots):
                copy_slot(source, first + (((tail + k) & mask) << SLOT_SHIFT))
                source += 1 << SLOT_SHIFT
            publish(lane, slots)
            taken += 1
        return pyapi.from_int(taken)

    return append


def compile_refuse() -> Any:
    """`refuse(emitter, offset, records) -> records`: count records under the drop at `offset`."""

    @builtin(_FUNCTION)
    def refuse(module, arguments, count):
        if count != 3:
            pyapi.bad_argument()
            return 0
        lane = load(pyapi.as_int(load(arguments)) + 8 * LANE)
        offset = pyapi.as_int(load(arguments + 8))
        records = pyapi.as_int(load(arguments + 16))
        if pyapi.error() != 0:
            return 0
        if lane != 0:
            store_release(lane + ATTEMPTS, load(lane + ATTEMPTS) + records)
            store_release(lane + offset, load(lane + offset) + records)
        return pyapi.from_int(records)

    return refuse
