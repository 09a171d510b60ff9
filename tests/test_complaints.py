"""What the library says of itself: once each, and never at the wrong moment."""

import sys

import pytest

from rnts.complaints import Complaints


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
