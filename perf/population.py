"""The fold of a full record where a million neurons take turns, as an aggregator does it.

The frames are encoded and decoded before; what is timed is the fold of the columns that come out,
in batches of 10,000, into windows of a second with the aggregator's own settings. Each record is of
a random neuron, so no cache holds what it needs. The first windows touch memory that nobody had,
which happens once, and so are not counted.
"""

import statistics
import time
from typing import Any

from rnts.frame import FrameDecoder
from rnts.perf import workload
from rnts.perf.codec import copy_of, encoder
from rnts.records import Records
from rnts.windows import Windows

_NEURONS, _NEURONS_SMOKE, _BATCH = 1_000_000, 20_000, 10_000
_WINDOW_NS, _UNSEALED, _PERCENTILES = 1_000_000_000, 2, (50, 90, 95, 99, 99.9)
_WINDOWS_TOUCHED = 6  # until each pane has been used


def population(smoke: bool) -> dict[str, Any]:
    """The time of a record among a million neurons, the end of a window, and what is missing."""
    neurons, repeats = (_NEURONS_SMOKE, 1) if smoke else (_NEURONS, 5)
    encode, decoder = encoder("none"), FrameDecoder()
    slots = workload.of_many(neurons, neurons, _BATCH)
    batches = [copy_of(decoder.decode(encode(one)).records) for one in slots]
    new = neurons // _BATCH
    windows = Windows(_WINDOW_NS, _PERCENTILES, max_neurons=neurons, unsealed=_UNSEALED)
    number = workload.START_NS // _WINDOW_NS
    aggregated = _fold(windows, batches[:new], number)[1]
    folds, ends = [], []
    turns = _WINDOWS_TOUCHED + repeats
    for turn in range(turns):
        number += 1
        fold_ns, folded = _fold(windows, batches[new:], number)
        aggregated += folded
        start_ns = time.thread_time_ns()
        windows.advance(number * _WINDOW_NS, complete=True)
        if turn >= _WINDOWS_TOUCHED:
            folds.append(fold_ns / neurons)
            ends.append((time.thread_time_ns() - start_ns) / 1e6)
    return {
        "fold_million_neurons_ns": statistics.median(folds),
        "close_million_neurons_ms": statistics.median(ends),
        "other_neurons_of_a_million": neurons,
        "lost": neurons * (turns + 1) - aggregated,
    }


def _fold(windows: Windows, batches: list[Records], number: int) -> tuple[int, int]:
    """Fold all batches into one window; CPU time, and how many records went into it."""
    spent_ns = folded = 0
    for place, batch in enumerate(batches):
        batch.times_ns[:] = number * _WINDOW_NS + place
        start_ns = time.thread_time_ns()
        folded += windows.fold(batch, (number + 1) * _WINDOW_NS).aggregated
        spent_ns += time.thread_time_ns() - start_ns
    return spent_ns, folded
