"""From frames to alerts: opens what a tap or a recording hands on, and feeds the processors."""

import base64
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from rnts.errors import RntsError, UsageError
from rnts.frame import Frame
from rnts.process import Stop
from rnts.processors.batch import Batching
from rnts.processors.dispatcher import Dispatcher
from rnts.recordings.opened import Opener
from rnts.recordings.records import Kind, Record
from rnts.tap_client import Lost, Tapped

# Of a recording; of a tap a batch is what has arrived. Detectors tell times apart by batches.
BATCH_FRAMES_MAX, BATCH_NS_MAX = 64, 20_000_000
FINISH_NS_MAX = 2_000_000_000  # for what waits when the end has come
_WAIT_S = 0.005


class Processing:
    """Feeds a dispatcher; `on_alert` is called from the thread that calls this."""

    def __init__(self, dispatcher: Dispatcher, on_alert: Callable[[dict[str, Any]], None]) -> None:
        self.dispatcher = dispatcher
        self.skipped: Counter[str] = Counter()  # frames, by the reason why they cannot be opened
        self.lost: Counter[str] = Counter()  # frames that never came
        self.records = 0
        self._on_alert = on_alert
        self._opener, self._batching = Opener(self.skipped), Batching()
        self._is_after_gap = False

    def take(self, found: Iterable[Tapped | Lost]) -> None:
        """What a tap has told."""
        records = []
        for each in found:
            if isinstance(each, Lost):
                self.lost[each.reason] += each.frames
                self._is_after_gap = True
            else:
                message = each.message
                where = (message.speaker, message.incarnation, message.first, message.last)
                records.append(Record(Kind.ENTRY, each.at_ns, *where, each.payload))
        self._feed(records)
        self.look()

    def play(self, records: Iterable[Record], stop: Stop) -> None:
        """A recording, as fast as the slowest processor: nothing is left out."""
        waiting: list[Record] = []
        for record in records:
            is_long = waiting and record.at_ns - waiting[0].at_ns > BATCH_NS_MAX
            if is_long or len(waiting) >= BATCH_FRAMES_MAX or record.kind == Kind.GAP:
                self._feed(waiting)
                waiting = []
                self._wait(self.dispatcher.has_room, stop)
            self._is_after_gap |= record.kind == Kind.GAP
            if record.kind == Kind.ENTRY:
                waiting.append(record)
            if stop.is_set() or not self.dispatcher.is_of_use():
                return
        self._feed(waiting)
        self._wait(self.dispatcher.is_idle, stop)

    def _wait(self, is_so: Callable[[], bool], stop: Stop) -> None:
        while not (is_so() or stop.is_set()):
            self.look()
            time.sleep(_WAIT_S)
        self.look()

    def _feed(self, records: list[Record]) -> None:
        """One batch of these frames; one without records tells that time goes on."""
        if not records:
            return
        before = self.skipped.total()
        batch = self._batching.batch(self._frames(records), self._is_after_gap)
        self._is_after_gap = self.skipped.total() > before
        self.records += len(batch)
        self.dispatcher.offer(batch)

    def _frames(self, records: list[Record]) -> Iterator[tuple[Frame, int]]:
        for record in records:
            found = self._opener.open(record)
            if found is not None:
                yield found.frame, record.at_ns

    def look(self) -> None:
        """Hand on alerts, and see to the processors."""
        self.dispatcher.watch(time.monotonic_ns())
        for alert in self.dispatcher.alerts():
            self._on_alert(alert)

    def finish(self) -> None:
        """Ask what was learned, and wait for it, and for what waits before it."""
        self.dispatcher.ask_states()
        until_ns = time.monotonic_ns() + FINISH_NS_MAX
        while not self.dispatcher.is_idle() and time.monotonic_ns() < until_ns:
            self.look()
            time.sleep(_WAIT_S)
        self.look()

    def document(self) -> dict[str, Any]:
        """What became of it."""
        about = {"records": self.records, "frames_lost": dict(self.lost)}
        return {**self.dispatcher.document(), **about, "frames_skipped": dict(self.skipped)}


def load_states(path: Path | None) -> dict[str, bytes]:
    """What processors have learned before, by their `Worker.key`; nothing without such a file.

    Raises UsageError where it has none, or could not be written at the end.
    """
    if path is None:
        return {}
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(f"{path} cannot be written: its folder is not there, or not writable")
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text())
        return {spec: base64.b64decode(state) for spec, state in found["states"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} has no states of processors: {error}") from error


def save_states(path: Path | None, dispatcher: Dispatcher) -> None:
    """Keep what processors have learned; the file is whole or as it was. Raises RntsError."""
    if path is None:
        return
    states = {
        worker.key: base64.b64encode(worker.state).decode()
        for worker in dispatcher.workers
        if worker.state
    }
    passing = path.with_name(f"{path.name}.new")
    try:
        passing.write_text(json.dumps({"version": 1, "states": states}))
        os.replace(passing, path)
    except OSError as error:
        raise RntsError(f"{path} cannot be written: {error.strerror}") from error
