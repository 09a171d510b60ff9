"""What the library says of itself: once each, and never at the wrong moment."""

import errno
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnts.complaints import Complaints
from rnts.producer import Producer

PATIENCE_S = 20


def test_each_thing_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first message on a matter goes to the log, later ones do not."""
    complaints = Complaints()
    for what, message in (("a", "first"), ("a", "again"), ("b", "other")):
        complaints.once(what, message)

    assert caplog.messages == ["first", "other"]


def test_what_cannot_be_said_now_is_said_next_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that is in the middle of loading `logging`, or ends, is not disturbed."""
    complaints = Complaints()
    with monkeypatch.context() as loading:
        loading.setitem(sys.modules, "logging", None)
        complaints.once("a", "too early")
    assert caplog.messages == []

    complaints.once("a", "in time")
    assert caplog.messages == ["in time"]


class Reporting(logging.Handler):
    """A handler that reports what is logged as a record, from a thread of its own."""

    def __init__(self, producer: Producer) -> None:
        super().__init__()
        self.producer, self.lines = producer, 0
        self.are_stuck = False

    def emit(self, record: logging.LogRecord) -> None:
        """Wait until the thread is done, or is not going to be."""
        self.lines += 1
        work = threading.Thread(target=self.report, daemon=True)
        work.start()
        work.join(PATIENCE_S)
        self.are_stuck |= work.is_alive()

    def report(self) -> None:
        """Report a line under a name that was not heard before."""
        self.producer.neuron(f"line {self.lines}").record(queue_depth=self.lines)


@pytest.fixture
def reporting(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reporting]:
    """A producer that finds no room, and so complains, and a log that reports by it."""

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr("rnts.producer.Segment", no_room)
    handler, log = Reporting(Producer()), logging.getLogger("rnts")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)
    handler.producer.close(unlink=True)


@pytest.mark.parametrize("act", ["neuron", "attach", "segment"])
def test_who_hears_a_complaint_may_report(reporting: Reporting, act: str) -> None:
    """A handler that waits for a record of another thread is not what that record waits for."""
    producer = reporting.producer
    if act == "neuron":
        producer.neuron("n").record(queue_depth=1)
    else:
        getattr(producer, act)()
    assert reporting.lines == 1
    assert not reporting.are_stuck
