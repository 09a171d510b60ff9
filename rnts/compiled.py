"""The compiled emitter of a process: builtins that write one lane for all of its threads.

CPython calls `Neuron.record` as it calls `list.append`: as a method of the type that is a C
function. Under the GIL it runs undivided once its arguments are converted, so the threads need no
lane each; where there is no GIL, or no Numba, `rnts/writer.py` serves.
"""

import ctypes
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rnts import layout
from rnts.emitter import record_values
from rnts.kernels import builtin
from rnts.kernels.arguments import Argument
from rnts.misuse import RECORD_ARGUMENTS, plain_time, plain_values
from rnts.model import FIELD, SLOT_BYTES, SLOTS_MAX, Kind
from rnts.neuron import Neuron
from rnts.segment import Segment
from rnts.text import join_strings

_METH_FASTCALL, _METH_KEYWORDS = 0x80, 0x02
_WORDS = struct.Struct("=QQ")  # of a neuron: its id, the address of its emitter
_HEADER = int(Kind.SAMPLE) | 1 << 8
_BYTES_OFFSET = bytes.__basicsize__ - 1
_ARGUMENTS = tuple(
    Argument(int(FIELD[name].storage), FIELD[name].word, FIELD[name].shift, FIELD[name].bit)
    for name in RECORD_ARGUMENTS
)
_NAMES = [sys.intern(name) for name in (*RECORD_ARGUMENTS, "timestamp_ns")]
BUILTINS = 3
_kept: list[Any] = []  # what C code points to, for the life of the process


class CompiledNeuron(Neuron):
    """A neuron whose `record` is a builtin, which `prepare` puts here."""

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


def prepare() -> Iterator[tuple[str, bool]]:
    """Compile or load the builtins, once; yields (name, whether its code was there already)."""
    if CompiledEmitter._append is not None:
        return
    plan = builtin.Plan(_words_offset(), _BYTES_OFFSET, _HEADER, _ARGUMENTS)
    record = builtin.compile_record(plan)
    yield "record", record.cache_hits > 0
    refuse = builtin.compile_refuse()
    yield "refuse", refuse.cache_hits > 0
    append = builtin.compile_append()
    yield "append", append.cache_hits > 0
    CompiledNeuron.record = _method_of_neurons(record)
    CompiledEmitter._refuse = _function("refuse", refuse)
    CompiledEmitter._append = _function("append", append)


def _method_of_neurons(compiled: Any) -> Any:
    """The builtin `record` as a method of neurons, which checks that it is called with one."""
    make = ctypes.pythonapi.PyDescr_NewMethod
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.py_object, ctypes.c_void_p]
    flags = _METH_FASTCALL | _METH_KEYWORDS
    doc = Neuron.record.__doc__ or ""
    return make(Neuron, _method("record", compiled, flags, doc))


def _words_offset() -> int:
    """Where in a neuron the address of its words lies: found in one, not taken from a header."""
    probe, words = CompiledNeuron.__new__(CompiledNeuron), bytes(_WORDS.size)
    probe._words = words
    for offset in range(object.__basicsize__, CompiledNeuron.__basicsize__, 8):
        if ctypes.c_uint64.from_address(id(probe) + offset).value == id(words):
            return offset
    raise RuntimeError("neurons of this Python keep no addresses")


class _AllThreads:
    """What stands in the place of a producer's thread-local data: the same for each thread.

    It has no attribute `lane`, so neurons that were made before come by and are adopted.
    """

    def __init__(self, writer: "CompiledEmitter") -> None:
        self.writer = writer


class CompiledEmitter:
    """One producer's lane for all threads; it does for other records what a LaneWriter does.

    `attach` is called where there is no lane, and opens this emitter if it can.
    """

    is_compiled = True
    _append: Any = None
    _refuse: Any = None

    def __init__(self, attach: Callable[[], object]) -> None:
        for _ in prepare():
            pass
        self.local = _AllThreads(self)
        self._attach = attach
        self.record = CompiledNeuron.__dict__["record"]  # for neurons of any class
        self._words = array("Q", bytes(8 * (builtin.KEYWORDS + len(_NAMES))))
        self._address = self._words.buffer_info()[0]
        self._words[builtin.FALLBACK] = id(_record_again)
        self._words[builtin.NONE] = id(None)
        self._words[builtin.FLOAT] = id(float)
        for i, name in enumerate(_NAMES):
            self._words[builtin.KEYWORDS + i] = id(name)
        self._segment: Segment | None = None
        _kept.append(self._words)  # neurons know its address and may outlive us

    def open(self, segment: Segment, lane: int) -> None:
        """Write to a lane from now on."""
        base = ctypes.addressof(ctypes.c_char.from_buffer(segment.buffer))
        self._segment = segment  # its mapping must stay while the lane is known
        self._words[builtin.LANE] = base + layout.lane_offset(lane)

    def close(self, for_good: bool) -> None:
        """Write no more; `for_good`: neither ask for another lane."""
        self._words[builtin.LANE] = 0
        if for_good:
            self._words[builtin.FALLBACK] = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a lane."""
        return self._words[builtin.LANE] != 0

    def adopt(self, neuron: Neuron) -> None:
        """Make a neuron one of ours."""
        neuron._words = _WORDS.pack(neuron.id, self._address)
        if type(neuron) is Neuron:
            neuron.__class__ = CompiledNeuron

    def write(
        self, record: struct.Struct, values: tuple[Any, ...], strings: Iterable[Any] = ()
    ) -> bool:
        """Write one record of any kind, as LaneWriter.write does."""
        try:
            text = join_strings(*map(str, strings)) if strings else b""
            slots = 1 + -(-len(text) // SLOT_BYTES)
            if slots > SLOTS_MAX:
                return self.refuse("too_big")
            kind, *rest = values
            made = record.pack(kind, slots, len(text), *rest)
            padded = (
                made + bytes(SLOT_BYTES - len(made)) + text.ljust((slots - 1) * SLOT_BYTES, b"\0")
            )
            return self._take(slots, 1, id(padded) + _BYTES_OFFSET) == 1
        except Exception:  # noqa: BLE001 - also what an argument's own __index__ raises
            return self.refuse("invalid")

    def write_slots(self, rows: Any) -> int:
        """Write single-slot records given as a contiguous int64 array [n, 16]; how many fitted."""
        return self._take(1, len(rows), rows.ctypes.data)

    def _take(self, slots: int, records: int, address: int) -> int:
        """Write records that lie at an address; how many fitted, none where there is no lane."""
        taken: int = self._append(self._address, slots, records, address)
        if taken < 0:
            self._attach()
            taken = self._append(self._address, slots, records, address)
        return max(0, taken)

    def refuse(self, reason: str, count: int = 1) -> bool:
        """Count records that are not even begun."""
        if not self.is_open:
            self._attach()
        self._refuse(self._address, layout.LANE_DROP[reason], count)
        return False


def _record_again(neuron: Any, *arguments: Any, **keywords: Any) -> bool:
    """Do what the builtin leaves to Python: get a lane, make arguments plain, explain misuse."""
    emitter = neuron._producer.attach_thread()
    if emitter is None or not emitter.is_compiled or not emitter.is_open:
        return False
    values, timestamp_ns = record_values(*arguments, **keywords)
    try:
        plain, time_ns = plain_values(values), plain_time(timestamp_ns)
    except Exception:
        emitter.refuse("invalid")
        raise
    return bool(emitter.record(neuron, *plain, timestamp_ns=time_ns))
