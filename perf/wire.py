"""Bytes and time of a record on the wire, over sessions as agents have them, beside other formats.

Every frame is opened again in the same run, and what comes out is compared with what went in:
integers and times have to be the same, floats within the error that the frame declares.
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.accounting import SOURCE_COLUMNS
from rnts.frame import DecoderSession, FrameDecoder, FrameEncoder
from rnts.model import FIELD
from rnts.perf import workload
from rnts.perf.wire_peers import PEERS, peer_bytes
from rnts.records import Records

_SEED = 1
_NO_SOURCES = np.zeros((0, len(SOURCE_COLUMNS)), np.int64)


class _Errors:
    """How far decoded records are from what was sent, in steps of each grid."""

    def __init__(self) -> None:
        self.steps_max = 0.0
        self.are_integers_exact = True

    def compare(self, slots: NDArray[np.int64], records: Records) -> None:
        """Take one frame into account."""
        count = records.count
        masks = records.masks[:count]
        are_same = count == len(slots) and bool((records.times_ns[:count] == slots[:, 2]).all())
        are_same &= bool((records.ids[:count].view(np.int64) == slots[:, 1]).all())
        are_same &= bool((masks == slots[:, 0] >> 32).all())
        for name in workload.FIELD_NAMES:
            field = FIELD[name]
            has = masks & field.mask != 0
            stored = slots[:, field.word] >> field.shift
            if field.storage.bits < 64:
                stored &= (1 << field.storage.bits) - 1
            found = records.values[:count, field.bit]
            if not field.step:
                are_same &= bool((found[has] == stored[has]).all())
                continue
            bits = field.storage.bits
            sent = stored.astype(f"<u{bits // 8}").view(f"<f{bits // 8}").astype(np.float64)
            error = np.abs(found.view(np.float64) - sent)[has].max(initial=0.0) / field.step
            self.steps_max = max(self.steps_max, float(error))
        self.are_integers_exact &= are_same


def _session(
    frames: Sequence[NDArray[np.int64]], warm: int, repeats: int, errors: _Errors, **options: Any
) -> dict[str, float]:
    """Bytes, and time to encode and decode, of a record in frames after the first `warm` ones.

    Options: `compression` of the encoder; `is_keyframe`: each frame stands alone.
    """
    is_keyframe = options.pop("is_keyframe", False)
    decoder, count = FrameDecoder(), sum(map(len, frames[warm:]))
    times: dict[str, list[float]] = {"encode_ns": [], "decode_ns": []}
    size = 0
    for turn in range(repeats):
        encoder, session = FrameEncoder(1, 1, **options), DecoderSession()
        spent_ns = [0, 0]
        size = 0
        for number, slots in enumerate(frames, 1):
            start_ns = time.thread_time_ns()
            frame = encoder.encode(
                slots,
                sequence=number,
                watermark_ns=0,
                sources=_NO_SOURCES,
                is_keyframe=is_keyframe,
            )
            sent_ns = time.thread_time_ns()
            records = decoder.decode(frame, None, session).records
            end_ns = time.thread_time_ns()
            if turn == 0:
                errors.compare(slots, records)
            if number > warm:
                size += len(frame)
                spent_ns[0] += sent_ns - start_ns
                spent_ns[1] += end_ns - sent_ns
        for name, spent in zip(times, spent_ns, strict=True):
            times[name].append(spent / count)
    return {"bytes": size / count} | {name: statistics.median(v) for name, v in times.items()}


def wire(smoke: bool) -> dict[str, Any]:
    """Sizes and times of sessions and keyframes, those of other formats, and the decoded error."""
    count, repeats, many = (20_000, 1, 20_000) if smoke else (200_000, 7, 1_000_000)
    errors = _Errors()
    table = workload.records(count, 256, _SEED)
    steady = workload.to_slots(table)
    uniform = workload.to_slots(workload.records(2 * count, 10_000, _SEED, profile="uniform"))
    half = count // 2
    runs: dict[str, tuple[list[NDArray[np.int64]], int, dict[str, Any]]] = {
        "session_256": (workload.batches(steady, 1_000), half // 1_000, {}),
        "session_10000": (workload.batches(uniform, 1_000), count // 1_000, {}),
        "session_small_frames": (workload.batches(steady[:half], 100), half // 200, {}),
        "keyframe": (workload.batches(steady, 10_000), 0, {"is_keyframe": True}),
        "session_256_rice": (
            workload.batches(steady, 1_000),
            half // 1_000,
            {"compression": "rice"},
        ),
        "session_10000_rice": (
            workload.batches(uniform, 1_000),
            count // 1_000,
            {"compression": "rice"},
        ),
    }
    found: dict[str, Any] = {}
    for name, (frames, warm, options) in runs.items():
        measured = _session(frames, warm, repeats, errors, **options)
        found |= {f"{name}_{figure}": value for figure, value in measured.items()}
    frames = workload.of_many(many, half, 10_000)
    million = _session(frames, -(-many // 10_000), min(repeats, 3), errors)
    found |= {
        f"{way}_ns": max(found[f"session_{mix}_{way}_ns"] for mix in ("256", "10000"))
        for way in ("encode", "decode")
    }
    found["encode_million_neurons_ns"] = million["encode_ns"]
    found["decode_million_neurons_ns"] = million["decode_ns"]
    found["other_neurons_of_a_million"] = many
    tables = [table[start : start + 10_000] for start in range(half, count, 10_000)]
    sizes = {f"{name}_bytes": peer_bytes(name, tables) for name in PEERS}
    best = min((size for size in sizes.values() if size is not None), default=None)
    found |= {**sizes, "best_peer_bytes": best}
    found["decoded_error_steps"] = errors.steps_max
    found["integers_exact"] = errors.are_integers_exact
    return found
