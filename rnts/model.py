"""Every metric, event, health state and record kind, described once; all layouts derive from here.

A *record* is one 128-byte slot of sixteen 64-bit little-endian words:

    word 0   kind u8 | slots u8 | text_bytes u16 | mask u32
    word 1   neuron_id u64
    word 2   timestamp_ns u64 (nanoseconds since the epoch)
    word 3+  the fields of the record's kind, widest first (`FIELDS[i].word`, `FIELDS[i].shift`)

Bit i of the mask says that field i was set: what was not reported is absent, never zero. Bits are
unique over all kinds, so a mask alone tells what a record holds. Text (names, reasons, details)
follows in `slots - 1` continuation slots: `text_bytes` bytes, each string as a length byte and
UTF-8. Adding a metric is adding one row to `_METRICS`.
"""

from enum import IntEnum

from rnts import events
from rnts.value import Value

SLOT_BYTES = 128
SLOT_WORDS = SLOT_BYTES // 8
WORD_KIND, WORD_NEURON, WORD_TIME, WORD_FIELDS = 0, 1, 2, 3
TEXT_BYTES_MAX = 255  # of one string, so that its length is one byte
STRINGS_MAX = 4  # of one record: a name record has name, group, role and host
SLOTS_MAX = 1 + STRINGS_MAX * (1 + TEXT_BYTES_MAX) // SLOT_BYTES


class Kind(IntEnum):
    """What a record is about."""

    SAMPLE = 1
    EVENT = 2
    LINK = 3
    NAME = 4


class Health(IntEnum):
    """The state of a neuron, as it last said itself."""

    HEALTHY = 0
    DEGRADED = 1
    CRITICAL = 2
    UNKNOWN = 3


class Storage(IntEnum):
    """How a field is stored in its slot."""

    U64 = 0
    U32 = 1
    F32 = 2
    F64 = 3
    U8 = 4

    @property
    def bits(self) -> int:
        """Width in bits."""
        return {Storage.U64: 64, Storage.F64: 64, Storage.U8: 8}.get(self, 32)

    @property
    def is_float(self) -> bool:
        """Whether the bits are those of an IEEE 754 number."""
        return self in (Storage.F32, Storage.F64)


class Field:
    """One field of a record.

    `role` says how it is read: a *counter* only grows (a fall is a reset), a *gauge* is a level, a
    *ratio* is a gauge between 0 and 1 or 0 and 100, a *state* is an enumeration, a *key* names
    another neuron. `step` is the grid on which a float travels: the error is at most half of it.
    """

    def __init__(
        self,
        name: str,
        unit: str,
        storage: Storage,
        role: str,
        meaning: str,
        step: float | None = None,
        kind: Kind = Kind.SAMPLE,
    ) -> None:
        self.name, self.unit, self.storage, self.role = name, unit, storage, role
        self.meaning, self.step, self.kind = meaning, step, kind
        self.bit = self.word = self.shift = -1  # until it is laid out

    def __repr__(self) -> str:
        return f"<Field {self.name}>"

    @property
    def mask(self) -> int:
        """The field's bit in a record's mask."""
        return 1 << self.bit


_METRICS = (
    Field("activation_count", "1", Storage.U64, "counter", "times the neuron has run"),
    Field("processing_time_ns", "ns", Storage.U64, "gauge", "time that one activation took"),
    Field("queue_depth", "1", Storage.U32, "gauge", "work that waits for the neuron"),
    Field("memory_bytes", "B", Storage.U64, "gauge", "memory that the neuron holds"),
    Field("messages_sent", "1", Storage.U64, "counter", "messages sent to others"),
    Field("messages_received", "1", Storage.U64, "counter", "messages received from others"),
    Field("bytes_transmitted", "B", Storage.U64, "counter", "bytes sent and received"),
    Field("connection_count", "1", Storage.U32, "gauge", "open connections to others"),
    Field("cpu_usage_percent", "%", Storage.F32, "ratio", "share of one core; 100 is all", 0.1),
    Field("gpu_usage_percent", "%", Storage.F32, "ratio", "share of one GPU; 100 is all", 0.1),
    Field("cache_hit_rate", "1", Storage.F32, "ratio", "hits among cache look-ups", 1e-4),
    Field("signal_strength", "1", Storage.F64, "gauge", "strength of the output signal", 1e-2),
    Field("noise_ratio", "1", Storage.F64, "ratio", "noise against signal", 1e-4),
    Field("activation_potential", "1", Storage.F64, "gauge", "how near the next activation", 1e-3),
)
_OF_SAMPLES = (
    Field("health", "1", Storage.U8, "state", "0 healthy, 1 degraded, 2 critical, 3 unknown"),
    Field("weight", "1", Storage.F32, "gauge", "records that this one stands for; absent is 1"),
)
_OF_EVENTS = (
    Field("event_type", "1", Storage.U8, "state", "which event; see EVENTS", kind=Kind.EVENT),
    Field("event_value", "1", Storage.F64, "gauge", "strength, or value seen", kind=Kind.EVENT),
    Field("event_peer_id", "1", Storage.U64, "key", "the other neuron", kind=Kind.EVENT),
)
_OF_LINKS = (
    Field("link_peer_id", "1", Storage.U64, "key", "the receiving neuron", kind=Kind.LINK),
    Field("link_messages", "1", Storage.U64, "gauge", "messages since the last", kind=Kind.LINK),
    Field("link_bytes", "B", Storage.U64, "gauge", "bytes since the last", kind=Kind.LINK),
    Field("link_latency_ns", "ns", Storage.U64, "gauge", "time for one message", kind=Kind.LINK),
)


def _lay_out(listed: tuple[Field, ...]) -> tuple[Field, ...]:
    """Give each field its bit, and its place: within a kind, widest first, then as listed."""
    for bit, f in enumerate(listed):
        f.bit = bit
    for kind in Kind:
        position = WORD_FIELDS * 64
        of_kind = [f for f in listed if f.kind is kind]
        for f in sorted(of_kind, key=lambda f: -f.storage.bits):
            f.word, f.shift = position // 64, position % 64
            position += f.storage.bits
        assert position <= SLOT_BYTES * 8, f"the fields of a {kind.name} do not fit into a slot"
    return listed


FIELDS = _lay_out(_METRICS + _OF_SAMPLES + _OF_EVENTS + _OF_LINKS)
FIELD = {f.name: f for f in FIELDS}
METRICS = FIELDS[: len(_METRICS)]
METRIC_NAMES = tuple(f.name for f in METRICS)
KIND_MASK = {kind: sum(f.mask for f in FIELDS if f.kind is kind) for kind in Kind}

# One row a field: word, shift, storage, 1 for a counter. Kernels take this as an int64 array.
LAYOUT = tuple((f.word, f.shift, int(f.storage), int(f.role == "counter")) for f in FIELDS)
# The wire's grid, a value a field; 0 where values travel as they are.
STEPS = tuple(f.step or 0.0 for f in FIELDS)


class EventType(Value):
    """One type of event: its number in slots and on the wire, and its fields as (name, type)."""

    code: int
    name: str
    fields: tuple[tuple[str, type], ...]
    meaning: str

    def __init__(
        self, code: int, name: str, fields: tuple[tuple[str, type], ...], meaning: str
    ) -> None:
        self.__dict__.update(code=code, name=name, fields=fields, meaning=meaning)


def _event_type(event: type[events.Event]) -> EventType:
    """Read off an event's class; a float is kept in `event_value`, an int is a peer, a str text."""
    typed = tuple(event.__annotations__.items())
    return EventType(event.code, event.__name__, typed, (event.__doc__ or "").strip())


EVENTS = tuple(_event_type(event) for event in events.Event.__args__)
EVENT = {e.name: e for e in EVENTS}
NAME_FIELDS = ("name", "group", "role", "host")
