"""What processors are given, what becomes of what they do, and what the anomaly detector says."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from recording_tools import AGENT, SECOND, START_NS, batches, entries, frames, name_of
from wire_tools import NaiveRecord, sample

from rnts.commands.process import parse_spec
from rnts.errors import RntsError, UsageError
from rnts.frame import FrameDecoder
from rnts.model import FIELD, METRIC_NAMES, Kind
from rnts.processors import batch as module
from rnts.processors.anomaly import AnomalyDetector
from rnts.processors.batch import Batch, Batching
from rnts.processors.dispatcher import Dispatcher
from rnts.processors.processing import Processing, load_states, save_states
from rnts.processors.protocol import Alert, Priority, Resumable, TelemetryProcessor
from rnts.processors.serving import ALERTS_MAX, make, run_one
from rnts.processors.worker import key_of
from rnts.tap_client import Lost


def batch_of(records: list[NaiveRecord], batching: Batching | None = None) -> Batch:
    """The batch of one frame."""
    (frame,) = frames([records])
    return (batching or Batching()).batch([(FrameDecoder().decode(frame), START_NS)])


def test_a_batch_has_a_column_for_each_metric() -> None:
    """Values as they were reported, NaN where they were not, and who reported them."""
    event = NaiveRecord(
        5, START_NS + 9, int(Kind.EVENT), FIELD["event_type"].mask | FIELD["event_value"].mask,
        {"event_type": 1, "event_value": 2.5}, b"\3why",
    )  # fmt: skip
    batch = batch_of(
        [
            name_of(2**63 + 1, "first", "left"),
            sample(2**63 + 1, START_NS, processing_time_ns=2**63 + 2**40, weight=4.0),
            sample(5, START_NS + 1, cpu_usage_percent=12.5, health=2, queue_depth=0),
            event,
        ]
    )
    assert len(batch) == 3
    assert batch.ids.tolist() == [2**63 + 1, 5, 5]
    assert batch.column("processing_time_ns")[0] == 2**63 + 2**40
    assert math.isnan(batch.column("processing_time_ns")[1])
    assert (batch.column("cpu_usage_percent")[1], batch.column("queue_depth")[1]) == (12.5, 0)
    assert batch.metrics.shape == (3, len(METRIC_NAMES))
    assert batch.health[1] == 2 and np.isnan(batch.health[[0, 2]]).all()
    assert batch.weights.tolist() == [4, 1, 1]
    assert [batch.group_names[group] for group in batch.groups] == ["left", "default", "default"]
    assert batch.names == {2**63 + 1: "first"}
    (told,) = batch.events
    assert (told.row, told.value, told.text) == (2, 2.5, ("why",))
    with pytest.raises(KeyError):
        batch.column("colour")


def test_groups_keep_their_numbers() -> None:
    """From batch to batch a group has the same number, and names are remembered."""
    batching = Batching()
    first = batch_of([name_of(1, "a", "left"), sample(1, START_NS, queue_depth=1)], batching)
    second = batch_of([name_of(2, "b", "right"), sample(1, START_NS, queue_depth=1)], batching)
    assert first.group_names == ("default", "left")
    assert second.group_names == ("default", "left", "right")
    assert (first.groups.tolist(), second.groups.tolist()) == ([1], [1])
    assert len(Batching().batch([])) == 0


def test_groups_beyond_the_limit_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names of groups there are, a batch carries a limited number of them."""
    monkeypatch.setattr(module, "GROUPS_MAX", 3)
    batching = Batching()
    for number in range(1, 9):
        record = sample(number, START_NS, queue_depth=1)
        batch = batch_of([name_of(number, f"n{number}", f"g{number}"), record], batching)
        (group,) = batch.groups.tolist()
        expected = f"g{number}" if number < 3 else "other"
        assert batch.group_names[group] == expected
    assert batch.group_names == ("default", "g1", "g2", "other")


class Odd:
    """A processor that does as it is told."""

    name, priority = "odd", Priority.LOW

    def __init__(self, what: Any = ()) -> None:
        self.what = what

    def process(self, batch: Batch) -> Any:
        """Whatever it is."""
        return self.what() if callable(self.what) else self.what


def test_what_a_processor_does_is_an_answer() -> None:
    """Alerts, too many of them, nonsense and exceptions: each is told, none is raised."""
    empty, alert = Batching().batch([]), Alert("info", "seen", 1, value=math.inf)
    answer = run_one(Odd([alert] * 2), empty)
    assert (len(answer["alerts"]), answer["raised"]) == (2, None)
    assert answer["alerts"][0]["value"] is None
    assert run_one(Odd([alert] * (ALERTS_MAX + 7)), empty)["dropped"] == 7
    assert run_one(Odd(None), empty) == run_one(Odd([]), empty)
    assert "yields rnts Alerts" in run_one(Odd(["text"]), empty)["raised"]
    assert "ZeroDivisionError" in run_one(Odd(lambda: 1 / 0), empty)["raised"]
    with pytest.raises(ValueError, match="severity is info, warning, critical"):
        Alert("bad", "", 0)


def test_processors_are_made_by_name() -> None:
    """A short name, a module and class with options; what is none says why."""
    assert isinstance(make("anomaly", {"risk": 1e-3}), AnomalyDetector)
    assert isinstance(make("test_processors:Odd", {}), TelemetryProcessor)
    assert isinstance(AnomalyDetector(), Resumable)
    with pytest.raises(TypeError, match="has no name, priority and process"):
        make("json:JSONDecoder", {})
    assert parse_spec("anomaly,risk=1e-4,by=neuron") == ("anomaly", {"risk": 1e-4, "by": "neuron"})
    with pytest.raises(UsageError, match="at most 16 processors"):
        Dispatcher([("anomaly", {})] * 17, 1)
    for wrong in ("", "other", ":", "a:B,risk", "a:B,1=2"):
        with pytest.raises(UsageError):
            parse_spec(wrong)


class Played:
    """A detector that is shown a group second by second."""

    def __init__(self, **options: Any) -> None:
        self.detector = AnomalyDetector(**({"warm_up": 30, "memory": 60} | options))
        self.batching = Batching()
        self.batching.batch([(self._frame([name_of(n, f"n{n}", "left") for n in range(1, 5)]), 0)])
        self.second = 0
        self.chance = np.random.default_rng(5)

    @staticmethod
    def _frame(records: list[NaiveRecord]) -> Any:
        return FrameDecoder().decode(frames([records])[0])

    def pass_by(self, seconds: int, slow: int = 0, is_after_gap: bool = False) -> list[Alert]:
        """Each second four neurons say how long they took; one of them may be slow."""
        found = []
        for _ in range(seconds):
            records = [
                sample(
                    neuron, START_NS, queue_depth=3,
                    processing_time_ns=round(
                        (1e6 if neuron == slow else 1e3) * math.exp(self.chance.normal(0, 0.1))
                    ),
                )
                for neuron in range(1, 5)
            ]  # fmt: skip
            batch = self.batching.batch(
                [(self._frame(records), START_NS + self.second * SECOND)], is_after_gap
            )
            found += self.detector.process(batch)
            self.second += 1
        return found


def test_a_slow_neuron_is_found_in_its_group() -> None:
    """The alert says what, where, how much, what is usual, who was the largest, what to look at."""
    played = Played()
    assert played.pass_by(60) == []
    found = played.pass_by(2, slow=3)
    (alert,) = found
    assert (alert.severity, alert.entity, alert.metric) == (
        "critical",
        "left",
        "processing_time_ns",
    )
    assert alert.value is not None and alert.expected is not None and alert.score is not None
    assert alert.value > 4 * alert.expected and alert.score > 2
    assert alert.expected == pytest.approx(1_000, rel=0.1)
    assert alert.details["largest"] == "n3"
    assert "queue_depth" in alert.suggested_actions[0]
    assert alert.at_ns == START_NS + 61 * SECOND
    assert played.pass_by(20, slow=3) == []
    json.dumps(alert.document())


def test_by_neuron_there_is_a_series_for_each() -> None:
    """Each neuron has baselines of its own, up to a limit beyond which records are counted."""
    played = Played(by="neuron", entities_max=3)
    assert played.pass_by(60) == []
    assert [alert.entity for alert in played.pass_by(2, slow=2)] == ["n2"]
    assert played.pass_by(20, slow=4) == []
    assert played.detector.entities_beyond == played.second


def test_a_name_that_is_told_late_is_the_entitys_all_the_same() -> None:
    """A tap may begin in the middle of a stream, and hears names after the first records."""
    played = Played(by="neuron")
    names, played.batching = played.batching, Batching()
    assert played.pass_by(40) == []
    played.batching = names
    assert played.pass_by(20) == []
    (alert,) = played.pass_by(2, slow=2)
    assert (alert.entity, alert.labels) == ("n2", {"neuron": "n2"})


def test_a_group_that_falls_silent_is_found() -> None:
    """Seconds in which the stream goes on without its records count as none."""
    played = Played()
    played.pass_by(60)
    found = []
    for _ in range(20):
        at_ns = START_NS + played.second * SECOND
        found += played.detector.process(played.batching.batch([(played._frame([]), at_ns)]))
        played.second += 1
    (alert,) = found
    assert (alert.metric, alert.entity, alert.value) == ("records", "left", 0)
    assert alert.suggested_actions


def test_a_gap_is_no_silence() -> None:
    """Where records are missing, the seconds around it are not observed."""
    played = Played()
    played.pass_by(60)
    learned = played.detector.baselines.state.copy()
    played.detector._counts[:] = 0  # as if the rest of the second had been lost
    assert played.pass_by(1, is_after_gap=True) == []
    assert np.array_equal(played.detector.baselines.state, learned)


def test_a_detector_goes_on_from_its_snapshot() -> None:
    """One that is started anew with it finds what it would have found; another's is refused."""
    played = Played()
    played.pass_by(60)
    state = played.detector.snapshot()
    played.detector = AnomalyDetector(warm_up=30, memory=60)
    played.detector.restore(state)
    played.pass_by(2)
    assert [alert.details["largest"] for alert in played.pass_by(2, slow=1)] == ["n1"]
    for other in (AnomalyDetector(), AnomalyDetector(by="neuron", warm_up=30, memory=60)):
        with pytest.raises(ValueError, match="state"):
            other.restore(state)
    with pytest.raises(ValueError, match="no state"):
        played.detector.restore(b"x")


class Noted:
    """A dispatcher that keeps what it is given."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def offer(self, batch: Batch) -> None:
        """Take a batch."""
        self.batches.append(batch)

    def watch(self, now_ns: int) -> None:
        """There is nobody to watch."""

    def alerts(self) -> list[dict[str, Any]]:
        """One, each time."""
        return [{"summary": "seen"}]

    def document(self) -> dict[str, Any]:
        """Nothing of its own."""
        return {}


def test_gaps_of_a_tap_are_told_to_processors() -> None:
    """A batch that follows missing frames says so, and what cannot be opened is counted."""
    dispatcher, told = Noted(), entries(frames(batches(9), keyframes=(1, 7)))
    said: list[dict[str, Any]] = []
    processing = Processing(dispatcher, said.append)  # type: ignore[arg-type]
    processing.take(told[:2])
    processing.take([Lost(2, "left_out", 0), told[4], told[5]])
    processing.take(told[6:])
    processing.take([])
    assert [(len(b), b.is_after_gap) for b in dispatcher.batches] == [
        (6, False), (0, True), (9, True),
    ]  # fmt: skip
    assert said == [{"summary": "seen"}] * 4
    assert processing.document() == {
        "records": 15, "frames_lost": {"left_out": 2}, "frames_skipped": {"base": 2},
    }  # fmt: skip
    assert dispatcher.batches[2].at_ns == told[8].at_ns and told[8].message.speaker == AGENT


def test_states_that_are_none_are_refused(tmp_path: Path) -> None:
    """A file that is not there is no state; one of something else is a mistake."""
    path = tmp_path / "states"
    assert load_states(path) == load_states(None) == {}
    path.write_text("[]")
    with pytest.raises(UsageError, match="has no states"):
        load_states(path)
    with pytest.raises(UsageError, match="its folder is not there"):
        load_states(tmp_path / "none" / "states")


def test_processors_of_one_class_keep_what_each_has_learned(tmp_path: Path) -> None:
    """Their options tell them apart; a disk that refuses is told, and the file is as it was."""
    given = [("anomaly", {"by": "neuron"}), ("anomaly", {}), ("anomaly", {"by": "neuron", "a": 1})]
    keys = [key_of(spec, options) for spec, options in given]
    assert keys == ['anomaly,by="neuron"', "anomaly", 'anomaly,a=1,by="neuron"']
    workers = [SimpleNamespace(key=key, state=key.encode()) for key in keys]
    dispatcher: Any = SimpleNamespace(workers=workers)
    path = tmp_path / "states"
    save_states(path, dispatcher)
    assert load_states(path) == {key: key.encode() for key in keys}
    (tmp_path / "states.new").mkdir()
    dispatcher.workers = workers[:1]
    with pytest.raises(RntsError, match="cannot be written: Is a directory"):
        save_states(path, dispatcher)
    assert len(load_states(path)) == 3
