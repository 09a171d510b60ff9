"""The anomaly detector: the first stream processor, and an example of how one is written.

Of each group, or of each neuron, and each metric it observes once an interval the weighted mean,
and the number of records and of errors. Each is a series with a baseline of its own.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import anomaly as words
from rnts.processors.advice import COUNTED, SCALES, advice_for, unscaled
from rnts.processors.baselines import Baselines, Finding
from rnts.processors.batch import Batch
from rnts.processors.protocol import Alert, Priority
from rnts.processors.state import pack_state, unpack_state

_CRITICAL_EXCESS = 2.0  # times the threshold
_ERRORS = "ErrorOccurred"
_OBSERVED = tuple(scale for scale in SCALES if scale.metric not in COUNTED)
_PLACES = np.array([scale.column for scale in _OBSERVED], np.int64)
_FLOORS = np.array([scale.floor for scale in SCALES])
_RELATIVE = np.array([scale.relative_floor for scale in SCALES])
_LOGARITHMIC = np.array([scale.is_logarithmic for scale in _OBSERVED])
_RECORDS_AT = len(_OBSERVED)  # the counts are behind the means


class AnomalyDetector:
    """See docs/processors.md for what its options mean, and what the risk does not cover."""

    name = "anomaly"
    priority = Priority.CRITICAL

    def __init__(
        self,
        risk: float = 1e-6,
        by: str = "group",
        interval_ms: int = 1_000,
        warm_up: int = 64,
        memory: int = 256,
        entities_max: int = 10_000,
    ) -> None:
        if by not in ("group", "neuron"):
            raise ValueError(f"by is group or neuron, and not {by!r}")
        if interval_ms < 1:
            raise ValueError(f"interval_ms is at least 1, and not {interval_ms}")
        self.baselines = Baselines(risk, warm_up, memory)
        self.entities_beyond = 0  # records of neurons or groups beyond `entities_max`
        self._by, self._interval_ns, self._entities_max = by, interval_ms * 1_000_000, entities_max
        self._rows: dict[str, int] = {}  # entities by their keys, which outlive a restart
        self._names: list[str] = []
        self._group_rows: list[int] = []  # by the batch's numbers of groups
        self._neuron_rows: dict[int, int] = {}
        self._interval: int | None = None
        self._is_broken = True  # records of the present interval are missing
        self._sums = np.zeros((0, len(_OBSERVED), 4))
        self._counts = np.zeros((0, 2))
        self._worst: list[str] = []  # of the interval: who had the largest value, by series

    def process(self, batch: Batch) -> Iterator[Alert]:
        """Close the interval if it is over, then take the batch in."""
        self._is_broken |= batch.is_after_gap
        interval = batch.at_ns // self._interval_ns
        if interval != self._interval:
            if not self._is_broken:
                yield from self._close()
            self._is_broken = self._interval is None or batch.is_after_gap
            self._interval = interval
            self._sums[:], self._counts[:] = 0, 0
            self._worst = [""] * self._sums[..., 0].size
        self._take(batch)

    def _take(self, batch: Batch) -> None:
        rows = self._rows_of(batch)
        values = batch.metrics[:, _PLACES].copy()
        values[:, _LOGARITHMIC] = np.log1p(np.maximum(values[:, _LOGARITHMIC], 0.0))
        largest = self._sums[..., 2].copy()
        words.accumulate(rows, batch.weights, values, self._sums)
        self._note_worst(batch, largest)
        is_known = rows >= 0
        np.add.at(self._counts[:, 0], rows[is_known], batch.weights[is_known])
        failed = [event.row for event in batch.events if event.type == _ERRORS]
        failed = [row for row in failed if rows[row] >= 0]
        np.add.at(self._counts[:, 1], rows[failed], 1.0)

    def _note_worst(self, batch: Batch, largest: NDArray[np.float64]) -> None:
        """Remember by name whose value is the largest of the interval."""
        entities, columns = np.nonzero(self._sums[..., 2] != largest)
        for entity, column in zip(entities.tolist(), columns.tolist(), strict=True):
            neuron_id = int(batch.ids[int(self._sums[entity, column, 3])])
            place = entity * len(_OBSERVED) + column
            self._worst[place] = batch.names.get(neuron_id, str(neuron_id))

    def _rows_of(self, batch: Batch) -> NDArray[np.int64]:
        """The entity of each record; -1 for those beyond the limit, which are counted."""
        if self._by == "group":
            for name in batch.group_names[len(self._group_rows) :]:
                self._group_rows.append(self._row(name, name))
            rows = np.array(self._group_rows, np.int64)[batch.groups]
        else:
            known, places = np.unique(batch.ids, return_inverse=True)
            rows = np.array([self._row_of(batch, int(key)) for key in known], np.int64)[places]
        self.entities_beyond += int((rows < 0).sum())
        return rows

    def _row_of(self, batch: Batch, neuron_id: int) -> int:
        row, name = self._neuron_rows.get(neuron_id), batch.names.get(neuron_id)
        if row is None:
            row = self._row(str(neuron_id), name or str(neuron_id))
            if row >= 0:
                self._neuron_rows[neuron_id] = row
        if row >= 0 and name:  # it may be told after the first records, or be another by now
            self._names[row] = name
        return row

    def _row(self, key: str, name: str) -> int:
        row = self._rows.get(key, -1)
        if row < 0 and len(self._rows) < self._entities_max:
            row = self._rows[key] = len(self._rows)
            self._names.append(name)
            self._make_room()
        return row

    def _make_room(self) -> None:
        """Have room for all entities; what they have summed up so far is kept."""
        missing = len(self._rows) - len(self._sums)
        if missing > 0:
            more = max(missing, len(self._sums), 16)
            self._sums = np.concatenate((self._sums, np.zeros((more, len(_OBSERVED), 4))))
            self._counts = np.concatenate((self._counts, np.zeros((more, 2))))
            self._worst += [""] * (more * len(_OBSERVED))

    def _close(self) -> Iterator[Alert]:
        """The interval is over: observe each series once."""
        entities = len(self._rows)
        observed = np.full((entities, len(SCALES)), np.nan)
        sums, weights = self._sums[:entities, :, 1], self._sums[:entities, :, 0]
        observed[:, : len(_OBSERVED)] = np.divide(
            sums, weights, out=np.full(sums.shape, np.nan), where=weights > 0
        )
        observed[:, _RECORDS_AT:] = np.sqrt(self._counts[:entities])
        self.baselines.reserve(observed.size)
        means = self.baselines.state[: observed.size, words.MEAN].reshape(observed.shape)
        floors = np.maximum(_FLOORS, _RELATIVE * np.abs(means))
        at_ns = (self._interval or 0) * self._interval_ns + self._interval_ns
        for finding in self.baselines.observe(observed.ravel(), floors.ravel()):
            yield self._alert(finding, at_ns)

    def _alert(self, finding: Finding, at_ns: int) -> Alert:
        entity, column = divmod(finding.series, len(SCALES))
        scale = SCALES[column]
        value, expected = unscaled(scale, finding.value), unscaled(scale, finding.mean)
        what = {"spike": "is", "rise": "has risen to", "fall": "has fallen to"}[finding.kind]
        details: dict[str, Any] = {
            "kind": finding.kind,
            "deviations": (finding.value - finding.mean) / finding.spread,
            "by": self._by,
        }
        if column < len(_OBSERVED) and (worst := self._worst[entity * len(_OBSERVED) + column]):
            details["largest"] = worst
        return Alert(
            severity="critical" if finding.excess >= _CRITICAL_EXCESS else "warning",
            summary=f"{scale.metric} of {self._names[entity]} {what} {value:.4g}, usual is "
            f"{expected:.4g}",
            at_ns=at_ns,
            entity=self._names[entity],
            metric=scale.metric,
            value=value,
            expected=expected,
            score=finding.excess if math.isfinite(finding.excess) else None,
            suggested_actions=advice_for(scale.metric, is_high=finding.value > finding.mean),
            details=details,
            labels={self._by: self._names[entity]},
        )

    def snapshot(self) -> bytes:
        """All baselines, and whose they are."""
        return pack_state(self._by, list(self._rows), self._names, self.baselines.pack())

    def restore(self, state: bytes) -> None:
        """Go on from a snapshot of a detector with the same options; ValueError for another."""
        keys, names, packed = unpack_state(state, self._by, self._entities_max)
        self.baselines.unpack(packed)
        self._rows = {key: row for row, key in enumerate(keys)}
        self._names = names
        self._make_room()
