"""The memory of standing expressions: one stretch that begins as zeros, lent out in pieces."""

import mmap
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Linux's number; Python has a name for it from 3.13 on.
_MAP_NORESERVE = 0x4000
# Addresses for each byte that may be lent: only what is written takes memory, a page at a time.
_ADDRESSES = 64
_PAGE_WORDS = mmap.PAGESIZE // 8
WORD_BYTES = 8


class Piece(NamedTuple):
    """A piece of the arena: its first word, how many there are, and what they may come to."""

    place: int
    words: int
    expected_bytes: int
    is_beside: bool = False


class Arena:
    """Lends pieces, whole pages of zeros, of at most `bytes_max` of memory in all.

    Compiled code sees all of it as one array, so that it needs no table of arrays; and what is
    given back returns to the system. `expected_bytes` is for what is mostly never touched. Half as
    much is lent beside that, for what nobody has to have: so it takes no place from what is needed.
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.bytes_lent = self.bytes_beside = 0
        self.cells: NDArray[np.float64] = np.zeros(_PAGE_WORDS)
        self.small = self.cells.view(np.float32)
        self.bytes = self.cells.view(np.uint8)
        self._memory: mmap.mmap | None = None
        self._free: list[tuple[int, int]] = []  # place and words, by place

    def lend(self, words: int, expected_bytes: int | None = None, is_beside: bool = False) -> Piece:
        """A piece of at least so many words; raises ValueError with the figures if that is more."""
        expected = words * WORD_BYTES if expected_bytes is None else expected_bytes
        most, lent = self.bytes_max, self.bytes_lent
        if is_beside:
            most, lent = self.bytes_max // 2, self.bytes_beside
        if lent + expected > most:
            raise ValueError(
                f"it would take {expected} bytes of memory, and of the {most} that "
                f"standing expressions may have {most - lent} are left"
            )
        if self._memory is None:
            self._begin()
        wanted = -(-words // _PAGE_WORDS) * _PAGE_WORDS
        for index, (place, free) in enumerate(self._free):
            if free >= wanted:
                self._free[index : index + 1] = (
                    [(place + wanted, free - wanted)] if free > wanted else []
                )
                piece = Piece(place, wanted, expected, is_beside)
                self._count(piece, expected)
                return piece
        raise ValueError(f"there are no {wanted * WORD_BYTES} addresses left that lie together")

    def _count(self, piece: Piece, more_bytes: int) -> None:
        """Note that so much more is lent of the kind of a piece."""
        if piece.is_beside:
            self.bytes_beside += more_bytes
        else:
            self.bytes_lent += more_bytes

    def _begin(self) -> None:
        """Map the addresses, once they are needed."""
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        try:
            self._memory = mmap.mmap(-1, _ADDRESSES * self.bytes_max, flags=flags)
        except OSError as error:
            raise ValueError(f"the system has no addresses for expressions: {error}") from error
        self.cells = np.frombuffer(self._memory, np.float64)
        self.small, self.bytes = self.cells.view(np.float32), self.cells.view(np.uint8)
        self._free = [(0, self.cells.size)]

    def take_back(self, piece: Piece) -> None:
        """Give a piece back; whoever has it next finds zeros."""
        assert self._memory is not None
        start = piece.place * WORD_BYTES
        self._memory.madvise(mmap.MADV_DONTNEED, start, piece.words * WORD_BYTES)
        self._count(piece, -piece.expected_bytes)
        self._free.append((piece.place, piece.words))
        self._free.sort()
        joined = self._free[:1]
        for place, words in self._free[1:]:
            before, size = joined[-1]
            if before + size == place:
                joined[-1] = (before, size + words)
            else:
                joined.append((place, words))
        self._free = joined
