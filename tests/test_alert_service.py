"""The steps of an alert process: what is new is told first, and nothing slow stands before it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from alert_source import update
from alert_tools import EPOCH, SECOND
from process_tools import until
from settings_tools import isolate

from rnts.alerts.memory import Memory
from rnts.alerts.notification import Notification
from rnts.alerts.service import AlertService
from rnts.alerts.workshop import Workshop
from rnts.errors import UsageError
from rnts.file_watch import FileWatch
from rnts.process import SUPERVISED
from rnts.reflex.change import Update
from rnts.settings import Settings, load_file
from rnts.standing.query import Query

RULE = {"name": "hot", "condition": "queue_depth > 1", "severity": "critical"}


class Scripted:
    """A source that tells what it was given, and is alive at the time that it is given."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.queries: Mapping[str, Query] = {}
        self.alive_at_ns = 0
        self.lives = True

    def replace(self, queries: Mapping[str, Query], now_ns: int) -> None:
        """Note what is asked."""
        self.queries = dict(queries)

    def exchange(self, now_ns: int) -> list[Update]:
        """All of it, once."""
        updates, self.updates = self.updates, []
        return updates

    def is_live(self, now_ns: int) -> bool:
        """As it is told."""
        return self.lives

    def due_ns(self, now_ns: int) -> int:
        """It has nothing to say."""
        return now_ns + 3_600 * SECOND

    def filenos(self) -> list[int]:
        """It has none."""
        return []

    def close(self) -> None:
        """It holds nothing."""


def settings_of(*rules: dict[str, Any], **sections: Any) -> Settings:
    """The settings of a file with these rules."""
    Path("r.yaml").write_text(json.dumps({"alerts": rules, **sections}))
    return load_file(Path("r.yaml"))


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, runtime_folder: Path) -> Path:
    """An empty folder, without settings of this machine."""
    isolate(monkeypatch, runtime_folder)
    return runtime_folder


@pytest.fixture
def service(folder: Path) -> Iterator[AlertService]:
    """One with a rule that the log is told of."""
    workshop = Workshop()
    service = AlertService(settings_of(RULE), Memory(folder / "memory"), workshop)
    service.begin(SECOND, EPOCH)
    yield service
    service.close(SECOND)
    workshop.close()


def test_a_truth_is_told_before_all_else(
    service: AlertService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the truth to the action there is one line of the journal; what is slow comes after."""
    steps: list[str] = []
    source, memory = Scripted(), service._desk.memory

    def note(name: str, wrapped: Any) -> Any:
        def call(*arguments: Any) -> Any:
            steps.append(name)
            return wrapped(*arguments)

        return call

    monkeypatch.setattr(service.pool, "submit", note("submit", service.pool.submit))
    monkeypatch.setattr(memory, "append", note("append", memory.append))
    monkeypatch.setattr(memory, "snapshot", note("snapshot", memory.snapshot))
    monkeypatch.setattr(service._feed, "repeat", note("repeat", service._feed.repeat))
    monkeypatch.setattr(service, "status", note("answer", service.status))
    source.updates = [update("hot", {"a/n1": 1}, EPOCH, is_full=True)]
    service.step(source, [b'{"type": "alerts"}'], 5 * SECOND, EPOCH)
    assert steps == ["append", "submit", "repeat", "answer", "append", "snapshot"]


def test_it_sleeps_until_something_is_due(service: AlertService) -> None:
    """With nothing to watch over it wakes once a second, with alerts ten times."""
    source = Scripted()
    source.updates = [update("hot", {}, EPOCH, is_full=True)]
    service.step(source, [], SECOND, EPOCH)
    assert service.due_ns(source, SECOND) == 2 * SECOND
    source.updates = [update("hot", {"a/n1": 1}, EPOCH)]
    service.step(source, [], 2 * SECOND, EPOCH)
    assert service.due_ns(source, 2 * SECOND) == 2 * SECOND + SECOND // 10


def test_nothing_is_written_where_nothing_happens(service: AlertService, folder: Path) -> None:
    """Without alerts the files stay as they are: no second costs a write to the disk."""
    source, snapshot = Scripted(), folder / "memory" / "alerts.snapshot"
    service.step(source, [], SECOND, EPOCH)
    service.step(source, [], 3 * SECOND, EPOCH)
    before = snapshot.stat().st_ino, snapshot.stat().st_mtime_ns
    for second in range(4, 20):
        service.step(source, [], second * SECOND, EPOCH)
    assert (snapshot.stat().st_ino, snapshot.stat().st_mtime_ns) == before
    source.updates = [update("hot", {"a/n1": 1}, EPOCH)]
    service.step(source, [], 20 * SECOND, EPOCH)
    service.step(source, [], 22 * SECOND, EPOCH)
    assert snapshot.stat().st_ino != before[0]


def test_reload_changes_all_or_nothing(service: AlertService) -> None:
    """Queries, receivers and actions change together; an action that cannot be had changes none."""
    source = Scripted()
    source.updates = [update("hot", {"a/n1": 1}, EPOCH, is_full=True)]
    service.step(source, [], SECOND, EPOCH)
    hook = {"name": "hook", "kind": "webhook", "url": "https://localhost", "authority": "/none"}
    with pytest.raises(UsageError, match="the action 'hook' cannot be had"):
        service.reload(settings_of({**RULE, "action": "hook"}, actions=[hook]), source, SECOND)
    assert service.plan.rules[0].receivers == ("log",) and source.queries == {}

    told: list[Notification] = []
    service.pool.submit = told.append  # type: ignore[method-assign]
    receiver = {"name": "team", "actions": "log"}
    rules = {**RULE, "receivers": "team"}, {**RULE, "name": "new"}
    service.reload(settings_of(*rules, receivers=[receiver]), source, SECOND)
    service.step(source, [], 2 * SECOND, EPOCH)
    assert source.queries.keys() == {"condition/hot", "condition/new"}
    assert _said(told) == ["team/log firing"]
    source.updates = [update("hot", {"a/n1": 0}, EPOCH + SECOND)]
    service.step(source, [], 3 * SECOND, EPOCH)
    assert sorted(_said(told)[1:]) == ["log resolved", "team/log resolved"]


def test_who_is_removed_hears_nothing_more(service: AlertService) -> None:
    """A receiver that is gone from the file is counted, and does not keep its alerts for ever."""
    source, receiver = Scripted(), {"name": "team", "actions": "log"}
    rule = {**RULE, "receivers": "team"}
    service.reload(settings_of(rule, receivers=[receiver]), source, SECOND)
    source.updates = [update("hot", {"a/n1": 1}, EPOCH, is_full=True)]
    service.step(source, [], SECOND, EPOCH)
    service.reload(settings_of(RULE), source, SECOND)
    service.step(source, [], 2 * SECOND, EPOCH)
    (life,) = service.table.lives.by_key.values()
    assert life.told.keys() == {"log"} and service.table.counts["unknown_receiver"] == 1


def _said(told: list[Notification]) -> list[str]:
    return [f"{each.receiver} {each.kind}" for each in told]


def test_what_a_retired_action_has_begun_it_ends(service: AlertService) -> None:
    """An action that is changed carries out what it was told before, and then is gone."""
    source = Scripted()
    slow = {"name": "slow", "kind": "command", "command": ["/bin/sh", "-c", "sleep 0.2"]}
    service.reload(settings_of({**RULE, "action": "slow"}, actions=[slow]), source, SECOND)
    source.updates = [update("hot", {"a/n1": 1}, EPOCH, is_full=True)]
    service.step(source, [], SECOND, EPOCH)
    slow["attempts"] = 1
    service.reload(settings_of({**RULE, "action": "slow"}, actions=[slow]), source, SECOND)
    until(lambda: service.pool.counts["carried_out"] == 1)
    service.step(source, [], 2 * SECOND, EPOCH)
    assert service.status()["waiting"] == 0


def test_a_command_is_nobodys_child(
    service: AlertService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not hear who supervises its parent: an `rnts` in it would end at once for that."""
    monkeypatch.setenv(SUPERVISED, "1")
    source, found = Scripted(), folder / "found"
    script = f'echo "${{{SUPERVISED}-none}} $RNTS_ALERT_KIND" > {found}'
    note = {"name": "note", "kind": "command", "command": ["/bin/sh", "-c", script]}
    service.reload(settings_of({**RULE, "action": "note"}, actions=[note]), source, SECOND)
    source.updates = [update("hot", {"a/n1": 1}, EPOCH, is_full=True)]
    service.step(source, [], SECOND, EPOCH)
    until(lambda: service.pool.counts["carried_out"] == 1)
    assert found.read_text() == "none firing\n"


def test_changes_of_files_are_noticed(tmp_path: Path) -> None:
    """A file that is changed, replaced, removed or made is noticed once, a second later at most."""
    path = tmp_path / "f"
    watch = FileWatch([path], 0)
    changes = [
        lambda: path.write_text("a"),
        lambda: path.write_text("ab"),
        lambda: path.with_suffix(".new").write_text("ab"),
        lambda: path.with_suffix(".new").replace(path),
        path.unlink,
    ]
    seen = []
    for second, change in enumerate(changes, 1):
        change()
        assert not watch.has_changed(second * SECOND - 1)
        seen.append(watch.has_changed(second * SECOND))
        assert not watch.has_changed(second * SECOND + 1)
    assert seen == [True, True, False, True, True]
    path.write_text("a")
    assert watch.has_changed(5 * SECOND + 2, is_asked=True)
