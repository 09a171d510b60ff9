"""What is done about alerts: real children, servers on loopback, and what becomes of failures."""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq
from alert_tools import SECOND, told_by_a_bench
from process_tools import is_running, until

from rnts.alerts.action import ActionError, Policy
from rnts.alerts.actions import ActionPool
from rnts.alerts.actions_command import CommandAction
from rnts.alerts.actions_local import LogAction, PublishAction
from rnts.alerts.breaker import Breaker
from rnts.alerts.notification import Notification
from rnts.errors import UsageError
from rnts.links.zmq_publish import PublishLink

QUICK = Policy(attempts=3, back_off_ns=1, failures_max=1_000)


@pytest.fixture
def notification(tmp_path: Path) -> Notification:
    """What a bench tells when a critical rule with a cause fires."""
    return told_by_a_bench(tmp_path / "alerts")


class Fails:
    """An action that fails as often as it is told to."""

    def __init__(self, failures: int, is_final: bool = False) -> None:
        self.failures, self.is_final, self.runs = failures, is_final, 0

    def run(self, notification: Notification) -> None:
        """Fail, or not."""
        self.runs += 1
        if self.runs <= self.failures:
            raise ActionError("as it was told to", self.is_final)

    def describe(self, notification: Notification) -> str:
        """Words."""
        return "count"


class Waits(Fails):
    """An action that does not end before it may."""

    def __init__(self) -> None:
        super().__init__(0)
        self.may_end = threading.Event()

    def run(self, notification: Notification) -> None:
        """Wait."""
        self.runs += 1
        assert self.may_end.wait(30)


def python(code: str, timeout_s: float = 20.0) -> CommandAction:
    """A command that runs code."""
    return CommandAction([sys.executable, "-S", "-c", code], timeout_s)


def test_command_gets_the_alert(notification: Notification, tmp_path: Path) -> None:
    """A command finds the notification on its stdin and the plain facts in its environment."""
    found = tmp_path / "found"
    code = (
        "import os, sys, json; d = json.load(sys.stdin);"
        f"open({str(found)!r}, 'w').write("
        "json.dumps([d['alerts'][0]['labels'], d['suggested_causes'],"
        "os.environ['RNTS_ALERT_KEY']]))"
    )
    python(code).run(notification)

    assert json.loads(found.read_text()) == [{"neuron": "n1"}, ["a leak"], notification.key]


def test_command_is_no_shell(notification: Notification) -> None:
    """Arguments go to the program as they are; text in place of a list is refused."""
    CommandAction([sys.executable, "-S", "-c", "import sys; sys.exit(sys.argv[1] != '$HOME;')",
                   "$HOME;"]).run(notification)  # fmt: skip
    with pytest.raises(ValueError, match="list of arguments"):
        CommandAction("rm -r x")


def test_command_that_fails_is_quoted(notification: Notification) -> None:
    """What a failed command said is part of the error, and one that is not there is final."""
    with pytest.raises(ActionError, match="ended with 3: no paper"):
        python("import sys; sys.stderr.write('no paper'); sys.exit(3)").run(notification)
    with pytest.raises(ActionError, match="cannot be run") as caught:
        CommandAction(["/nonexistent/program"]).run(notification)
    assert caught.value.is_final


def test_command_and_its_children_are_killed(notification: Notification, tmp_path: Path) -> None:
    """At the time-out the whole process group goes, grandchildren too."""
    pid_file = tmp_path / "pid"
    code = (
        "import os, subprocess, sys, time;"
        "c = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)']);"
        f"f = open({str(pid_file)!r}, 'w'); f.write(str(c.pid)); f.close(); time.sleep(600)"
    )
    with pytest.raises(ActionError, match="did not end within"):
        python(code, 2.0).run(notification)

    grandchild = int(pid_file.read_text())
    until(lambda: not is_running(grandchild))


def test_publish(notification: Notification, tmp_path: Path) -> None:
    """Who has subscribed to the control topic hears it; that nobody did is counted."""
    link = PublishLink(f"ipc://{tmp_path}/control")
    action = PublishAction(link, "trigger_emergency_protocol")
    context = zmq.Context()
    try:
        action.run(notification)
        assert link.counts == {"unheard": 1}
        end = context.socket(zmq.SUB)
        end.setsockopt(zmq.LINGER, 0)
        end.setsockopt(zmq.SUBSCRIBE, b"trigger_")
        end.connect(link.endpoint)
        until(lambda: link.has_subscriber(b"trigger_emergency_protocol"))
        action.run(notification)
        assert end.poll(20_000)
        topic, body = end.recv_multipart()
    finally:
        context.destroy(linger=0)
        link.close()
    assert topic == b"trigger_emergency_protocol" and json.loads(body)["key"] == notification.key
    assert not (tmp_path / "control").exists()


def test_control_topic_stays_on_this_machine() -> None:
    """A topic that is not encrypted cannot be bound where others could hear it."""
    with pytest.raises(UsageError, match="stays on this machine"):
        PublishLink("tcp://*:5999")


def test_log(notification: Notification, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what, how bad, who is worst and what to look at."""
    LogAction().run(notification)
    [record] = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.message == (
        "[critical] hot 1 firing; worst: neuron=n1 2; look at: a leak"
    )  # fmt: skip


@pytest.fixture
def pool_of() -> Iterator[Callable[..., ActionPool]]:
    """Pools with one action, `page`, that are closed."""
    pools = []

    def make(action: Fails, policy: Policy = QUICK, **options: Any) -> ActionPool:
        pools.append(ActionPool({"page": (action, policy)}, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def wait_done(pool: ActionPool, count: int) -> None:
    """Wait until so many are done with."""
    done: list[Notification] = []
    until(lambda: done.extend(pool.take_done()) or len(done) >= count)


def test_action_is_tried_again(
    notification: Notification, pool_of: Callable[..., ActionPool]
) -> None:
    """An action that fails is tried again; carried out once, its key is not carried out again."""
    action = Fails(2)
    pool = pool_of(action)
    pool.submit(notification)
    wait_done(pool, 1)
    pool.submit(notification)
    wait_done(pool, 1)

    assert action.runs == 3
    assert pool.counts == {"attempts_failed": 2, "carried_out": 1, "already_done": 1}


def test_action_is_given_up(notification: Notification, pool_of: Callable[..., ActionPool]) -> None:
    """What fails too often is given up and counted; a final failure is not tried again."""
    warning = replace(notification, severity="warning")
    pool = pool_of(Fails(100))
    pool.submit(warning)
    wait_done(pool, 1)
    assert pool.counts == {"attempts_failed": 3, "gave_up": 1}

    pool = pool_of(Fails(100, is_final=True))
    pool.submit(warning)
    wait_done(pool, 1)
    assert pool.counts == {"attempts_failed": 1, "refused": 1}


def test_critical_is_put_off(
    notification: Notification, pool_of: Callable[..., ActionPool]
) -> None:
    """A critical notification outlives an action that does not work for a while."""
    pool = pool_of(Fails(4), replace(QUICK, failures_max=1, open_ns=1_000_000))
    pool.submit(notification)
    wait_done(pool, 1)
    assert pool.counts["carried_out"] == 1 and pool.counts["put_off"] >= 1


def test_circuit_breaker(notification: Notification, pool_of: Callable[..., ActionPool]) -> None:
    """After failures in a row an action is left alone, which is counted and told."""
    action = Fails(100)
    pool = pool_of(action, replace(QUICK, failures_max=1, open_ns=600 * SECOND))
    for key in ("a", "b"):
        pool.submit(replace(notification, severity="info", key=key))
        wait_done(pool, 1)
    assert action.runs == 3 and pool.counts["circuit_open"] == 1
    assert pool.conditions() == ["page"]


def test_breaker_lets_one_try_through() -> None:
    """When the time is over one try decides, and others wait for what it shows."""
    breaker = Breaker(2, 10)
    breaker.fail(0)
    breaker.fail(0)
    assert not breaker.may_try(9)
    assert [breaker.may_try(10), breaker.may_try(10)] == [True, False]
    breaker.succeed()
    assert breaker.may_try(11)


def test_slow_action_blocks_nobody(
    notification: Notification, pool_of: Callable[..., ActionPool]
) -> None:
    """`submit` returns while actions hang, and what finds no place is counted."""
    action = Waits()
    pool = pool_of(action, workers=1, waiting_max=2)
    for key in "abcd":
        pool.submit(replace(notification, severity="info", key=key))
    assert pool.counts == {"pool_full": 2}
    action.may_end.set()
    wait_done(pool, 4)
    assert pool.counts == {"pool_full": 2, "carried_out": 2}


def test_cooldown(notification: Notification, pool_of: Callable[..., ActionPool]) -> None:
    """For a while after an action worked only critical ones are carried out, and ends."""
    pool = pool_of(Fails(0), replace(QUICK, cooldown_ns=600 * SECOND))
    for key, severity in (("a", "info"), ("b", "info"), ("c", "critical")):
        pool.submit(replace(notification, severity=severity, key=key))
        wait_done(pool, 1)
    end = replace(notification, severity="info", key="d", kind="resolved", counts={"resolved": 1})
    pool.submit(end)  # else its receiver would believe for ever that it fires
    wait_done(pool, 1)
    assert pool.counts == {"carried_out": 3, "cooled_down": 1}


def test_dry_run(
    notification: Notification,
    pool_of: Callable[..., ActionPool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A dry run says what it would do and does nothing; a receiver without an action is counted."""
    action = Fails(0)
    pool = pool_of(action, is_dry_run=True)
    pool.submit(notification)
    pool.submit(replace(notification, receiver="nobody"))
    wait_done(pool, 2)
    assert action.runs == 0 and pool.counts == {"dry_run": 1, "no_action": 1}
    assert "dry run: would count" in caplog.text
