"""The parts of the wire format read the slow way: numbers, runs, changes, lists, the checksum."""

import struct

WORD = 1 << 64


class RefusedError(Exception):
    """A frame that the document calls wrong."""


class Reader:
    """Takes bytes from the front of some."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise RefusedError("cut short")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def varint(self) -> int:
        value = 0
        for index in range(10):
            byte = self.number(1)
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if value >= WORD or (byte == 0 and index > 0):
                    raise RefusedError("varint")
                return value
        raise RefusedError("varint")

    def packed(self, count: int, width: int) -> list[int]:
        bits = self.number((count * width + 7) // 8)
        return [(bits >> (j * width)) % (1 << width) for j in range(count)]

    def run(self, count: int) -> list[int]:
        values: list[int] = []
        while len(values) < count:
            block, form = min(64, count - len(values)), self.number(1)
            if form <= 64:
                values += self.packed(block, form)
            elif form <= 96:
                values += self.few(block, form - 64)
            elif 128 <= form <= 161:
                values += self.rice(block, form - 128)
            else:
                raise RefusedError("form")
        return values

    def few(self, block: int, count: int) -> list[int]:
        width = self.number(1)
        if not 7 <= width <= 64:
            raise RefusedError("width")
        values, before = [0] * block, -1
        for entry in self.packed(count, width):
            place = entry % 64
            if not before < place < block:
                raise RefusedError("place")
            values[place], before = entry >> 6, place
        return values

    def rice(self, block: int, low_bits: int) -> list[int]:
        at = 0  # in bits from here

        def bits(count: int) -> int:
            nonlocal at
            at += count
            if self.at * 8 + at > len(self.data) * 8:
                raise RefusedError("rice")
            row = int.from_bytes(self.data[self.at : self.at + (at + 7) // 8], "little")
            return row >> (at - count) & ((1 << count) - 1)

        values = []
        for _ in range(block):
            ones = 0
            while ones < 24 and bits(1):
                ones += 1
            values.append(ones << low_bits | bits(low_bits) if ones < 24 else bits(64))
        self.take((at + 7) // 8)
        return values

    def changes(self, count: int, may_be_marked: bool = False) -> tuple[list[int], bool]:
        if not count:
            return [], False
        scale = self.number(1)
        if scale & 128 and not may_be_marked:
            raise RefusedError("scale")
        values = self.run(count)
        signed = values if scale & 64 else [unzigzag(value) for value in values]
        return [value << scale % 64 for value in signed], scale >= 128

    def sparse(self, records: int) -> list[int]:
        count = self.varint()
        if count > records:
            raise RefusedError("sparse")
        indices: list[int] = []
        for gap in self.run(count):
            indices.append((indices[-1] if indices else -1) + gap)
            if gap == 0 or indices[-1] >= records:
                raise RefusedError("sparse")
        return indices

    def end(self) -> None:
        if self.at != len(self.data):
            raise RefusedError("not used up")


def signed(value: int) -> int:
    """The int64 with these 64 bits."""
    value %= WORD
    return value - WORD if value >= WORD // 2 else value


def unzigzag(value: int) -> int:
    """0, 1, 2, 3, 4 … are 0, -1, 1, -2, 2 …"""
    return value // 2 if value % 2 == 0 else -(value // 2) - 1


def zigzag(value: int) -> int:
    """0, -1, 1, -2, 2 … are 0, 1, 2, 3, 4 …"""
    return 2 * value if value >= 0 else -2 * value - 1


def varint(value: int) -> bytes:
    """An unsigned integer, seven bits a byte."""
    last = []
    while value >= 0x80:
        last.append(value % 0x80 + 0x80)
        value //= 0x80
    return bytes((*last, value))


def packed_bits(values: list[int], width: int) -> bytes:
    """Values of `width` bits each, through one large integer."""
    bits = sum(value << (j * width) for j, value in enumerate(values))
    return bits.to_bytes((len(values) * width + 7) // 8, "little")


def pack(values: list[int]) -> bytes:
    """A run of unsigned integers without Rice blocks."""
    packed = b""
    for start in range(0, len(values), 64):
        block = values[start : start + 64]
        width = max(block).bit_length()
        plain = bytes((width,)) + packed_bits(block, width)
        entries = [value << 6 | place for place, value in enumerate(block) if value]
        few = b"\xff" * len(plain)
        if 0 < width <= 58 and len(entries) <= 32:
            few = bytes((64 + len(entries), width + 6)) + packed_bits(entries, width + 6)
        packed += few if len(few) < len(plain) else plain
    return packed


def rotated(word: int, bits: int) -> int:
    """A 64-bit word turned to the left."""
    return (word << bits | word >> (64 - bits)) % WORD


def xxh64(data: bytes) -> int:
    """XXH64 with seed 0, from its specification."""
    p1, p2, p3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
    p4, p5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5

    def taken(lane: int, word: int) -> int:
        return rotated((lane + word * p2) % WORD, 31) * p1 % WORD

    whole = len(data) // 32 * 32 if len(data) >= 32 else 0
    mixed = p5
    if whole:
        lanes = [(p1 + p2) % WORD, p2, 0, -p1 % WORD]
        for index, (word,) in enumerate(struct.iter_unpack("<Q", data[:whole])):
            lanes[index % 4] = taken(lanes[index % 4], word)
        mixed = sum(map(rotated, lanes, (1, 7, 12, 18))) % WORD
        for lane in lanes:
            mixed = ((mixed ^ taken(0, lane)) * p1 + p4) % WORD
    mixed, at = (mixed + len(data)) % WORD, whole
    for size, turn, factor, added in ((8, 27, p1, p4), (4, 23, p2, p3), (1, 11, p1, 0)):
        while at + size <= len(data):
            word = int.from_bytes(data[at : at + size], "little")
            word = taken(0, word) if size == 8 else word * (p1 if size == 4 else p5) % WORD
            mixed = (rotated(mixed ^ word, turn) * factor + added) % WORD
            at += size
    for shift, factor in ((33, p2), (29, p3), (32, 1)):
        mixed = (mixed ^ mixed >> shift) * factor % WORD
    return mixed
