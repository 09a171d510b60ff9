"""A recording as text: what each record says, one JSON object for each line."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rnts.model import EVENTS, FIELDS, NAME_FIELDS, Kind, Storage
from rnts.recordings.opened import opened
from rnts.recordings.reader import Reader
from rnts.records import Records

_EVENT_NAMES = {event.code: event.name for event in EVENTS}


def dump(reader: Reader, skipped: "Counter[str]") -> Iterator[dict[str, Any]]:
    """All records of neurons in a recording, in the order in which they were folded."""
    for each in opened(reader.records(), skipped):
        about = {"at_ns": each.record.at_ns, "agent_id": str(each.record.speaker)}
        for index in range(each.frame.records.count):
            yield about | record_document(each.frame.records, index)


def record_document(records: Records, index: int) -> dict[str, Any]:
    """One record; numbers that JSON has none for are null."""
    kind, mask = Kind(int(records.kinds[index])), int(records.masks[index])
    document: dict[str, Any] = {
        "time_ns": int(records.times_ns[index]),
        "neuron_id": str(int(records.ids[index])),
        "kind": kind.name.lower(),
    }
    for field in FIELDS:
        if mask & field.mask:
            document[field.name] = _value(records, index, field.bit, field.storage)
    if "event_type" in document:
        document["event_type"] = _EVENT_NAMES.get(document["event_type"], document["event_type"])
    strings = records.strings(index)
    if kind is Kind.NAME:
        document |= zip(NAME_FIELDS, strings, strict=False)
    elif strings:
        document["text"] = strings
    return document


def _value(records: Records, index: int, bit: int, storage: Storage) -> int | float | None:
    word = records.values[index, bit]
    if not storage.is_float:
        return int(word) % (1 << 64)
    value = float(word.view("float64"))
    return value if math.isfinite(value) else None
