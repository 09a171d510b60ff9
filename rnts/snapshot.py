"""The snapshot document of the population, as docs/snapshot.md describes it."""

from rnts.closed_window import ClosedWindow
from rnts.kernels.held import COUNT
from rnts.kernels.histogram import RELATIVE_ERROR
from rnts.model import METRICS, Health, Storage
from rnts.neuron_snapshot import neuron_snapshot
from rnts.panes import LATENCY_COLUMN
from rnts.snapshot_parts import (
    LINKS_SHOWN_MAX,
    SECOND_NS,
    VERSION,
    Document,
    column_document,
    event_document,
    link_document,
    metric_documents,
    percentiles_document,
    sampling_document,
    window_document,
    with_whole_percentiles,
)
from rnts.windows import Windows

__all__ = ["neuron_snapshot", "snapshot"]

_STATES = tuple(state.name.lower() for state in Health)
_ALL = -1  # the row of a summary that is about all groups together


def snapshot(
    windows: Windows,
    *,
    time_ns: int,
    accounting: Document,
    agents: list[Document],
    aggregator: Document,
) -> Document:
    """The population as it is, and what it did in the newest closed window.

    `accounting`, `agents` and `aggregator` stand in it as they are given.
    """
    closed, population = windows.closed, windows.population
    records = closed.records * SECOND_NS / windows.window_ns if closed else None
    return {
        "version": VERSION,
        "time_ns": time_ns,
        "neurons": {
            "known": population.known,
            "active": closed.active if closed else 0,
            "health": _health(population.health.sum(axis=0).tolist()),
        },
        "window": window_document(closed) | {"records": closed.records} if closed else None,
        "metrics": _metrics(windows, closed, _ALL),
        "accounting": accounting,
        "records_per_second": records,
        "latency_ns": _latency(windows, closed),
        "groups": _groups(windows, closed),
        "busiest": list(closed.busiest) if closed else [],
        "sickest": list(closed.sickest) if closed else [],
        "events": {
            "counts": dict(windows.events.counts),
            "recent": [event_document(e, population) for e in windows.events.newest_first()],
        },
        "links": {
            "count": windows.traffic.known,
            "top": [link_document(a, population) for a in windows.traffic.top(LINKS_SHOWN_MAX)],
        },
        "limits": _limits(windows),
        "agents": agents,
        "aggregator": aggregator,
    }


def _health(counts: list[int]) -> dict[str, int]:
    return dict(zip(_STATES, counts, strict=True))


def _percentiles(windows: Windows, closed: ClosedWindow, row: int, column: int) -> Document:
    summary = closed.summary
    assert summary is not None
    bound = RELATIVE_ERROR if summary.bounded[row, column] else None
    values = summary.percentiles[row, column]
    document = percentiles_document(windows.panes.percentiles, values, bound)
    is_whole = column == LATENCY_COLUMN or not METRICS[column].storage.is_float
    document = with_whole_percentiles(document) if is_whole else document
    is_level = column != LATENCY_COLUMN and METRICS[column].role != "counter"
    if summary.sampling is None or not is_level:
        return document
    errors = summary.sampling[row, column]
    return document | sampling_document(windows.panes.percentiles, errors)


def _metrics(windows: Windows, closed: ClosedWindow | None, row: int) -> Document:
    """The metrics that were reported, of the group `row` or of all."""
    if closed is None or closed.summary is None:
        return {}
    return metric_documents(
        closed.summary.moments[row],
        windows.window_ns,
        lambda column: _percentiles(windows, closed, row, column),
    )


def _latency(windows: Windows, closed: ClosedWindow | None) -> Document | None:
    """How old samples were when they were folded."""
    if closed is None or closed.summary is None:
        return None
    moments = closed.summary.moments[_ALL]
    if moments[COUNT + LATENCY_COLUMN] == 0:
        return None
    document = column_document(moments, LATENCY_COLUMN, Storage.U64)
    return document | _percentiles(windows, closed, _ALL, LATENCY_COLUMN)


def _groups(windows: Windows, closed: ClosedWindow | None) -> Document:
    """The groups that have neurons, or had records in the window."""
    population = windows.population
    documents = {}
    for group, name in enumerate(population.group_names):
        health = population.health[group].tolist()
        counts = closed.groups[group : group + 1] if closed else ()
        active, records = counts[0] if counts else (0, 0)
        if any(health) or records:
            documents[name] = {
                "neurons": sum(health),
                "active": active,
                "records": records,
                "health": _health(health),
                "metrics": _metrics(windows, closed, group) if records else {},
            }
    return documents


def _limits(windows: Windows) -> Document:
    """What was left out, or not told apart, because there has to be an end somewhere."""
    population = windows.population
    return {
        "neurons_max": population.max_neurons,
        "neurons_retired": population.retired,
        "groups_retired": population.groups.given_up,
        "hosts_retired": population.host_places.given_up,
        "overflow_records": windows.overflow_records,
        "names_refused": population.names_refused,
        "link_records_refused": windows.traffic.refused,
        "health_reasons_skipped": windows.reasons_skipped,
        "values_refused": windows.values_refused,
        "stale_records": windows.reflex.stale,
    }
