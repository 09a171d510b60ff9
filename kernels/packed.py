"""Builtins that write records which Python has packed, and count those that it cannot pack.

Guarantee: that of `kernels/builtin.py`; each record is begun and published for itself. Cost: 80 ns
a call.
"""

from typing import Any

from rnts.kernels import pyapi
from rnts.kernels._jit import builtin, inlined
from rnts.kernels.atomics import load, store, store_release
from rnts.kernels.builtin import LANE, Plan, health_in
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
from rnts.kernels.sampling import (
    LEFT_OUT,
    NO_HEALTH,
    NORMAL,
    SWITCH,
    admit,
    keep,
    mark_error,
    told,
    weigh,
)

_FUNCTION = "int64(int64, int64, int64)"  # METH_FASTCALL


@inlined
def _admit_made(numbers, lane, source, slots):
    """(decision, place, health) as `admit` has them; only samples without a text are left out."""
    kind_sample, health_field, kind_event, type_word, type_shift, type_error = numbers
    header = load(source)
    kind, mask = header & 0xFF, (header >> 32) & 0xFFFFFFFF
    health = health_in(source, mask, health_field) if kind == kind_sample else NO_HEALTH
    if kind == kind_sample and slots == 1:
        weight, place = admit(lane, load(source + 8), NORMAL, health)
        return weight, place, health
    type_of_event = (load(source + 8 * type_word) >> type_shift) & 0xFF
    is_error = kind == kind_event and type_of_event == type_error
    if kind != kind_sample and not is_error:
        return 0, 0, NO_HEALTH
    place = keep(lane, load(source + 8))
    if is_error:
        mark_error(place)
        place = 0  # it is no sample
    return 0, place, health


def compile_append(plan: Plan) -> Any:
    """`append(emitter, slots, records, address) -> taken`: write records that are made already.

    One record of any number of slots, or many of one slot each: as many as there is room for, each
    begun and published for itself; the rest is counted as `lane_full`. Without a lane: -1.
    """
    numbers, weight_field = (plan.header & 0xFF, plan.health, *plan.error), plan.weight

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
        for i in range(records):
            at = source + ((i * slots) << SLOT_SHIFT)
            weight, place, health = 0, 0, NO_HEALTH
            if load(lane + SWITCH) != 0:
                weight, place, health = _admit_made(numbers, lane, at, slots)
                if weight == LEFT_OUT:
                    taken += 1
                    continue
            if claim(lane, slots) == 0:
                continue
            tail, mask = load(lane + TAIL), load(lane + SLOT_MASK)
            first = lane + load(lane + DATA_DELTA)
            for k in range(slots):
                target = first + (((tail + k) & mask) << SLOT_SHIFT)
                copy_slot(at + (k << SLOT_SHIFT), target)
            if weight != 0:
                target = first + ((tail & mask) << SLOT_SHIFT)
                header = load(target)
                fields = weigh(target, (header >> 32) & 0xFFFFFFFF, weight, weight_field)
                store(target, header & 0xFFFFFFFF | fields << 32)
            publish(lane, slots)
            if place != 0:
                told(place, health)
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
