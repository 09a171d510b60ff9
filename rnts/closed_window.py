"""A window that is closed: its statistics, and the neurons in it that one should look at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import neurons as table
from rnts.kernels.held import COUNT, SUM
from rnts.kernels.panes import ACTIVE, RECORDS, SLOT_ERRORS, SLOT_RECORDS, SLOT_ROW, SLOT_WORDS
from rnts.model import FIELD, Health
from rnts.panes import DURATION_COLUMN, Panes, Summary
from rnts.population import Population

SHOWN_MAX = 10  # neurons in each list
_ACTIVATIONS = FIELD["activation_count"].bit
# How bad a state is: worse than any number of errors. Who never said how it is counts as well.
_SEVERITY = np.zeros(len(Health), np.int64)
_SEVERITY[[Health.DEGRADED, Health.CRITICAL]] = 1 << 40, 2 << 40


@dataclass(frozen=True)
class ClosedWindow:
    """What is kept of the newest closed window; `summary` is None if it had no record at all.

    groups: by the index of a group, (neurons with a record, records).
    busiest, sickest: as they stand in the snapshot.
    complete: no record of it is missing but those that were declared lost.
    revision: how often late records have been added to it since.
    """

    window: int
    start_ns: int
    end_ns: int
    complete: bool
    records: int = 0
    active: int = 0
    summary: Summary | None = None
    groups: tuple[tuple[int, int], ...] = ()
    busiest: tuple[dict[str, Any], ...] = ()
    sickest: tuple[dict[str, Any], ...] = ()
    revision: int = 0


def close_window(
    window: int,
    window_ns: int,
    complete: bool,
    panes: Panes,
    population: Population,
    revision: int = 0,
) -> ClosedWindow:
    """Summarise a window: about 1 ms, and 2 ms more for each 100,000 neurons that spoke."""
    start_ns, end_ns = window * window_ns, (window + 1) * window_ns
    if not panes.holds(window):
        sickest = _sickest(np.zeros((0, SLOT_WORDS), np.int32), population)
        return ClosedWindow(window, start_ns, end_ns, complete, sickest=sickest, revision=revision)
    words = panes.groups(window)[: len(population.group_names)]
    slots = panes.slots(window)
    return ClosedWindow(
        window,
        start_ns,
        end_ns,
        complete,
        panes.head(window, RECORDS),
        panes.head(window, ACTIVE),
        panes.summarise(window),
        tuple((active, records) for active, records in words.tolist()),
        _busiest(window, panes, window_ns, population),
        _sickest(slots, population),
        revision,
    )


def _busiest(
    window: int, panes: Panes, window_ns: int, population: Population
) -> tuple[dict[str, Any], ...]:
    """The neurons that worked longest; where none says how long, those with most records."""
    slots, key = panes.slots(window), panes.busy_ns(window)
    if not key.any():
        key = slots[:, SLOT_RECORDS].astype(np.float64)
    key[slots[:, SLOT_ROW] == table.OVERFLOW_ROW] = 0
    documents = []
    for place in _top(key):
        values = panes.held(window, place).moments
        document = _standing(int(slots[place, SLOT_ROW]), population)
        document["records"] = int(slots[place, SLOT_RECORDS])
        if values[COUNT + _ACTIVATIONS]:
            document["activation_count"] = round(values[SUM + _ACTIVATIONS])
        if values[COUNT + DURATION_COLUMN]:
            busy_ns = float(values[SUM + DURATION_COLUMN])
            document["processing_time_ns"] = busy_ns / float(values[COUNT + DURATION_COLUMN])
            document["busy_ratio"] = busy_ns / window_ns
        documents.append(document)
    return tuple(documents)


def _sickest(slots: NDArray[np.int32], population: Population) -> tuple[dict[str, Any], ...]:
    """Critical neurons before degraded ones, and among equals those with most error events."""
    failed = slots[slots[:, SLOT_ERRORS].nonzero()]
    errors = dict(zip(failed[:, SLOT_ROW].tolist(), failed[:, SLOT_ERRORS].tolist(), strict=True))
    unwell = population.health[:, [Health.DEGRADED, Health.CRITICAL]]
    if not unwell.any() and not errors:
        return ()
    key = np.zeros(len(population.used) + 1, np.int64)
    table.weigh_health(population.arrays, _SEVERITY, key)
    key[failed[:, SLOT_ROW]] += failed[:, SLOT_ERRORS]
    key[table.OVERFLOW_ROW] = 0
    documents = []
    for row in _top(key):
        document = _standing(row, population)
        document["reason"] = population.reason_of(row)
        document["since_ns"] = int(population.rows[row, table.HEALTH_SINCE]) or None
        document["errors"] = errors.get(row, 0)
        documents.append(document)
    return tuple(documents)


def _top(key: NDArray[Any]) -> list[int]:
    """The indices of the greatest values above 0, the greatest first."""
    indices = np.arange(key.size)
    if key.size > SHOWN_MAX:
        # From the small end: where most values are equal, as here, the other takes 30 times longer.
        indices = np.argpartition(-key, SHOWN_MAX)[:SHOWN_MAX]
    indices = indices[key[indices] > 0]
    return [int(i) for i in indices[np.argsort(-key[indices], kind="stable")]]


def _standing(row: int, population: Population) -> dict[str, Any]:
    """Who the neuron of a row is, and how it is."""
    neuron_id = population.id_of(row)
    identity = population.identity_of(neuron_id)
    return {
        "neuron_id": str(neuron_id),
        "name": identity.name if identity else None,
        "group": population.group_of(row),
        "health": Health(int(population.rows[row, table.HEALTH])).name.lower(),
    }
