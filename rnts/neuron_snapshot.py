"""The snapshot document of one neuron, in full; docs/snapshot.md describes it."""

import math
import time

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import durations
from rnts.kernels import neurons as table
from rnts.kernels.held import MAXIMUM, MINIMUM
from rnts.kernels.panes import SLOT_BITS, SLOT_ERRORS, SLOT_RECORDS
from rnts.model import METRICS, Health
from rnts.panes import DURATION_COLUMN, Held, Panes
from rnts.snapshot_parts import (
    LINKS_SHOWN_MAX,
    VERSION,
    Document,
    event_document,
    link_document,
    metric_documents,
    percentiles_document,
    window_document,
)
from rnts.windows import Windows


def neuron_snapshot(windows: Windows, wanted: str, *, time_ns: int | None = None) -> Document:
    """All that is known of the neuron of a name or of a decimal id.

    If there is none, `neuron` is None and `near` has names like the wanted one. `time_ns` is now
    unless it is given.
    """
    population = windows.population
    document: Document = {"version": VERSION, "time_ns": time_ns or time.time_ns()}
    row = population.find(wanted)
    if row == table.OVERFLOW_ROW:
        return document | {"neuron": None, "near": population.near(wanted)}
    neuron_id = population.id_of(row)
    identity = population.identity_of(neuron_id)
    words = population.rows[row]
    to_it, from_it = windows.traffic.of(neuron_id, LINKS_SHOWN_MAX)
    events = (event for event in windows.events.newest_first() if event.neuron_id == neuron_id)
    neuron = {
        "neuron_id": str(neuron_id),
        "name": identity.name if identity else None,
        "group": population.group_of(row),
        "role": identity.role if identity else None,
        "host": identity.host if identity else None,
        "health": Health(int(words[table.HEALTH])).name.lower(),
        "reason": population.reason_of(row),
        "since_ns": int(words[table.HEALTH_SINCE]) or None,
        "last_seen_ns": int(words[table.LATEST]) or None,
        "last": _last_values(words),
        **_in_window(windows, words),
        "links": {
            "in": [link_document(link, population) for link in to_it],
            "out": [link_document(link, population) for link in from_it],
        },
        "events": [event_document(event, population) for event in events],
    }
    return document | {"neuron": neuron}


def _last_values(words: NDArray[np.int64]) -> Document:
    """The last value of each metric that the neuron has reported."""
    values: Document = {}
    for column, metric in enumerate(METRICS):
        if not (int(words[table.SEEN]) >> column) & 1:
            continue
        raw = words[table.LAST + column]
        if not metric.storage.is_float:
            values[metric.name] = int(raw.view(np.uint64))
        elif math.isfinite(number := float(raw.view(np.float64))):
            values[metric.name] = number
    return values


def _in_window(windows: Windows, words: NDArray[np.int64]) -> Document:
    """What the neuron reported in the newest closed window, while that is still at hand."""
    closed, panes = windows.closed, windows.panes
    silent: Document = {"window": None, "records": 0, "errors": 0, "metrics": {}}
    if closed is None or (closed.records and not panes.holds(closed.window)):
        return silent
    silent["window"] = window_document(closed)
    place = int(words[table.PLACES + closed.window % panes.ring])
    if place >> SLOT_BITS != closed.window + 1:
        return silent
    slot = place & ((1 << SLOT_BITS) - 1)
    held, counts = panes.held(closed.window, slot), panes.slots(closed.window)[slot]
    return {
        "window": window_document(closed),
        "records": int(counts[SLOT_RECORDS]),
        "errors": int(counts[SLOT_ERRORS]),
        "metrics": metric_documents(
            held.moments, windows.window_ns, lambda column: _percentiles(panes, held, column)
        ),
    }


def _percentiles(panes: Panes, held: Held, column: int) -> Document:
    """The percentiles of a neuron's durations; of other metrics it has none."""
    if column != DURATION_COLUMN:
        return {}
    values = np.zeros(len(panes.percentiles))
    bounded = durations.quantiles(
        held.durations,
        np.array(panes.percentiles),
        float(held.moments[MINIMUM + column]),
        float(held.moments[MAXIMUM + column]),
        values,
    )
    bound = durations.RELATIVE_ERROR if bounded else None
    return percentiles_document(panes.percentiles, values, bound)
