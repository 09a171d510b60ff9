"""`rnts watch` at a running aggregator: lines, objects, the end, and an aggregator that dies."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import plain_aggregator
import pytest
from plain_aggregator import tell
from process_tools import Process, all_alive, command, end, snapshot, until

LATENCY, FAILING = "p99_processing_time_ms by group", "error_rate > 0.5 by host"
HEALTH = "health_status"


@pytest.fixture
def values(tmp_path: Path) -> Path:
    """The file that says what expressions are."""
    path = tmp_path / "values.json"
    tell(path, {LATENCY: [({"group": "a"}, None, 5.25)]})
    return path


@contextmanager
def aggregator(values: Path) -> Iterator[Process]:
    """An aggregator that answers."""
    program = [sys.executable, plain_aggregator.__file__, str(values)]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: all_alive([process]) and snapshot())
        yield process
    finally:
        end(process)


class Watcher:
    """`rnts watch ARGUMENTS`, and what it has said so far."""

    def __init__(self, stack: ExitStack, folder: Path, *arguments: str) -> None:
        number = len(list(folder.glob("*.out")))
        self.paths = [folder / f"{number}.{name}" for name in ("out", "err")]
        out, err = (stack.enter_context(path.open("w")) for path in self.paths)
        self.process = subprocess.Popen(
            command("watch", *arguments), stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        stack.callback(self.stop)

    def stop(self) -> None:
        """End it, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def until(self, found: Callable[[], object]) -> None:
        """Wait for something true while it runs."""

        def is_found() -> object:
            assert self.process.poll() is None, self.talk[-2000:]
            return found()

        until(is_found)

    @property
    def lines(self) -> list[str]:
        """Its data, without the time of day."""
        return [line.partition("  ")[2] for line in self.paths[0].read_text().splitlines()]

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Its data as objects."""
        return [json.loads(line) for line in self.paths[0].read_text().splitlines()]

    @property
    def talk(self) -> str:
        """What it said on stderr."""
        return self.paths[1].read_text()


def watchers() -> int:
    """How many clients the aggregator tells that everything was told to once."""
    standing = snapshot()["aggregator"]["standing"]
    return int(standing["watchers"]) if standing.get("pushes", 0) >= standing["watchers"] else -1


def test_each_change_is_a_line_or_an_object(values: Path, tmp_path: Path) -> None:
    """Values in their unit, truths, states, who is gone; the same for programs; Ctrl-C ends it."""
    with aggregator(values), ExitStack() as stack:
        plain = Watcher(stack, tmp_path, LATENCY, "--every", "0ms")
        three = Watcher(stack, tmp_path, "--json", LATENCY, FAILING, HEALTH, "--every", "0ms")
        for watcher in (plain, three):
            watcher.until(lambda: watchers() == 2)

        def truths() -> list[bool | None]:
            return [each["truth"] for each in three.objects if "truth" in each]

        neuron = {"group": "g", "host": "h", "neuron": "n\x1b"}
        tell(values, {LATENCY: [({"group": "a"}, None, 12)], FAILING: [({"host": "h"}, 1, 0.75)]})
        plain.until(lambda: "group=a  12 ms" in plain.lines and truths() == [True])
        tell(values, {FAILING: [({"host": "h"}, None, None)], HEALTH: [(neuron, None, 2)]})
        plain.until(lambda: "group=a  gone" in plain.lines and truths() == [True, None])
        for watcher in (plain, three):
            watcher.process.send_signal(signal.SIGINT)
            assert watcher.process.wait(10) == 130
        until(lambda: watchers() == 0)
    assert plain.lines == ["group=a  5.25 ms", "group=a  12 ms", "group=a  gone"]
    assert plain.talk == three.talk == ""
    found = [
        {key: value for key, value in each.items() if key != "time_ns"}
        for each in three.objects
        if each.get("notice") != "empty"  # which is told after a while, if nothing has come
    ]
    latency = {"expression": LATENCY, "labels": {"group": "a"}}
    failing = {"expression": FAILING, "labels": {"host": "h"}}
    assert [each for each in found if each["expression"] == LATENCY] == [
        {**latency, "value": 5.25, "unit": "ms"},
        {**latency, "value": 12.0, "unit": "ms"},
        {**latency, "gone": True},
    ]
    assert [each for each in found if each["expression"] == FAILING] == [
        {**failing, "truth": True, "value": 0.75, "unit": None},
        {**failing, "truth": None, "value": None, "unit": None},
    ]
    assert [each for each in found if each["expression"] == HEALTH] == [
        {"expression": HEALTH, "labels": neuron, "value": "critical", "unit": None}
    ]


def test_an_aggregator_that_dies_is_missed_and_followed(values: Path, tmp_path: Path) -> None:
    """It says so, and tells what has changed meanwhile once there is another; `--for` ends it."""
    with ExitStack() as stack:
        with aggregator(values) as first:
            watcher = Watcher(stack, tmp_path, LATENCY, "--every", "0ms", "--for", "1h")
            watcher.until(lambda: watcher.lines == ["group=a  5.25 ms"])
            first.kill()
            watcher.until(lambda: "the aggregator is away" in watcher.talk)
        tell(values, {LATENCY: [({"group": "a"}, None, 5.25), ({"group": "b"}, None, 7)]})
        with aggregator(values):
            watcher.until(lambda: "the aggregator is back" in watcher.talk)
            watcher.until(lambda: watcher.lines == ["group=a  5.25 ms", "group=b  7 ms"])
            timed = Watcher(stack, tmp_path, "--limit", "1", LATENCY, "--for", "300ms")
            assert timed.process.wait(30) == 0
            assert timed.lines == ["group=b  7 ms"]
            assert timed.talk == "rnts: 1 more are left out, see --limit\n"
            watcher.process.send_signal(signal.SIGTERM)
            assert watcher.process.wait(10) == 143


def test_a_terminal_gets_a_table(values: Path, tmp_path: Path) -> None:
    """It is drawn in place, and stays there when the command ends."""
    with aggregator(values):
        main, other = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        environment.pop("NO_COLOR", None)
        arguments = command("watch", LATENCY, "--for", "200ms")
        process = subprocess.Popen(
            arguments, stdin=other, stdout=other, stderr=subprocess.PIPE, env=environment
        )
        os.close(other)
        drawn = b""
        try:
            while chunk := os.read(main, 65_536):
                drawn += chunk
        except OSError:  # the other end is closed: that is how a terminal says so
            pass
        finally:
            os.close(main)
            assert process.wait(30) == 0
    text = drawn.decode()
    assert "rnts watch" in text and "5.25 ms" in text and LATENCY in text
    assert "\x1b[?1049h" not in text  # no screen of its own, which would be gone at the end
