"""The arrays that the fold reads the model from, and those in which it works."""

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import fold_rows
from rnts.kernels import fold_state as words
from rnts.kernels import neurons as table
from rnts.model import EVENT, FIELD, METRICS, Kind
from rnts.panes import DURATION_COLUMN, LATENCY_COLUMN

assert [metric.storage.is_float for metric in METRICS] == [
    column >= fold_rows.WHOLE_COLUMNS for column in range(len(METRICS))
], "whole numbers are the first columns, floats the others; see kernels/fold_rows.py"


def codes() -> NDArray[np.int64]:
    """What the model says, as the fold reads it."""
    codes = np.zeros(words.CODE_WORDS, np.int64)
    for kind in Kind:
        codes[getattr(words, f"KIND_{kind.name}")] = kind
    codes[words.BIT_HEALTH] = FIELD["health"].bit
    codes[words.BIT_WEIGHT] = FIELD["weight"].bit
    codes[words.BIT_EVENT_TYPE] = FIELD["event_type"].bit
    codes[words.BIT_LINK_PEER] = FIELD["link_peer_id"].bit
    codes[words.BIT_LINK_MESSAGES] = FIELD["link_messages"].bit
    codes[words.BIT_LINK_BYTES] = FIELD["link_bytes"].bit
    codes[words.BIT_LINK_LATENCY] = FIELD["link_latency_ns"].bit
    codes[words.EVENT_DEACTIVATED] = EVENT["Deactivated"].code
    codes[words.EVENT_ERROR] = EVENT["ErrorOccurred"].code
    codes[words.COLUMN_DURATION] = DURATION_COLUMN
    codes[words.COLUMN_LATENCY] = LATENCY_COLUMN
    counters = sum(metric.mask for metric in METRICS if metric.role == "counter")
    codes[words.METRICS] = (1 << len(METRICS)) - 1
    codes[words.COUNTERS] = counters
    # Weights do not apply to latency, nor to increases: an increase spans what was sampled out.
    codes[words.WEIGHTED] = codes[words.METRICS] & ~counters
    return codes


def block() -> tuple[np.ndarray, ...]:
    """Room for what the fold knows of a block of records while it is at it."""
    indices = [np.zeros(words.BLOCK, np.int64) for _ in range(5)]
    observed = np.full(words.BLOCK * table.COLUMNS, np.nan)
    buckets = np.zeros(words.BLOCK * table.COLUMNS, np.int32)
    return (*indices, np.zeros(words.BLOCK), observed, buckets, np.zeros(words.BLOCK, np.int64))
