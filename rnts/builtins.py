"""The builtins of the compiled emitter as Python objects, and the proof that they write right."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

from rnts import cfunctions
from rnts.kernels import activations, builtin, packed
from rnts.kernels.arguments import Argument
from rnts.misuse import RECORD_ARGUMENTS
from rnts.model import EVENT, FIELD, SLOT_BYTES, Field, Kind
from rnts.neuron import Activation, Neuron
from rnts.writer import SAMPLE_FORMAT, fields_of

BYTES_OFFSET = bytes.__basicsize__ - 1  # where in a bytes object its bytes lie
_HEADER = int(Kind.SAMPLE) | 1 << 8
_ARGUMENTS = tuple(
    Argument(int(FIELD[name].storage), FIELD[name].word, FIELD[name].shift, FIELD[name].bit)
    for name in RECORD_ARGUMENTS
)
_COUNT, _DURATION = FIELD["activation_count"], FIELD["processing_time_ns"]
_FINISHING = _HEADER | (_COUNT.mask | _DURATION.mask) << 32, _COUNT.word, _DURATION.word
_kept: list[Any] = []  # code that CPython points to, for the life of the process
_ready: dict[str, Any] = {}


class CompiledNeuron(Neuron):
    """A neuron whose hot methods are builtins, which `prepare` puts here."""

    __slots__ = ()


class CompiledActivation(Activation):
    """An activation that begins and ends by builtins, which `prepare` puts here."""

    __slots__ = ()


def plan() -> builtin.Plan:
    """What the builtins are compiled for: this model, and the neurons of this Python."""
    offsets = _offset(CompiledActivation, "_neuron"), _offset(CompiledActivation, "_start_ns")
    words = _offset(CompiledNeuron, "_words")
    kind = FIELD["event_type"]
    error = int(Kind.EVENT), kind.word, kind.shift, EVENT["ErrorOccurred"].code
    return builtin.Plan(
        words, BYTES_OFFSET, _HEADER, _ARGUMENTS, _FINISHING, offsets,
        _place(FIELD["health"]), _place(FIELD["weight"]), error,
    )  # fmt: skip


def _place(field: Field) -> tuple[int, int, int]:
    """Where a field is: its word, its shift in that, its bit in the mask."""
    return field.word, field.shift, field.mask


def prepare() -> Iterator[tuple[str, bool]]:
    """Compile or load the builtins, once; yields (name, whether its code was there already)."""
    if _ready:
        return
    made, known = {}, plan()
    for name, (compile_it, _, _) in _BUILTINS.items():
        made[name] = compile_it(known)
        yield name, made[name].cache_hits > 0
    for name, (_, owner, flags) in _BUILTINS.items():
        _kept.append(made[name])
        address = made[name].address
        if owner is None:
            _ready[name] = cfunctions.function(name, address, flags)
            continue
        doc = getattr(owner, name).__doc__ or ""
        _ready[name] = cfunctions.method(owner.__bases__[0], name, address, flags, doc)
        setattr(owner, name, _ready[name])


def prepared(name: str) -> Any:
    """A builtin by its name; `record` takes a neuron of any class."""
    for _ in prepare():
        pass
    return _ready[name]


def _offset(owner: type, name: str) -> int:
    """Where in an object of a type an attribute's address lies: found, not taken from a header."""
    probe: Any = object.__new__(owner)
    value = object()
    setattr(probe, name, value)
    for offset in range(object.__basicsize__, owner.__basicsize__, 8):
        if ctypes.c_uint64.from_address(id(probe) + offset).value == id(value):
            return offset
    raise RuntimeError(f"in this Python {owner.__name__} keeps no addresses")


# How each is compiled, whose method it is, and how CPython calls it.
_BUILTINS: dict[str, tuple[Callable[[builtin.Plan], Any], type | None, int]] = {
    "record": (builtin.compile_record, CompiledNeuron, cfunctions.FASTCALL | cfunctions.KEYWORDS),
    "finish": (activations.compile_finish, CompiledNeuron, cfunctions.ONE_ARGUMENT),
    "activation": (activations.compile_activation, CompiledNeuron, cfunctions.NO_ARGUMENT),
    "__enter__": (activations.compile_enter, CompiledActivation, cfunctions.NO_ARGUMENT),
    "__exit__": (activations.compile_exit, CompiledActivation, cfunctions.FASTCALL),
    "refuse": (lambda _: packed.compile_refuse(), None, cfunctions.FASTCALL),
    "append": (packed.compile_append, None, cfunctions.FASTCALL),
}
BUILTINS = len(_BUILTINS)


def _proof(row: int) -> tuple[int | float | None, ...]:
    """Arguments of one record: sizes at which ints change their form, floats with a sign, gaps."""
    values: list[int | float | None] = []
    for position, name in enumerate(RECORD_ARGUMENTS):
        storage = FIELD[name].storage
        turn = (row + position) % len(_WHOLE)
        if storage.is_float:
            values.append(_REAL[turn])
        else:
            values.append(_WHOLE[turn] & (1 << storage.bits) - 1)
    return tuple(None if i % len(_WHOLE) == row else value for i, value in enumerate(values))


_WHOLE = (0, 1, (1 << 30) - 1, 1 << 30, (1 << 60) - 1, 1 << 60, 1 << 63, (1 << 64) - 1)
_REAL = (0.0, -0.0, 1.5, -2.25, float("inf"), float("-inf"), 3, -7)
PROOFS = tuple(_proof(row) for row in range(len(_WHOLE)))


def expected(neuron_id: int, time_ns: int) -> bytes:
    """The slots that the builtin has to make of PROOFS."""
    slots = []
    for values in PROOFS:
        given = dict(zip(RECORD_ARGUMENTS, values, strict=True))
        mask = sum(FIELD[name].mask for name, value in given.items() if value is not None)
        ordered = [given[field.name] for field in fields_of(Kind.SAMPLE)]
        fields = [0 if value is None else value for value in ordered]
        packed = SAMPLE_FORMAT.pack(int(Kind.SAMPLE), 1, 0, mask, neuron_id, time_ns, *fields)
        slots.append(packed.ljust(SLOT_BYTES, b"\0"))
    return b"".join(slots)
