"""What a life that is over has left in its spool, as far as that can be read."""

from dataclasses import dataclass, field
from pathlib import Path

from rnts.entries import Entry
from rnts.spool_files import Files
from rnts.spool_parts import STATE, Place, Segment, State, read_state
from rnts.spool_records import Record, scan

_INDEX, _DATA = ".index", ".data"


@dataclass
class Life:
    """The entries of one life in order, each with its payload's place, or as a hole.

    `torn_bytes` are those that belong to no record: the end of a file that was cut off, or rot.
    """

    state: State
    segments: list[Segment] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    holes: int = 0  # entries of which only the counts are left
    unknown: int = 0  # numbers of which nothing is left
    torn_bytes: int = 0


def read_life(files: Files) -> Life | None:
    """Read the indexes, and of the data what they do not tell; None where the state is damaged.

    Raises OSError where the folder cannot be read.
    """
    state = read_state(files.read(STATE, 0, files.size(STATE))) if STATE in files.names() else None
    if state is None:
        return None
    life = Life(state)
    found: dict[int, Entry] = {}
    for number in segment_numbers(files):
        segment = Segment(number)
        life.segments.append(segment)
        for record, has_payload in _records(files, segment, life):
            entry = _entry(record, segment, has_payload)
            if entry.first not in found or found[entry.first].is_hole:
                found[entry.first] = entry
                segment.needed += has_payload
            segment.note(entry.first, entry.last)
    life.entries = _without_gaps([found[first] for first in sorted(found)], life)
    life.holes = sum(entry.is_hole for entry in life.entries)
    return life


def segment_numbers(files: Files) -> list[int]:
    """The numbers of the segments that are there, whole or in part."""
    stems = {Path(name).stem for name in files.names() if name.endswith((_INDEX, _DATA))}
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def _records(files: Files, segment: Segment, life: Life) -> list[tuple[Record, bool]]:
    """The records of a segment, each with whether its payload is there in full length."""
    names = set(files.names())
    segment.index_bytes, segment.data_bytes = files.size(segment.index), files.size(segment.data)
    raw = b""
    if segment.index in names:
        raw = files.read(segment.index, 0, segment.index_bytes)
    records = [record for _, record in scan(raw, has_payloads=False)]
    life.torn_bytes += len(raw) - sum(record.size for record in records)
    covered = [(r.offset, r.offset + r.size + r.payload_bytes) for r in records if not r.is_lost]
    at = 0
    for start, end in [*sorted(covered), (segment.data_bytes, segment.data_bytes)]:
        if at < min(start, segment.data_bytes):
            records += _untold(files, segment, at, min(start, segment.data_bytes), life)
        at = max(at, end)
    return [(r, not r.is_lost and _end(r) <= segment.data_bytes) for r in records]


def _end(record: Record) -> int:
    return record.offset + record.size + record.payload_bytes


def _untold(files: Files, segment: Segment, start: int, end: int, life: Life) -> list[Record]:
    """Whole records in a part of the data of which the index does not tell."""
    raw = files.read(segment.data, start, end - start)
    found = []
    for at, record in scan(raw, has_payloads=True):
        if record.offset == start + at and _end(record) <= end:
            found.append(record)
    life.torn_bytes += end - start - sum(r.size + r.payload_bytes for r in found)
    return found


def _entry(record: Record, segment: Segment, has_payload: bool) -> Entry:
    place = None
    if has_payload:
        size = record.payload_bytes
        place = Place(segment.number, record.offset + record.size, size, record.payload_crc)
    return Entry(
        record.first, record.last, record.base, None, record.counts,
        is_hole=not has_payload, went_out=True, place=place,
    )  # fmt: skip


def _without_gaps(entries: list[Entry], life: Life) -> list[Entry]:
    """The entries with an empty one for numbers of which nothing is left.

    Nobody can say what was in it. It is sent as it is: the receiver gives it up as damaged, and
    counts what is missing by where the sources go on.
    """
    whole: list[Entry] = []
    # What is not committed should be there, and so should the group of the first that is.
    expected = min(entries[0].base, life.state.committed) if entries else 0
    for entry in entries:
        if entry.first > expected:
            base = min(expected, entry.base)
            whole.append(Entry(expected, entry.first - 1, base, b"", went_out=True))
            life.unknown += entry.first - expected
        if entry.first >= expected:
            whole.append(entry)
            expected = entry.last + 1
    return whole
