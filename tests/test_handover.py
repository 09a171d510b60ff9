"""What an agent keeps for the aggregator that comes, and when it lets go of it."""

from pathlib import Path

from rnts.delivery import Message, Type
from rnts.handover import Handover
from rnts.sender import Limits, Sender


def test_the_file_of_a_finished_segment_stays_until_its_last_rows_are_committed(
    tmp_path: Path,
) -> None:
    """RECEIVED is not enough: an aggregator that dies then has not written down what it heard."""
    sender = Sender(7, 1, Limits(1 << 20, 100, 3), lambda: b"", lambda counts: b"")
    handover, path = Handover(), tmp_path / "1-0-0.seg"
    path.touch()
    handover.keep_file(path)  # its last rows are in entry 0 of the play, and so before entry 1
    handover._number = 1
    sender.offer(b"rows", {})
    sender.step(0)
    sender.on_message(Message(Type.WELCOME, 9, 1, 1, sender._episode), 0)
    sender.step(0)
    other = tmp_path / "2-0-0.seg"
    other.touch()
    handover.keep_file(other)
    sender.on_message(Message(Type.RECEIVED, 9, 1, 2, 64), 0)
    handover.take_commits(sender)
    assert other.exists()
    last = tmp_path / "3-0-0.seg"
    last.touch()
    handover.keep_file(last)
    sender.on_message(Message(Type.COMMITTED, 9, 1, 2), 0)
    handover.take_commits(sender)
    assert not other.exists()
    handover.end(sender)  # in peace: it does not wait for a commit, and leaves nothing behind
    assert not last.exists()
