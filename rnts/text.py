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


def check_string(what: str, string: object) -> None:
    """Raise TypeError or ValueError where `string`, the `what` of a neuron, cannot be one."""
    if not isinstance(string, str):
        raise TypeError(f"the {what} of a neuron must be a str, not {type(string).__name__}")
    length = len(string.encode("utf-8", "replace"))
    if length > TEXT_BYTES_MAX:
        raise ValueError(
            f"the {what} of a neuron must have at most {TEXT_BYTES_MAX} bytes, not {length}"
        )


def name_to_id(name: str) -> int:
    """The 64-bit id of a name: BLAKE2b, so that all processes agree."""
    import hashlib  # loads OpenSSL: 10 ms that a program without names need not pay

    # Names of files may hold lone surrogates, and they are names like others.
    raw = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")
