"""A batch: some records as columns, as a stream processor sees them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.canary_ids import is_canary
from rnts.frame import Frame
from rnts.model import EVENTS, FIELD, METRIC_NAMES, METRICS, Kind
from rnts.records import Records

NEURONS_MAX = 1_000_000  # whose names are known; of those beyond the oldest goes
GROUPS_MAX = 4_096  # that have numbers of their own; those beyond share one
DEFAULT_GROUP, OTHER_GROUP = "default", "other"
_COLUMN = {name: index for index, name in enumerate(METRIC_NAMES)}
_EVENT_NAMES = {event.code: event.name for event in EVENTS}


class BatchEvent(NamedTuple):
    """An event: the row of its record, its type by name, and what it says."""

    row: int
    type: str
    value: float | None
    text: tuple[str, ...]


@dataclass
class Batch:
    """Records in the order in which they were folded; all arrays have a row for each.

    at_ns:         when the newest of them arrived, since the epoch
    is_after_gap:  whether records are missing between this batch and the one before
    metrics:       float64[n, len(METRIC_NAMES)], NaN where a record does not have the metric
    health:        float64[n], see `rnts.Health`; NaN where it is not told
    weights:       float64[n], how many records each stands for
    groups:        int64[n], indices of `group_names`; they stay the same from batch to batch
    names:         of those neurons of this batch that have told one, by id
    """

    at_ns: int
    is_after_gap: bool
    ids: NDArray[np.uint64]
    times_ns: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    metrics: NDArray[np.float64]
    health: NDArray[np.float64]
    weights: NDArray[np.float64]
    groups: NDArray[np.int64]
    group_names: tuple[str, ...]
    names: dict[int, str]
    events: tuple[BatchEvent, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, metric: str) -> NDArray[np.float64]:
        """The values of one metric, NaN where there are none; KeyError for an unknown name."""
        return self.metrics[:, _COLUMN[metric]]


class Batching:
    """Makes batches of frames; knows the names and groups of neurons from one to the next."""

    def __init__(self) -> None:
        self._identities: dict[int, tuple[str, int]] = {}  # id -> name, index of the group
        self._group_names = [DEFAULT_GROUP]
        self._groups = {DEFAULT_GROUP: 0}

    def batch(self, frames: Iterable[tuple[Frame, int]], is_after_gap: bool = False) -> Batch:
        """One batch of all records of these frames, each with its time of arrival."""
        parts = []
        events: list[BatchEvent] = []
        at_ns = rows = 0
        for frame, frame_at_ns in frames:
            at_ns = max(at_ns, frame_at_ns)
            self._take_names(frame.records)
            part = _columns(frame.records)
            events += _events(frame.records, part[-1], rows)
            parts.append(part[:-1])
            rows += len(part[0])
        columns = [np.concatenate(column) for column in zip(*(parts or [_NOTHING]), strict=True)]
        ids, times_ns, kinds, metrics, health, weights = columns
        known, places = np.unique(ids, return_inverse=True)
        told = [self._identities.get(neuron_id, ("", 0)) for neuron_id in known.tolist()]
        groups = np.array([group for _, group in told], np.int64)[places]
        names = {
            neuron_id: name
            for neuron_id, (name, _) in zip(known.tolist(), told, strict=True)
            if name
        }
        return Batch(
            at_ns, is_after_gap, ids, times_ns, kinds, metrics, health, weights,
            groups, tuple(self._group_names), names, tuple(events),
        )  # fmt: skip

    def _take_names(self, records: Records) -> None:
        is_name = records.kinds[: records.count] == Kind.NAME
        (indices,) = (is_name & ~is_canary(records.ids[: records.count])).nonzero()
        for index in indices.tolist():
            name, group, *_ = [*records.strings(index), "", ""]
            place = self._group_of(group or DEFAULT_GROUP)
            neuron_id = int(records.ids[index])
            if len(self._identities) >= NEURONS_MAX and neuron_id not in self._identities:
                del self._identities[next(iter(self._identities))]
            self._identities[neuron_id] = (name, place)

    def _group_of(self, name: str) -> int:
        """The number of a group."""
        if name not in self._groups and len(self._groups) >= GROUPS_MAX:
            name = OTHER_GROUP
        place = self._groups.setdefault(name, len(self._group_names))
        if place == len(self._group_names):
            self._group_names.append(name)
        return place


_NOTHING = (
    np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.uint8),
    np.zeros((0, len(METRICS))), np.zeros(0), np.zeros(0),
)  # fmt: skip


def _columns(records: Records) -> tuple[NDArray[Any], ...]:
    """The columns of all records but names and canaries', and which records those are."""
    is_record = records.kinds[: records.count] != Kind.NAME
    (rows,) = (is_record & ~is_canary(records.ids[: records.count])).nonzero()
    masks, values = records.masks[rows], records.values[rows]
    metrics = np.full((len(rows), len(METRICS)), np.nan)
    for metric in METRICS:
        has_it = (masks & metric.mask) != 0
        words = values[has_it, metric.bit]
        is_float = metric.storage.is_float
        metrics[has_it, metric.bit] = words.view(np.float64 if is_float else np.uint64)
    health = np.full(len(rows), np.nan)
    weights = np.ones(len(rows))
    for column, field in ((health, FIELD["health"]), (weights, FIELD["weight"])):
        has_it = (masks & field.mask) != 0
        words = values[has_it, field.bit]
        column[has_it] = words.view(np.float64) if field.storage.is_float else words
    weights[~(np.isfinite(weights) & (weights > 0))] = 1.0
    times_ns, kinds = records.times_ns[rows], records.kinds[rows]
    return records.ids[rows], times_ns, kinds, metrics, health, weights, rows


def _events(records: Records, rows: NDArray[Any], before: int) -> Iterable[BatchEvent]:
    """The events among these records; `before` rows of the batch come before them."""
    code, value = FIELD["event_type"], FIELD["event_value"]
    (places,) = (records.kinds[rows] == Kind.EVENT).nonzero()
    for place, index in zip(places.tolist(), rows[places].tolist(), strict=True):
        mask = int(records.masks[index])
        if not mask & code.mask:
            continue
        number = int(records.values[index, code.bit])
        told = float(records.values[index, value.bit].view(np.float64))
        yield BatchEvent(
            before + place,
            _EVENT_NAMES.get(number, str(number)),
            told if mask & value.mask else None,
            tuple(records.strings(index)),
        )
