"""What an action can do without waiting is done at once, and a change costs one tick."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alert_source import update
from alert_tools import EPOCH, PAGE, RULE, SECOND, Bench
from process_tools import until
from settings_tools import isolate
from test_alert_service import Scripted

from rnts.alerts.action import ActionError, Policy
from rnts.alerts.actions import ActionPool
from rnts.alerts.memory import Memory
from rnts.alerts.notification import Notification
from rnts.alerts.service import AlertService
from rnts.alerts.workshop import Workshop
from rnts.settings import load_file

MS = 1_000_000


class Immediate:
    """An action that waits for nobody; it fails so often before it works."""

    is_immediate = True

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self._left, self._error = failures, error or ActionError("not yet")
        self.threads: list[str] = []  # in which it was tried

    def run(self, notification: Notification) -> None:
        """Note the thread; fail, or not."""
        self.threads.append(threading.current_thread().name)
        self._left -= 1
        if self._left >= 0:
            raise self._error

    def describe(self, notification: Notification) -> str:
        """What it would do."""
        return "try"


@pytest.fixture
def notification(tmp_path: Path) -> Notification:
    """One that is told of a neuron."""
    bench = Bench(tmp_path)
    bench.steps(1.0)
    return bench.delivered.got[0]


@pytest.fixture
def pool_of() -> Iterator[Callable[[Immediate], ActionPool]]:
    """A pool with one action, which is closed in the end."""
    pools: list[ActionPool] = []

    def make(action: Immediate) -> ActionPool:
        pools.append(ActionPool({"page": (action, Policy(attempts=3, back_off_ns=MS))}))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def test_it_is_done_when_submit_returns(
    notification: Notification, pool_of: Callable[[Immediate], ActionPool]
) -> None:
    """No thread is woken, and the same thing is not done twice."""
    action = Immediate(0)
    pool = pool_of(action)
    pool.submit(notification)
    assert action.threads == [threading.current_thread().name]
    assert pool.take_done() == [notification]
    pool.submit(notification)
    assert pool.counts == {"carried_out": 1, "already_done": 1}


@pytest.mark.parametrize(("failures", "outcome"), [(1, "carried_out"), (3, "gave_up")])
def test_what_fails_at_once_is_tried_again_by_a_thread(
    notification: Notification,
    pool_of: Callable[[Immediate], ActionPool],
    failures: int,
    outcome: str,
) -> None:
    """The first try counts as one of those that there are."""
    action, quiet = Immediate(failures), replace(notification, severity="warning")
    pool = pool_of(action)
    pool.submit(quiet)
    done: list[Notification] = []
    until(lambda: done.extend(pool.take_done()) or done)
    assert len(action.threads) == min(failures + 1, 3)
    assert action.threads[0] == threading.current_thread().name != action.threads[1]
    assert pool.counts == {outcome: 1, "attempts_failed": failures}


@pytest.mark.parametrize(
    ("error", "outcome"), [(ActionError("no", is_final=True), "refused"), (KeyError(), "failed")]
)
def test_what_cannot_work_ends_at_once(
    notification: Notification,
    pool_of: Callable[[Immediate], ActionPool],
    error: Exception,
    outcome: str,
) -> None:
    """A refusal and a fault of the action are counted, and reach nobody who submits."""
    pool = pool_of(Immediate(1, error))
    pool.submit(notification)
    assert pool.counts[outcome] == 1 and pool.take_done() == [notification]


def test_changes_without_a_pause_put_off_no_snapshot(
    monkeypatch: pytest.MonkeyPatch, runtime_folder: Path
) -> None:
    """Each change is one line of the journal, which is begun anew each second all the same."""
    isolate(monkeypatch, runtime_folder)
    rule = {"name": "hot", "condition": "queue_depth > 1", "severity": "critical"}
    Path("r.yaml").write_text(json.dumps({"alerts": [rule]}))
    memory, workshop, source = Memory(runtime_folder / "memory"), Workshop(), Scripted()
    service = AlertService(load_file(Path("r.yaml")), memory, workshop)
    service.begin(SECOND, EPOCH)
    lines, journal = [], runtime_folder / "memory" / "alerts.journal"
    for number in range(300):
        source.updates = [update("hot", {f"a/n{number}": 1}, EPOCH + number * 10 * MS)]
        service.step(source, [], SECOND + number * 10 * MS, EPOCH + number * 10 * MS)
        lines.append(journal.read_bytes().count(b"\n"))
    assert service.table.counts["notifications"] == 300
    assert lines.count(0) == 3  # snapshots
    assert max(lines) < 110
    service.close(SECOND)
    workshop.close()


def test_alerts_are_repeated_on_time(tmp_path: Path) -> None:
    """Nothing touches an alert that stays as it is, but for the time at which it is told again."""
    bench = Bench(tmp_path, RULE, receivers=[replace(PAGE, repeat_ns=7 * SECOND)])
    told = [bench.step({"n1": 1.0}) for _ in range(20)]
    assert [second for second, each in enumerate(told) if each] == [0, 7, 14]
