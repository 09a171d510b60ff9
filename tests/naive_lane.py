"""The lane's consumer again, slow and obvious: Python lists in, records out."""

from dataclasses import dataclass, field

from rnts.model import FIELDS, KIND_MASK, SLOT_WORDS, SLOTS_MAX, Kind, Storage

_IN_LANES = (Kind.SAMPLE, Kind.EVENT, Kind.LINK)


END = 2**63 - 1


def signed(word: int) -> int:
    """A word as times are read."""
    return word - 2**64 if word > END else word


@dataclass
class NaiveLane:
    """A ring of slots, sixteen unsigned words each, and how far its consumer is."""

    ring: list[list[int]]
    position: int
    taken: int = 0
    corrupt: int = 0
    is_sick: bool = False
    out: list[list[int]] = field(default_factory=list)

    def oldest_time(self, tail: int) -> int:
        """The time of the next record; the largest there is where none waits."""
        return (
            signed(self.ring[self.position % len(self.ring)][2]) if tail != self.position else END
        )

    def drain(self, tail: int, limit: int, room: int, until: int = END) -> None:
        """Take records up to a time, until about `limit` slots or the room is used up."""
        published = tail - self.position
        if not 0 <= published <= len(self.ring):
            self.is_sick = True
            return
        used = 0
        while used < published and used < limit and len(self.out) < room:
            slots = [
                list(self.ring[(self.position + used + i) % len(self.ring)])
                for i in range(published - used)
            ]
            count = slots_of(slots[0])
            if count is None or count > len(slots):
                self.corrupt += 1
                used += 1
                continue
            if len(self.out) + count > room or signed(slots[0][2]) > until:
                break
            clear_nans(slots[0])
            self.out += slots[:count]
            self.taken += 1
            used += count
        self.position += used


def slots_of(words: list[int]) -> int | None:
    """Slots of the record that begins with these words; None if none does."""
    kind, slots = words[0] & 0xFF, words[0] >> 8 & 0xFF
    text_bytes, mask = words[0] >> 16 & 0xFFFF, words[0] >> 32
    if kind not in _IN_LANES or words[1] == 0 or not 1 <= slots <= SLOTS_MAX:
        return None
    needed = 1 + (text_bytes + 8 * SLOT_WORDS - 1) // (8 * SLOT_WORDS)
    return slots if slots == needed and mask & ~KIND_MASK[Kind(kind)] == 0 else None


def clear_nans(words: list[int]) -> None:
    """Make fields absent that hold a NaN."""
    for f in FIELDS:
        exponent = {Storage.F32: 0x7F800000, Storage.F64: 0x7FF0000000000000}.get(f.storage)
        if exponent is not None and words[0] >> 32 & f.mask:
            bits = words[f.word] >> f.shift & (1 << f.storage.bits - 1) - 1
            if bits > exponent:
                words[0] &= ~(f.mask << 32)
