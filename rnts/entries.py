"""What is delivered: entries, each one frame or one hole, and what a store of them is asked for."""

from dataclasses import dataclass, field
from typing import Protocol

ENTRY_BYTES = 200  # what is left in memory of an entry whose payload is in the spool


@dataclass(slots=True)
class Entry:
    """What is delivered under the numbers first … last: a frame, or a hole of frames given up.

    `base` is the number of the keyframe of its group; `counts` are the records of each source in
    it, by the source's key. `payload` is None in a hole, and where the spool has it at `place`.
    """

    first: int
    last: int
    base: int
    payload: bytes | None
    counts: dict[int, int] = field(default_factory=dict)
    is_hole: bool = False
    went_out: bool = False  # so that some receiver may hold it
    place: object = None

    @property
    def records(self) -> int:
        """Its records, of all sources."""
        return sum(self.counts.values())


class Store(Protocol):
    """What a spool is to those who fill it; see `rnts/spool.py`."""

    def has_room(self, payload_bytes: int) -> bool:
        """Whether a payload still fits under the limit; True while the disk refuses anyway."""

    def append(self, entry: Entry) -> object | None:
        """Write an entry; its place, or None where that failed."""

    def append_lost(self, entry: Entry) -> None:
        """Note of an entry in memory that it was given up, with its counts."""

    def read(self, place: object) -> bytes | None:
        """A payload; None if it is damaged or gone."""

    def drop(self, place: object) -> None:
        """A payload is needed no more; its counts are kept."""

    def compact(self, first: int, last: int) -> None:
        """All these numbers are one hole."""

    def release(self, before: int) -> None:
        """All entries before this number are needed no more."""
