"""Telemetry from inside compiled code: `record`, `link` and `event` for use in `@njit` functions.

    lane = rnts.jit.lane()  # one for each thread that runs compiled code

    @njit(nogil=True)
    def work(lane, neuron_id):
        start = rnts.jit.now_ns()
        ...
        now = rnts.jit.now_ns()
        rnts.jit.record(lane, neuron_id, now, processing_time_ns=now - start, queue_depth=3)

Fields that are left out cost nothing: they are known when the caller is compiled. A lane of 0, as
`lane()` gives where telemetry is off, makes every call a no-op. After a fork the child's lanes are
its own: its segment takes the place of the parent's at the same addresses.
"""

import ctypes
import logging
import mmap
import os
from typing import Any

from numba import float32, float64, int64

from rnts import layout
from rnts.kernels import lane as lane_kernels
from rnts.kernels import sampling
from rnts.kernels._jit import device
from rnts.kernels.atomics import (
    float32_bits,
    float64_bits,
    now_ns,
    store,
    store_release,
)
from rnts.model import EVENT, FIELD, FIELDS, METRIC_NAMES, Field, Kind, Storage
from rnts.producer import PROCESS

__all__ = [
    "CRITICAL_PATH",
    "HIGH_ACTIVITY",
    "NORMAL",
    "event",
    "lane",
    "link",
    "now_ns",
    "record",
]

CRITICAL_PATH, HIGH_ACTIVITY, NORMAL = (
    sampling.CRITICAL_PATH,
    sampling.HIGH_ACTIVITY,
    sampling.NORMAL,
)

_MAP_SHARED, _MAP_PRIVATE, _MAP_FIXED, _MAP_ANONYMOUS = 0x01, 0x02, 0x10, 0x20

log = logging.getLogger("rnts")

_lanes: list[int] = []  # indices of the lanes that compiled code may hold
_mapping: dict[str, Any] = {}  # address, size and buffer of the mapping that they lie in


def lane() -> int:
    """Address of a lane that the caller owns for good; 0 where telemetry is off.

    One thread at a time may write to a lane; take one for each.
    """
    writer = PROCESS.claim_lane()
    segment = PROCESS.segment()
    if writer is None or segment is None:
        if segment is not None:
            log.warning("no lane is left for compiled code; what it records is lost")
        return 0
    if not _mapping:
        address = ctypes.addressof(ctypes.c_char.from_buffer(segment.buffer))
        _mapping.update(address=address, size=segment.size, buffer=segment.buffer)
        PROCESS.keep_lane_slots(segment.lane_slots)
    _lanes.append(writer.lane)
    return int(_mapping["address"] + layout.lane_offset(writer.lane))


def _after_fork_in_child() -> None:
    """Put the child's own segment where the parent's was, so that the addresses stay good."""
    if not _mapping:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    ]  # fmt: skip
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    segment = PROCESS.segment()
    writers = [PROCESS.claim_lane() for _ in range(max(_lanes) + 1)] if segment else []
    if segment is None or None in writers or segment.size != _mapping["size"]:
        # Without a segment of its own the child finds lanes of one slot, and that one taken, in
        # private memory: neither its parent's lanes nor zeros, which are no lane.
        flags = _MAP_PRIVATE | _MAP_FIXED | _MAP_ANONYMOUS
        libc.mmap(_mapping["address"], _mapping["size"], protection, flags, -1, 0)
        for index in range(layout.LANES_MAX):
            tail = _mapping["address"] + layout.lane_offset(index) + layout.LANE_TAIL
            ctypes.c_int64.from_address(tail).value = 1
        PROCESS.idle_writers.extend(w for w in writers if w)
    else:
        flags = _MAP_SHARED | _MAP_FIXED
        libc.mmap(_mapping["address"], _mapping["size"], protection, flags, segment.descriptor, 0)
        PROCESS.idle_writers.extend(w for w in writers if w and w.lane not in _lanes)


os.register_at_fork(after_in_child=_after_fork_in_child)


def _bits_of(field: Field, name: str) -> str:
    """The expression for the bits of argument `name` as an int64 without sign extension."""
    if field.storage is Storage.F64:
        return f"f64_bits(float64({name}))"
    if field.storage is Storage.F32:
        return f"f32_bits(float32({name}))"
    if field.storage is Storage.U64:
        return f"int64({name})"
    return f"(int64({name}) & {(1 << field.storage.bits) - 1})"


def _generate(kind: Kind, names: tuple[str, ...]) -> Any:
    """Build one compiled emitter from the model: check ranges, claim, store words, publish."""
    fields = {name: FIELD[name] for name in names}
    arguments = ", ".join(_argument(name) + "=None" for name in names)
    is_sample = kind is Kind.SAMPLE
    arguments += f", importance={sampling.NORMAL}" if is_sample else ""
    lines = [f"def emit(lane, neuron_id, timestamp_ns, {arguments}):", "    if lane == 0:"]
    lines += ["        return False"]
    # Before values are looked at, so that what is left out costs nothing more.
    lines += _SAMPLING if is_sample else ()
    for name, field in fields.items():
        if not field.storage.is_float:
            argument, limit = _argument(name), (1 << field.storage.bits) - 1
            fits = f"0 <= {argument}" + (f" <= {limit}" if field.storage is not Storage.U64 else "")
            lines += [f"    if {argument} is not None:"]
            lines += [f"        if not {fits}:"]  # nor does a NaN
            lines += ["            refuse_invalid(lane)", "            return False"]
    lines += _NOTING_ERRORS if kind is Kind.EVENT else ()
    lines += ["    slot = claim(lane, 1)", "    if slot == 0:", "        return False"]
    lines += ["    mask = 0"]
    for word in sorted({f.word for f in fields.values()}):
        sharing = [f for f in fields.values() if f.word == word]
        lines += ["    bits = int64(0)"]
        for field in sharing:
            argument = _argument(field.name)
            lines += [f"    if {argument} is not None:", f"        mask |= {field.mask}"]
            lines += [f"        bits |= {_bits_of(field, argument)} << {field.shift}"]
        given = " or ".join(f"{_argument(f.name)} is not None" for f in sharing)
        if len(sharing) == 1:
            lines += [f"    if {given}:", f"        store(slot + {8 * word}, bits)"]
        else:
            lines += [f"    store(slot + {8 * word}, bits)"]
    lines += _WEIGHING if is_sample else ()
    lines += [
        f"    store(slot, {int(kind) | 1 << 8} | (mask << 32))",
        "    store(slot + 8, int64(neuron_id))",
        "    store(slot + 16, int64(timestamp_ns))",
        "    publish(lane, 1)",
        *(_TELLING if is_sample else ()),
        "    return True",
    ]
    scope: dict[str, Any] = {**_scope}
    exec("\n".join(lines), scope)  # noqa: S102 - the text is made of names of the model only
    return device(scope["emit"])


# Around a sample: whether it is kept, what it then weighs, and which health was told.
_WEIGHT = FIELD["weight"]
_SAMPLING = [
    f"    chance, place, state = 0, 0, {sampling.NO_HEALTH}",
    "    if load(lane + SWITCH) != 0:",
    "        if health is not None:",
    "            state = int64(health)",
    "        chance, place = admit(lane, int64(neuron_id), importance, state)",
    f"        if chance == {sampling.LEFT_OUT}:",
    "            return True",
]
_WEIGHING = [
    "    if chance != 0:",
    f"        mask = weigh(slot, mask, chance, ({_WEIGHT.word}, {_WEIGHT.shift}, {_WEIGHT.mask}))",
]
_TELLING = ["    if place != 0:", "        told(place, state)"]
_NOTING_ERRORS = [
    "    if type is not None:",
    f"        if type == {EVENT['ErrorOccurred'].code}:",
    "            note_error(lane, int64(neuron_id))",
]


def _argument(name: str) -> str:
    """The parameter for a field: a link's and an event's own fields lose their prefix."""
    return name.removeprefix("link_").removeprefix("event_")


@device
def _refuse_invalid(lane):
    """Count a record whose value does not fit its field."""
    load = lane_kernels.load
    attempts, drops = lane + layout.LANE_ATTEMPTS, lane + layout.LANE_DROP_INVALID
    store_release(attempts, load(attempts) + 1)
    store_release(drops, load(drops) + 1)


_scope: dict[str, Any] = {
    "claim": lane_kernels.claim,
    "publish": lane_kernels.publish,
    "store": store,
    "load": lane_kernels.load,
    "SWITCH": sampling.SWITCH,
    "admit": sampling.admit,
    "told": sampling.told,
    "weigh": sampling.weigh,
    "note_error": sampling.note_error,
    "f32_bits": float32_bits,
    "f64_bits": float64_bits,
    "float32": float32,
    "float64": float64,
    "int64": int64,
    "refuse_invalid": _refuse_invalid,
}
_LINKS = tuple(f.name for f in FIELDS if f.kind is Kind.LINK)
_EVENTS = tuple(f.name for f in FIELDS if f.kind is Kind.EVENT)

# record(lane, neuron_id, timestamp_ns, activation_count=…, …, health=…, weight=…) -> bool;
# importance=… is one of `rnts.jit.CRITICAL_PATH`, `HIGH_ACTIVITY`, `NORMAL`
record = _generate(Kind.SAMPLE, (*METRIC_NAMES, "health", "weight"))
# link(lane, neuron_id, timestamp_ns, peer_id=…, messages=…, bytes=…, latency_ns=…) -> bool
link = _generate(Kind.LINK, _LINKS)
# event(lane, neuron_id, timestamp_ns, type=…, value=…, peer_id=…) -> bool; texts stay empty
event = _generate(Kind.EVENT, _EVENTS)
