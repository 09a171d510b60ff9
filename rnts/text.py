"""The strings of a record: each a length byte and UTF-8, one after the other."""

from rnts.model import TEXT_BYTES_MAX


def split_strings(raw: bytes) -> list[str]:
    """Undo `join_strings`; a string cut short by its container ends where the bytes end."""
    strings, position = [], 0
    while position < len(raw):
        end = position + 1 + raw[position]
        strings.append(raw[position + 1 : end].decode("utf-8", "replace"))
        position = end
    return strings


def join_strings(*strings: str) -> bytes:
    """Each string as a length byte and UTF-8; one that is too long ends in an ellipsis."""
    parts = []
    for string in strings:
        raw = string.encode("utf-8", "replace")
        if len(raw) > TEXT_BYTES_MAX:
            raw = raw[: TEXT_BYTES_MAX - 3].decode("utf-8", "ignore").encode() + "…".encode()
        parts.append(bytes((len(raw),)) + raw)
    return b"".join(parts)
