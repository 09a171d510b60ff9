"""Bytes and time of a record on the wire and in the windows, on the common workload.

Three mixes: 256 neurons in frames of 1,000 and of 10,000 records, and 10,000 neurons that are all
equally likely, in frames of 10,000. The references are lz4 of the same records as plain rows of
109 bytes, and NumPy's sums of the 14 metrics by neuron.
"""

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import lz4.block
import numpy as np
from numpy.typing import NDArray

from rnts.accounting import SOURCE_COLUMNS
from rnts.frame import FrameDecoder, FrameEncoder
from rnts.model import FIELDS, METRIC_NAMES
from rnts.perf import workload
from rnts.perf.timing import Batch, call_times_ns
from rnts.records import Records
from rnts.snapshot import snapshot
from rnts.windows import Windows

_MIXES = {  # name: neurons, profile, records in a frame
    "256_neurons_batch_1000": (256, "steady", 1_000),
    "256_neurons_batch_10000": (256, "steady", 10_000),
    "10000_neurons_batch_10000": (10_000, "uniform", 10_000),
}
_SEED = 1
_GAP_NS = 500
_WINDOW_NS = 1_000_000_000
_PERCENTILES = (50, 90, 95, 99, 99.9)
_NO_SOURCES = np.zeros((0, len(SOURCE_COLUMNS)), np.int64)


def _sizes(smoke: bool) -> tuple[int, int]:
    """How many records of each mix, and how many times they are gone through."""
    return (10_000, 2) if smoke else (100_000, 15)


def _mixes(count: int) -> Iterator[tuple[str, list[NDArray[Any]]]]:
    """Each mix by its name: structured arrays of records, one for a frame."""
    for name, (neurons, profile, batch) in _MIXES.items():
        table = workload.records(count, neurons, _SEED, mean_gap_ns=_GAP_NS, profile=profile)
        yield name, [table[start : start + batch] for start in range(0, count, batch)]


def _each(function: Callable[[Any], Any], inputs: Sequence[Any], count: int) -> Batch:
    """A batch that calls `function` with each input, for `count` records in all."""

    def batch() -> int:
        for one in inputs:
            function(one)
        return count

    return batch


def encoder(compression: str) -> Callable[[NDArray[np.int64]], bytes]:
    """Encodes slots into the frames of one session."""
    frames = FrameEncoder(1, 1, compression)
    return lambda slots: frames.encode(slots, sequence=1, watermark_ns=0, sources=_NO_SOURCES)


def _pack(row: bytes) -> bytes:
    packed: bytes = lz4.block.compress(row, store_size=False)
    return packed


def _digest(parts: Sequence[bytes]) -> str:
    return hashlib.blake2b(b"".join(parts), digest_size=8).hexdigest()


def encode(smoke: bool) -> dict[str, Any]:
    """Slots to frames, with lz4 where it pays, as the agent does by default, and without."""
    count, repeats = _sizes(smoke)
    figures: dict[str, Any] = {}
    contenders: dict[str, Batch] = {}
    frames: list[bytes] = []
    for name, tables in _mixes(count):
        slots = [workload.to_slots(table) for table in tables]
        rows = [table.tobytes() for table in tables]
        ways: tuple[tuple[str, Callable[[Any], bytes], list[Any]], ...] = (
            (name, encoder("lz4"), slots),
            (f"{name}_without_lz4", encoder("none"), slots),
            (f"{name}_rows_lz4", _pack, rows),
        )
        for contender, function, inputs in ways:
            figures[f"{contender}_bytes"] = sum(len(function(one)) for one in inputs) / count
            contenders[f"{contender}_ns"] = _each(function, inputs, count)
        frames += [encoder("none")(one) for one in slots]
    return {**figures, **call_times_ns(contenders, repeats), "hash": _digest(frames)}


def decode(smoke: bool) -> dict[str, Any]:
    """Frames to records, all checks included."""
    count, repeats = _sizes(smoke)
    decoder = FrameDecoder()
    contenders: dict[str, Batch] = {}
    results: list[bytes] = []
    for name, tables in _mixes(count):
        frames = [encoder("lz4")(workload.to_slots(table)) for table in tables]
        rows = [(_pack(table.tobytes()), table.nbytes) for table in tables]
        contenders[f"{name}_ns"] = _each(decoder.decode, frames, count)
        contenders[f"{name}_rows_lz4_ns"] = _each(
            lambda row: lz4.block.decompress(row[0], uncompressed_size=row[1]), rows, count
        )
        for frame in frames:
            results += _content(decoder.decode(frame).records)
    return {**call_times_ns(contenders, repeats), "hash": _digest(results)}


def _content(records: Records) -> list[bytes]:
    """What a decoded frame says, as bytes; cells of fields that are not set say nothing."""
    count, bits = records.count, np.arange(len(FIELDS))
    masks = records.masks[:count]
    values = np.where((masks[:, None] >> bits) & 1, records.values[:count], 0)
    parts = (records.ids, records.times_ns, records.kinds, records.masks)
    return [*(part[:count].tobytes() for part in parts), values.tobytes()]


def fold(smoke: bool) -> dict[str, Any]:
    """Records into windows, and the end of a window: its statistics by group and of all."""
    count, repeats = _sizes(smoke)
    figures: dict[str, Any] = {}
    results: list[bytes] = []
    for name, tables in _mixes(count):
        frames = [encoder("none")(workload.to_slots(table)) for table in tables]
        batches = [copy_of(FrameDecoder().decode(frame).records) for frame in frames]
        windows = Windows(_WINDOW_NS, _PERCENTILES)
        folds, ends = [], []
        for turn in range(repeats + 1):
            for batch in batches:  # another window each time, which is what closes the last one
                batch.times_ns += 2 * _WINDOW_NS
            latest_ns = int(batches[-1].times_ns[-1])
            start_ns = time.thread_time_ns()
            for batch in batches:
                windows.fold(batch, latest_ns)
            folded_ns = time.thread_time_ns()
            windows.advance(latest_ns + _WINDOW_NS, complete=True)
            folds.append((folded_ns - start_ns) / count)
            ends.append((time.thread_time_ns() - folded_ns) / 1e6)
            if turn == 0:
                results.append(_statistics(windows))
        figures[f"{name}_ns"] = statistics.median(folds[1:])
        figures[f"{name}_close_ms"] = statistics.median(ends[1:])
        sums = call_times_ns({f"{name}_bincount_ns": _each(_sums, tables, count)}, repeats)
        figures |= sums
    return {**figures, "hash": _digest(results)}


def copy_of(records: Records) -> Records:
    """The records in arrays of their own, as large as they are many."""
    count = records.count
    return replace(
        records,
        ids=records.ids[:count].copy(),
        times_ns=records.times_ns[:count].copy(),
        kinds=records.kinds[:count].copy(),
        masks=records.masks[:count].copy(),
        values=records.values[:count].copy(),
        text_offsets=records.text_offsets[: count + 1].copy(),
        text=records.text[: int(records.text_offsets[count])].copy(),
    )


def _statistics(windows: Windows) -> bytes:
    """The metrics of the newest closed window as a snapshot tells them."""
    document = snapshot(windows, time_ns=0, accounting={}, agents=[], aggregator={})
    return json.dumps([document["window"], document["metrics"]], sort_keys=True).encode()


def _sums(table: NDArray[Any]) -> None:
    """NumPy's sums of the metrics by neuron."""
    _, rows = np.unique(table["neuron_id"], return_inverse=True)
    for metric in METRIC_NAMES:
        np.bincount(rows, weights=table[metric])
