"""The builtins of the compiled emitter as Python objects, and the proof that they write right."""

import ctypes
from collections.abc import Iterator
from typing import Any

from rnts.kernels import builtin, packed
from rnts.kernels.arguments import Argument
from rnts.misuse import RECORD_ARGUMENTS
from rnts.model import FIELD, SLOT_BYTES, Kind
from rnts.neuron import Neuron
from rnts.writer import SAMPLE_FORMAT, fields_of

BUILTINS = 4
BYTES_OFFSET = bytes.__basicsize__ - 1  # where in a bytes object its bytes lie
_METH_FASTCALL, _METH_KEYWORDS, _METH_O = 0x80, 0x02, 0x08
_HEADER = int(Kind.SAMPLE) | 1 << 8
_ARGUMENTS = tuple(
    Argument(int(FIELD[name].storage), FIELD[name].word, FIELD[name].shift, FIELD[name].bit)
    for name in RECORD_ARGUMENTS
)
_COUNT, _DURATION = FIELD["activation_count"], FIELD["processing_time_ns"]
_FINISHING = _HEADER | (_COUNT.mask | _DURATION.mask) << 32, _COUNT.word, _DURATION.word
_kept: list[Any] = []  # what C code points to, for the life of the process
_ready: dict[str, Any] = {}


class CompiledNeuron(Neuron):
    """A neuron whose `record` and `finish` are builtins, which `prepare` puts here."""

    __slots__ = ()


class _Method(ctypes.Structure):
    """A PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def _method(name: str, compiled: Any, flags: int, doc: str) -> int:
    """Address of a PyMethodDef for compiled code; both are there to stay."""
    made = _Method(name.encode(), compiled.address, flags, doc.encode())
    _kept.append((made, compiled))
    return ctypes.addressof(made)


def _function(name: str, compiled: Any) -> Any:
    """A builtin function."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    return make(_method(name, compiled, _METH_FASTCALL, ""), None, None)


def plan() -> builtin.Plan:
    """What the builtins are compiled for: this model, and the neurons of this Python."""
    return builtin.Plan(_words_offset(), BYTES_OFFSET, _HEADER, _ARGUMENTS, _FINISHING)


def prepare() -> Iterator[tuple[str, bool]]:
    """Compile or load the builtins, once; yields (name, whether its code was there already)."""
    if _ready:
        return
    record = builtin.compile_record(plan())
    yield "record", record.cache_hits > 0
    finish = builtin.compile_finish(plan())
    yield "finish", finish.cache_hits > 0
    refuse = packed.compile_refuse()
    yield "refuse", refuse.cache_hits > 0
    append = packed.compile_append()
    yield "append", append.cache_hits > 0
    flags = _METH_FASTCALL | _METH_KEYWORDS
    CompiledNeuron.record = _method_of_neurons("record", record, flags)
    # By another way than an assignment, since mypy takes `finish` for what it is in Python.
    setattr(CompiledNeuron, "finish", _method_of_neurons("finish", finish, _METH_O))  # noqa: B010
    _ready.update(
        record=CompiledNeuron.__dict__["record"],
        finish=CompiledNeuron.__dict__["finish"],
        refuse=_function("refuse", refuse),
        append=_function("append", append),
    )


def prepared(name: str) -> Any:
    """A builtin by its name; `record` takes a neuron of any class."""
    for _ in prepare():
        pass
    return _ready[name]


def _method_of_neurons(name: str, compiled: Any, flags: int) -> Any:
    """A builtin as a method of neurons, which checks that it is called with one."""
    make = ctypes.pythonapi.PyDescr_NewMethod
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.py_object, ctypes.c_void_p]
    doc = getattr(Neuron, name).__doc__ or ""
    return make(Neuron, _method(name, compiled, flags, doc))


def _words_offset() -> int:
    """Where in a neuron the address of its words lies: found in one, not taken from a header."""
    probe, words = CompiledNeuron.__new__(CompiledNeuron), bytes(24)
    probe._words = words
    for offset in range(object.__basicsize__, CompiledNeuron.__basicsize__, 8):
        if ctypes.c_uint64.from_address(id(probe) + offset).value == id(words):
            return offset
    raise RuntimeError("neurons of this Python keep no addresses")


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
