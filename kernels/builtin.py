"""Python builtins that write a lane: compiled by Numba, called by CPython as its own are.

Guarantee: arguments are converted before the lane is touched; from then on no Python runs and the
GIL is held, so that all threads of a process may share one lane. A record is written whole or not
at all. Cost: a snapshot of fourteen metrics about 80 ns, of which the clock is 20.

What `record` cannot do by itself (there is no lane yet, an argument is not a plain number, an error
has to be explained) it leaves to a Python function, with the arguments as they came.
"""

from typing import Any, NamedTuple

from rnts.kernels import pyapi
from rnts.kernels._jit import builtin, inlined
from rnts.kernels.arguments import Argument, convert, spell
from rnts.kernels.atomics import load, now_ns, store
from rnts.kernels.lane import SLOT_SHIFT, claim, copy_slot, publish
from rnts.kernels.sampling import LEFT_OUT, NO_HEALTH, SWITCH, admit, told, weigh

# Words of an emitter: the memory in which a producer tells its builtins what they need to know.
LANE = 0  # address of the lane; 0 while there is none
FALLBACK = 1  # the Python function that does the rest; 0 where telemetry is off
NONE, FLOAT, INT = 2, 3, 4  # objects that arguments are compared with, and their type
FINISH = 5  # the Python function that finishes an activation
ACTIVATION = 6  # the type of activations
KEYWORDS = 7  # the names of the arguments in their order, the time at last; interned

SLOT_WORDS = (1 << SLOT_SHIFT) // 8
_CALL_MAX = 64  # arguments that are handed on to the Python function
_slot_on_stack = pyapi.stack_of(SLOT_WORDS)
_given_on_stack = pyapi.stack_of(SLOT_WORDS + 1)
_call_on_stack = pyapi.stack_of(_CALL_MAX + 1)
_METHOD = "int64(int64, int64, int64, int64)"  # METH_FASTCALL | METH_KEYWORDS


class Plan(NamedTuple):
    """What `record` is compiled for.

    words_offset: in a neuron, of the bytes object with its id and the addresses of its emitter and
                  of its count of activations
    bytes_offset: in a bytes object, of its bytes
    header:       the first word of a record without text, less its mask
    arguments:    at most 16, in their order; the time comes behind them, by its name only
    finishing:    first word of a record of an activation, and the words of its count and duration
    activation_offsets: in an activation, of its neuron and of the int of when it began
    health, weight: word, shift and bit in the mask of these fields
    error:        kind of an event; word, shift and value of the type that says it is an error

    It is compiled for the Python that runs: Numba's cache is, too.
    """

    words_offset: int
    bytes_offset: int
    header: int
    arguments: tuple[Argument, ...]
    finishing: tuple[int, int, int]
    activation_offsets: tuple[int, int]
    health: tuple[int, int, int]
    weight: tuple[int, int, int]
    error: tuple[int, int, int, int]


@inlined
def _again(emitter, neuron, arguments, count, keywords):
    """Call the Python function with the neuron and the arguments, and return what it returns."""
    function = load(emitter + 8 * FALLBACK)
    if function == 0:
        return pyapi.from_bool(0)
    total = count
    if keywords != 0:
        total += load(keywords + pyapi.TUPLE_SIZE)
    if total > _CALL_MAX:
        pyapi.bad_argument()
        return 0
    handed = _call_on_stack()
    store(handed, neuron)
    for i in range(total):
        store(handed + 8 + 8 * i, load(arguments + 8 * i))
    return pyapi.vectorcall(function, handed, count + 1, keywords)


@inlined
def _place_keywords(emitter, given, values, keywords, count, names):
    """Put arguments given by name where they belong; 0 where a name is unknown or given twice.

    Names are compared by address: CPython interns those that stand in a program. Who passes them
    in our order has each found at once.
    """
    table = emitter + 8 * KEYWORDS
    hint = count
    for j in range(load(keywords + pyapi.TUPLE_SIZE)):
        name = load(keywords + pyapi.TUPLE_ITEMS + 8 * j)
        i = hint
        while i < names and load(table + 8 * i) != name:
            i += 1
        if i >= names:
            i = 0
            while i < hint and load(table + 8 * i) != name:
                i += 1
            if i >= hint:
                return 0
        if load(given + 8 * i) != 0:
            return 0
        store(given + 8 * i, load(values + 8 * j))
        hint = i + 1
    return 1


@inlined
def health_in(slot, mask, field):
    """The health that a sample tells, or NO_HEALTH."""
    word, shift, bit = field
    if mask & bit == 0:
        return NO_HEALTH
    return (load(slot + 8 * word) >> shift) & 0xFF


@inlined
def _collect(emitter, given, arguments, count, keywords, names):
    """Put all arguments where they belong, 0 for those that are not given; whether that went."""
    for i in range(count):
        store(given + 8 * i, load(arguments + 8 * i))
    for i in range(count, names):
        store(given + 8 * i, 0)
    return keywords == 0 or _place_keywords(
        emitter, given, arguments + 8 * count, keywords, count, names
    )


@inlined
def _write(numbers, lane, words, slot, mask, time_ns):
    """Write a sample that is converted; 1 if it is on its way, or left out, 0 if it is dropped.

    `numbers` are those of the plan: a builtin that referred to a function made for it would be
    another one in each process.
    """
    header, bytes_offset, health_field, weight_field = numbers
    neuron_id, place, health = load(words + bytes_offset), 0, NO_HEALTH
    if load(lane + SWITCH) != 0:
        health = health_in(slot, mask, health_field)
        weight, place = admit(lane, neuron_id, load(words + bytes_offset + 24), health)
        if weight == LEFT_OUT:
            return 1
        if weight != 0:
            mask = weigh(slot, mask, weight, weight_field)
    if time_ns == 0:
        time_ns = now_ns()
    store(slot, header | mask << 32)
    store(slot + 8, neuron_id)
    store(slot + 16, time_ns)
    target = claim(lane, 1)
    if target == 0:
        return 0
    copy_slot(slot, target)
    publish(lane, 1)
    if place != 0:
        told(place, health)
    return 1


def compile_record(plan: Plan) -> Any:
    """`record(neuron, …)`: a method of the type of neurons, as a C function."""
    words_offset, bytes_offset = plan.words_offset, plan.bytes_offset
    count_max, spelled = len(plan.arguments), spell(plan.arguments)
    numbers = plan.header, bytes_offset, plan.health, plan.weight

    @builtin(_METHOD)
    def record(neuron, arguments, count, keywords):
        words = load(neuron + words_offset)
        if words == 0:
            pyapi.bad_argument()
            return 0
        emitter = load(words + bytes_offset + 8)
        given, slot = _given_on_stack(), _slot_on_stack()
        mask = -1  # what has to be left to Python
        lane = load(emitter + 8 * LANE)
        if (
            lane != 0
            and count <= count_max
            and _collect(emitter, given, arguments, count, keywords, count_max + 1)
        ):
            mask = convert(given, slot, emitter + 8 * NONE, spelled)
        time_ns = load(given + 8 * count_max)
        if mask != -1:
            if time_ns == 0 or time_ns == load(emitter + 8 * NONE):
                time_ns = 0  # now, which is read as late as can be
            else:
                time_ns = pyapi.as_int(time_ns)
                if time_ns <= 0:
                    mask = -1
            lane = load(emitter + 8 * LANE)  # what was converted may have run any Python meanwhile
        if mask == -1 or lane == 0:
            pyapi.clear_error()
            return _again(emitter, neuron, arguments, count, keywords)
        return pyapi.from_bool(_write(numbers, lane, words, slot, mask, time_ns))

    return record
