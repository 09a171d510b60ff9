"""The parts that snapshot documents are made of: statistics, windows, events, links."""

from collections.abc import Callable
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.closed_window import ClosedWindow
from rnts.kernels import sampling_errors
from rnts.kernels.held import COUNT, MAXIMUM, MINIMUM, SUM
from rnts.kernels.sampling_errors import WIDTH
from rnts.model import METRICS, Storage
from rnts.population import Population
from rnts.recent_events import RecentEvent
from rnts.traffic import Link

VERSION = 1
LINKS_SHOWN_MAX = 10
SECOND_NS = 1_000_000_000
# Below this a bucket of the full histogram is less than one wide. It holds one whole number, which
# is less than half away from the bucket's estimate.
_WHOLE_BELOW = 64

Document = dict[str, Any]
Row = NDArray[np.float64]


def metric_documents(
    moments: Row, window_ns: int, percentiles: Callable[[int], Document]
) -> Document:
    """A document for each metric that was reported, with what `percentiles(column)` adds to it."""
    documents = {}
    for column, metric in enumerate(METRICS):
        if moments[COUNT + column] > 0:
            document = column_document(moments, column, metric.storage)
            total = moments[(SUM if metric.role == "counter" else COUNT) + column]
            document["rate"] = float(total) * SECOND_NS / window_ns
            documents[metric.name] = document | percentiles(column)
    return documents


def column_document(moments: Row, column: int, storage: Storage) -> Document:
    """Count, mean and extremes of a column that has a value."""
    count = float(moments[COUNT + column])
    least, most = float(moments[MINIMUM + column]), float(moments[MAXIMUM + column])
    return {
        "count": int(count) if count.is_integer() else count,
        "mean": float(moments[SUM + column]) / count,
        "min": least if storage.is_float else int(least),
        "max": most if storage.is_float else int(most),
    }


def percentiles_document(
    percentiles: tuple[float, ...], values: Row, relative_error: float | None
) -> Document:
    """The percentiles under their numbers, and how far off they may be; None if nobody can say."""
    named = {f"{p:g}": value for p, value in zip(percentiles, values.tolist(), strict=True)}
    return {"percentiles": named, "relative_error": relative_error}


def sampling_document(percentiles: tuple[float, ...], errors: Row) -> Document:
    """How far statistics may be off because samples were left out; empty where none was."""
    if not errors[sampling_errors.EFFECTIVE] > 0:
        return {}
    count = len(percentiles)
    lows, highs = errors[sampling_errors.ENDS :].reshape(2, count).tolist()
    ends = [None if isnan(low) else [low, high] for low, high in zip(lows, highs, strict=True)]
    about = {
        "effective_samples": float(errors[sampling_errors.EFFECTIVE]),
        "mean_error": WIDTH * float(errors[sampling_errors.OF_MEAN]),
        "count_error": WIDTH * float(errors[sampling_errors.OF_COUNT]),
        "intervals": {f"{p:g}": each for p, each in zip(percentiles, ends, strict=True)},
    }
    return {"sampling": about}


def with_whole_percentiles(document: Document) -> Document:
    """The same with small percentiles of whole numbers exact: 2 instead of 1.99."""
    percentiles = {
        name: round(value) if abs(value) < _WHOLE_BELOW else value
        for name, value in document["percentiles"].items()
    }
    return document | {"percentiles": percentiles}


def window_document(closed: ClosedWindow) -> Document:
    """Which time a window covers."""
    return {
        "start_ns": closed.start_ns,
        "end_ns": closed.end_ns,
        "complete": closed.complete,
        "revision": closed.revision,
    }


def event_document(event: RecentEvent, population: Population) -> Document:
    """An event with the names of its neuron and, where it is about one, of the peer."""
    document = event.document() | {"name": _name_of(event.neuron_id, population)}
    if "peer_id" in document:
        document["peer"] = _name_of(event.peer_id, population)
    return document


def link_document(link: Link, population: Population) -> Document:
    """A link; its ends go by their names where they have one."""
    return {
        "source": _name_of(link.source_id, population) or str(link.source_id),
        "target": _name_of(link.target_id, population) or str(link.target_id),
        "source_id": str(link.source_id),
        "target_id": str(link.target_id),
        "messages": link.messages,
        "bytes": link.bytes,
        "latency_ns": link.latency_ns,
        "last_seen_ns": link.latest_ns,
    }


def _name_of(neuron_id: int, population: Population) -> str | None:
    identity = population.identity_of(neuron_id)
    return identity.name if identity else None
