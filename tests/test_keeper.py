"""What an aggregator does when its ledger cannot be opened, is damaged, or is somebody else's."""

import errno
import functools
from pathlib import Path

import ledger_tools
import pytest
from ledger_tools import SECOND, START, Agent, Aggregate
from naive_windows import Item

from rnts.errors import FencedError, LedgerError
from rnts.ledger import Ledger
from rnts.ledger_writer import Appender
from rnts.windows import Windows


def agent_with(count: int) -> Agent:
    """An agent with so many frames of a record each, a second apart."""
    agent = Agent(1)
    for second in range(count):
        item = Item(1, START + second * SECOND, values={"queue_depth": 1})
        agent.cut([item], START + (second + 1) * SECOND)
    return agent


def test_nothing_is_committed_while_the_ledger_cannot_be_opened(tmp_path: Path) -> None:
    """The aggregator counts on and says why; once the ledger is there it asks to be started."""
    (tmp_path / "place").write_text("a file, where a folder has to be")
    agent = agent_with(3)
    aggregate = Aggregate(tmp_path / "place" / "ledger", [agent])
    while aggregate.deliver(agent):
        aggregate.state.windows.advance(agent.watermark_ns, complete=True)
    aggregate.commits.close(aggregate.state.windows.boundary, dict)
    assert aggregate.account()["aggregated"] == 3
    assert agent.committed == 1
    assert aggregate.keeper is not None
    document = aggregate.keeper.document(aggregate.state)
    assert document["condition"] == "missing"
    assert "folder" in document["advice"]
    (tmp_path / "place").unlink()
    aggregate.keeper._retry_ns = 0
    with pytest.raises(LedgerError, match="start anew"):
        aggregate.commits.take_written()


def test_a_damaged_ledger_is_put_aside(tmp_path: Path) -> None:
    """A record that was changed shows; the file is kept, and a new one begins."""
    path, agent = tmp_path / "ledger", agent_with(3)
    aggregate = Aggregate(path, [agent])
    while aggregate.deliver(agent):
        aggregate.close()
    aggregate.die()
    with Ledger(path) as ledger:
        ledger._database.execute(
            "update records set body = cast(body || x'00' as blob) where seq = 3"
        )
    after = Aggregate(path, [])
    assert after.keeper is not None
    assert len(list(tmp_path.glob("ledger.damaged-*"))) >= 1
    assert after.keeper.document(after.state)["epoch"] == 1
    after.die()


def test_a_damaged_ledger_that_cannot_be_moved_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its condition stands in the snapshot, and the aggregator goes on without it."""
    (tmp_path / "ledger").write_text("no ledger at all, and long enough to be looked at" * 100)

    def refuse(self: Path, target: str) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    aggregate = Aggregate(tmp_path / "ledger", [])
    assert aggregate.keeper is not None
    document = aggregate.keeper.document(aggregate.state)
    assert (document["condition"], document["set_aside"]) == ("corrupt", None)
    assert "move it away" in document["advice"]


def test_a_record_that_cannot_be_packed_ends_the_aggregator(tmp_path: Path) -> None:
    """The thread that writes has ended then, and nothing would be committed for ever."""
    agent = agent_with(2)
    aggregate = Aggregate(tmp_path / "ledger", [agent])
    assert aggregate.keeper is not None
    aggregate.deliver(agent)
    aggregate.state.counts["odd"] = object()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="not JSON serializable"):
        aggregate.close()
    aggregate.die()


@pytest.mark.parametrize("restarts", [0, 1, 2])
@pytest.mark.parametrize("length", [0.25, 0.5, 1, 2, 4])
def test_windows_of_another_length_go_on_where_the_last_ones_ended(
    length: float, restarts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after aggregators that died before what was counted had come again to them."""
    agent = Agent(1)
    for second in range(8):  # each frame is of two windows
        times_ns = START + second * SECOND, START + (second + 1) * SECOND
        items = [Item(1, time_ns, values={"queue_depth": 1}) for time_ns in times_ns]
        agent.cut(items, START + (second + 1) * SECOND)
    aggregate = Aggregate(tmp_path / "ledger", [agent])
    for _ in range(6):
        aggregate.deliver(agent)
    aggregate.close(START + 4 * SECOND)  # where windows of all these lengths begin
    for _ in range(restarts):
        aggregate.die()
        aggregate = Aggregate(tmp_path / "ledger", [agent])
    aggregate.die()
    made = functools.partial(Windows, int(length * SECOND))
    monkeypatch.setattr(ledger_tools, "Windows", lambda _, *given, **named: made(*given, **named))
    aggregate = Aggregate(tmp_path / "ledger", [agent])
    while aggregate.deliver(agent):
        pass
    account = aggregate.account()
    assert (account["aggregated"], account["dropped"]) == (16, {})
    assert aggregate.state.positions.pending == 0 and not aggregate.state.counts["died"]
    aggregate.die()


def test_the_owner_before_is_fenced(tmp_path: Path) -> None:
    """Its next append conflicts, it says so, and nothing more is committed by it."""
    agent = agent_with(3)
    old = Aggregate(tmp_path / "ledger", [agent])
    old.deliver(agent)
    old.close()
    committed = agent.committed
    new = Aggregate(tmp_path / "ledger", [])
    old.deliver(agent)
    with pytest.raises(FencedError, match="another aggregator has taken over"):
        old.close()
    assert agent.committed == committed
    old.die()
    new.die()


def test_news_of_one_record_are_not_those_of_the_next(tmp_path: Path) -> None:
    """What is written between two looks is told of before the next record is handed over."""
    agent = agent_with(4)
    aggregate = Aggregate(tmp_path / "ledger", [agent], make_writer=Appender)
    assert aggregate.keeper is not None
    writer = aggregate.keeper._writer
    assert writer is not None
    aggregate.deliver(agent)
    aggregate.deliver(agent)
    aggregate.close(is_written=False)
    assert agent.committed == 1
    aggregate.deliver(agent)
    aggregate.commits.take_written()
    assert writer.attempt()  # in its thread, right now
    aggregate.close(is_written=False)
    assert agent.committed == 3  # the frames of the first record, and no more
    aggregate.close(is_written=False)
    assert agent.committed == 3  # the second is under way
    assert writer.attempt()
    aggregate.commits.take_written()
    assert agent.committed == 4
    aggregate.die()
