"""What the simulation plays: a disk in memory, a ledger, the books and windows of an aggregator."""

import errno
import os
import struct
from dataclasses import dataclass, field, replace

WINDOW = 10  # ticks
_FRAME = struct.Struct("<IIIII")  # from record, to record, watermark, base, number
FRAME_BYTES = _FRAME.size


def pack_frame(start: int, end: int, watermark: int, base: int, number: int, pad: int) -> bytes:
    """A frame of the play: which records, the watermark, its group; `pad` bytes are its columns."""
    return _FRAME.pack(start, end, watermark, base, number) + bytes(pad)


def unpack_frame(payload: bytes) -> tuple[int, int, int, int, int] | None:
    """Undo `pack_frame`; None for what is no frame."""
    if len(payload) < FRAME_BYTES:
        return None
    return _FRAME.unpack_from(payload)  # type: ignore[return-value]


class MemoryFiles:
    """Stands for `rnts.spool_files.Files`; `refusal` is the error that all writing meets."""

    def __init__(self) -> None:
        self.content: dict[str, bytearray] = {}
        self.refusal = 0

    def _write(self) -> None:
        if self.refusal:
            raise OSError(self.refusal, os.strerror(self.refusal))

    def make(self) -> None:
        """Make the folder."""
        self._write()

    def names(self) -> list[str]:
        """The files that are there."""
        return sorted(self.content)

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return len(self.content.get(name, b""))

    def append(self, name: str, parts: list[bytes], at: int) -> None:
        """Write at `at`."""
        self._write()
        file = self.content.setdefault(name, bytearray())
        file[at:] = b"".join(parts)

    def read(self, name: str, at: int, size: int) -> bytes:
        """Bytes from `at` on."""
        if name not in self.content:
            raise FileNotFoundError(errno.ENOENT, name)
        return bytes(self.content[name][at : at + size])

    def replace(self, name: str, content: bytes) -> None:
        """Write a whole file."""
        self._write()
        self.content[name] = bytearray(content)

    def truncate(self, name: str, size: int) -> None:
        """Cut a file."""
        del self.content.get(name, bytearray())[size:]

    def sync(self, name: str) -> None:
        """Nothing is to be waited for."""

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.content.pop(name, None)

    def remove_folder(self) -> None:
        """Remove all files."""
        self.content.clear()

    def close(self, name: str | None = None) -> None:
        """Nothing is open."""


class Wrong(AssertionError):
    """An invariant does not hold."""


@dataclass
class Source:
    """One agent's records in the books: up to where, by whom, and what became of some."""

    owner: int
    position: int
    base: int = 0  # what was taken before any aggregator heard of it is known to nobody
    gap_reason: str | None = None
    lost: list[tuple[int, int, str]] = field(default_factory=list)


class Books:
    """The accounts as `rnts/accounts.py` keeps them, of one source an agent, by record."""

    def __init__(self) -> None:
        self.sources: dict[int, Source] = {}

    def begin(self, agent: int, life: int, taken: int, credited: int) -> None:
        """A HELLO tells where the source stood when that life took it over."""
        source = self.sources.get(agent)
        if source is None:
            self.sources[agent] = Source(life, taken + credited, taken)
        elif source.owner < life:
            source.owner = life
            if taken < source.position:
                raise Wrong(f"agent {agent}: records came out that it never took")
            self.lose(source, taken - source.position, "agent_died")

    @staticmethod
    def lose(source: Source, count: int, reason: str) -> None:
        """The next records are lost."""
        if count:
            source.lost.append((source.position, source.position + count, reason))
            source.position += count

    def enter(self, agent: int, start: int, end: int) -> None:
        """A frame holds these records."""
        source = self.sources[agent]
        if start == end:
            return
        gap = start - source.position
        if gap > 0 and source.gap_reason:
            self.lose(source, gap, source.gap_reason)
        elif gap:
            raise Wrong(f"agent {agent}: a gap of {gap} that nothing explains")
        source.gap_reason = None
        source.position = end


# Of each life, by number, the folded entries that are not committed: their records, and the window
# before which these are counted.
Pending = dict[tuple[int, int], dict[int, tuple[int, int, int]]]


@dataclass
class Close:
    """A record of the ledger: what was known when windows closed."""

    boundary: int = 0
    senders: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    pending: Pending = field(default_factory=dict)
    books: Books = field(default_factory=Books)
    late: list[tuple[int, int]] = field(default_factory=list)  # (agent, record) in none of them

    def copy(self) -> "Close":
        """The same, which stays as it is while its maker goes on."""
        books = Books()
        for agent, source in self.books.sources.items():
            books.sources[agent] = replace(source, lost=list(source.lost))
        pending = {life: dict(entries) for life, entries in self.pending.items()}
        return Close(self.boundary, dict(self.senders), pending, books, list(self.late))


class Ledger:
    """`append_if` on a log: the windows that are closed for good, and who may close more."""

    def __init__(self) -> None:
        self.sequence = 0
        self.last = Close()
        self.windows: dict[int, list[tuple[int, int]]] = {}  # records by window
        self.conflicts = 0

    def append_if(
        self, expected: int, record: Close, windows: dict[int, list[tuple[int, int]]]
    ) -> bool:
        """Append if nobody else has; whether that is so."""
        if expected != self.sequence:
            self.conflicts += 1
            return False
        self.sequence += 1
        self.last = record.copy()
        for window, records in windows.items():
            if window in self.windows:
                raise Wrong(f"window {window} is closed twice")
            self.windows[window] = records
        return True


def check_all(ledger: Ledger, totals: dict[int, int]) -> dict[str, int]:
    """Each record is in one window, or lost under one reason, once; how many there are of each."""
    fates: dict[tuple[int, int], str] = {}

    def settle(agent: int, record: int, fate: str) -> None:
        known = fates.setdefault((agent, record), fate)
        if known is not fate or (agent, record) in seen:
            raise Wrong(f"record {record} of agent {agent} is {known} and {fate}")
        seen.add((agent, record))

    seen: set[tuple[int, int]] = set()
    for records in ledger.windows.values():
        for agent, record in records:
            settle(agent, record, "aggregated")
    for agent, record in ledger.last.late:
        settle(agent, record, "late")
    for agent, source in ledger.last.books.sources.items():
        for record in range(source.base):
            settle(agent, record, "unheard")
        for start, end, reason in source.lost:
            for record in range(start, end):
                settle(agent, record, reason)
    for agent, total in totals.items():
        missing = [record for record in range(total) if (agent, record) not in fates]
        if missing:
            raise Wrong(f"agent {agent}: nobody tells of {missing[:9]}, {len(missing)} in all")
    if len(fates) != sum(totals.values()):
        raise Wrong("there are records that never were")
    counts: dict[str, int] = {}
    for fate in fates.values():
        counts[fate] = counts.get(fate, 0) + 1
    return counts


@dataclass
class Flight:
    """A message on its way."""

    agent: int
    endpoint: int
    is_up: bool
    parts: list[bytes]
