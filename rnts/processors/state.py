"""What an anomaly detector has learned, as bytes: whose the baselines are, then the baselines."""

import json
import struct

_HEAD = struct.Struct("<4sI")
_MAGIC = b"RADS"


def pack_state(by: str, keys: list[str], names: list[str], baselines: bytes) -> bytes:
    """The bytes of a state; keys and names are by the rows of the baselines."""
    about = json.dumps({"by": by, "keys": keys, "names": names}).encode()
    return _HEAD.pack(_MAGIC, len(about)) + about + baselines


def unpack_state(raw: bytes, by: str, entities_max: int) -> tuple[list[str], list[str], bytes]:
    """(keys, names, baselines); ValueError where they are of something else."""
    try:
        magic, length = _HEAD.unpack_from(raw)
        about = json.loads(raw[_HEAD.size : _HEAD.size + length])
        keys, names = list(map(str, about["keys"])), list(map(str, about["names"]))
        is_ours = magic == _MAGIC and about["by"] == by and len(keys) == len(names)
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"no state of an anomaly detector: {error}") from error
    if not is_ours or len(keys) > entities_max:
        raise ValueError("a state of an anomaly detector with other options")
    return keys, names, raw[_HEAD.size + length :]
