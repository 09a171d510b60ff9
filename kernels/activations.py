"""Builtins that time activations: `with neuron.activation()` without a line of Python.

Guarantee: that of `kernels/builtin.py`; an activation is counted, timed and reported without the
lock of the interpreter changing hands, so that threads cannot part its number from its time. Cost:
two clocks, a record, and an object for each activation.
"""

from typing import Any

from rnts.kernels import pyapi
from rnts.kernels._jit import builtin, inlined
from rnts.kernels.atomics import load, now_ns, steady_ns, store
from rnts.kernels.builtin import ACTIVATION, FALLBACK, FINISH, LANE, NONE, SLOT_WORDS, Plan
from rnts.kernels.lane import claim, publish
from rnts.kernels.sampling import LEFT_OUT, NO_HEALTH, SWITCH, admit, told, weigh

_call_on_stack = pyapi.stack_of(3)
_UNARY = "int64(int64, int64)"  # METH_O and METH_NOARGS
_FUNCTION = "int64(int64, int64, int64)"  # METH_FASTCALL


@inlined
def _report(numbers, neuron, start):
    """Report one activation, given its neuron and the int of when it began; a bool."""
    words_offset, bytes_offset, header, count_word, duration_word, weight_field = numbers
    words = load(neuron + words_offset)
    if words == 0:
        pyapi.bad_argument()
        return 0
    emitter = load(words + bytes_offset + 8)
    start_ns = pyapi.as_int(start)
    if start_ns == -1 and pyapi.error() != 0:
        return 0
    lane = load(emitter + 8 * LANE)
    if lane == 0:
        if load(emitter + 8 * FALLBACK) == 0:
            return pyapi.from_bool(0)
        handed = _call_on_stack()
        store(handed, neuron)
        store(handed + 8, start)
        return pyapi.vectorcall(load(emitter + 8 * FINISH), handed, 2, 0)
    # The number and the times are taken together: threads must not part them.
    counted = load(words + bytes_offset + 16)
    number = load(counted) + 1
    store(counted, number)
    weight, place = 0, 0
    if load(lane + SWITCH) != 0:
        importance = load(words + bytes_offset + 24)
        weight, place = admit(lane, load(words + bytes_offset), importance, NO_HEALTH)
        if weight == LEFT_OUT:
            return pyapi.from_bool(1)
    duration_ns = steady_ns() - start_ns
    time_ns = now_ns()
    target = claim(lane, 1)
    if target == 0:
        return pyapi.from_bool(0)
    for word in range(SLOT_WORDS):
        store(target + 8 * word, 0)
    store(target, header)
    store(target + 8, load(words + bytes_offset))
    store(target + 16, time_ns)
    store(target + 8 * count_word, number)
    store(target + 8 * duration_word, max(0, duration_ns))
    if weight != 0:
        store(target, header | weigh(target, 0, weight, weight_field) << 32)
    publish(lane, 1)
    if place != 0:
        told(place, NO_HEALTH)
    return pyapi.from_bool(1)


def _numbers(plan: Plan) -> tuple[Any, ...]:
    """What `_report` is compiled for.

    A builtin may refer to numbers of its plan, and to no compiled function that is made for it:
    Numba would take that for another one in each process, and compile the builtin anew in each.
    """
    return (plan.words_offset, plan.bytes_offset, *plan.finishing, plan.weight)


def compile_finish(plan: Plan) -> Any:
    """`finish(neuron, start_ns)`: report an activation that began then, by the steady clock."""
    numbers = _numbers(plan)

    @builtin(_UNARY)
    def finish(neuron, start):
        return _report(numbers, neuron, start)

    return finish


def compile_activation(plan: Plan) -> Any:
    """`activation(neuron)`: a new object, of which the neuron is known."""
    words_offset, bytes_offset = plan.words_offset, plan.bytes_offset
    neuron_offset, _ = plan.activation_offsets

    @builtin(_UNARY)
    def activation(neuron, nothing):
        words = load(neuron + words_offset)
        if words == 0:
            pyapi.bad_argument()
            return 0
        made = pyapi.new_object(load(load(words + bytes_offset + 8) + 8 * ACTIVATION), 0)
        if made != 0:
            pyapi.keep(neuron)
            store(made + neuron_offset, neuron)
        return made

    return activation


def compile_enter(plan: Plan) -> Any:
    """`__enter__(activation)`: it begins now."""
    _, start_offset = plan.activation_offsets

    @builtin(_UNARY)
    def enter(activation, nothing):
        start = pyapi.from_int(steady_ns())
        if start == 0:
            return 0
        before = load(activation + start_offset)
        store(activation + start_offset, start)
        pyapi.let_go(before)
        pyapi.keep(activation)
        return activation

    return enter


def compile_exit(plan: Plan) -> Any:
    """`__exit__(activation, …)`: report it, whatever ended it; None, so that errors go on."""
    words_offset, bytes_offset = plan.words_offset, plan.bytes_offset
    neuron_offset, start_offset = plan.activation_offsets
    numbers = _numbers(plan)

    @builtin(_FUNCTION)
    def leave(activation, arguments, count):
        neuron, start = load(activation + neuron_offset), load(activation + start_offset)
        if neuron == 0 or start == 0:
            pyapi.bad_argument()
            return 0
        reported = _report(numbers, neuron, start)
        if reported == 0:
            return 0
        pyapi.let_go(reported)
        none = load(load(load(neuron + words_offset) + bytes_offset + 8) + 8 * NONE)
        pyapi.keep(none)
        return none

    return leave
