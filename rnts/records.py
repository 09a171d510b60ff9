"""Decoded records: what a frame holds once it is opened, in arrays that are used again."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnts.model import FIELDS
from rnts.text import split_strings

RECORDS_MAX = 65_536  # records of one frame, and so of one `Records`


@dataclass
class Records:
    """The first `count` rows of arrays with room for `RECORDS_MAX` records, in arrival order.

    values:       int64[RECORDS_MAX, len(FIELDS)]; a float field holds the bits of its float64, an
                  unsigned one wraps into int64; where the mask has no bit the cell is undefined.
    text_offsets: int64[RECORDS_MAX + 1]; text of record i is text[text_offsets[i] :
                  text_offsets[i + 1]], each string a length byte and UTF-8.
    """

    count: int
    ids: NDArray[np.uint64]
    times_ns: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    masks: NDArray[np.int64]
    values: NDArray[np.int64]
    text_offsets: NDArray[np.int64]
    text: NDArray[np.uint8]

    @classmethod
    def allocate(cls, text_bytes_max: int) -> "Records":
        """Room for the largest frame; pages that are never written cost nothing."""
        return cls(
            count=0,
            ids=np.zeros(RECORDS_MAX, np.uint64),
            times_ns=np.zeros(RECORDS_MAX, np.int64),
            kinds=np.zeros(RECORDS_MAX, np.uint8),
            masks=np.zeros(RECORDS_MAX, np.int64),
            values=np.zeros((RECORDS_MAX, len(FIELDS)), np.int64),
            text_offsets=np.zeros(RECORDS_MAX + 1, np.int64),
            text=np.zeros(text_bytes_max, np.uint8),
        )

    def strings(self, index: int) -> list[str]:
        """The strings of record `index`; bytes that are no UTF-8 are replaced, never refused."""
        raw = self.text[self.text_offsets[index] : self.text_offsets[index + 1]].tobytes()
        return split_strings(raw)
