"""The lives of an agent: who speaks, and whose frames go first when the disk is full."""

from pathlib import Path

from rnts.delivery import Message, Type, parse_message
from rnts.lives import Former, Lives
from rnts.sender import Limits, Sender
from rnts.spool import Spool
from rnts.spool_files import Files
from rnts.spool_life import read_life
from rnts.spool_parts import Budget, SpoolLimits, State

AGENT, SOURCE, FRAME_BYTES = 7, 42, 5_000
LIMITS = Limits(retained_bytes_max=20_000, timeout_ns=100, retry_count=3)


def make(folder: Path, life: int, disk_bytes: int, budget: Budget) -> tuple[Sender, Spool]:
    """A life with a spool, of those that share a budget."""
    limits = SpoolLimits(disk_bytes, segment_bytes=10_000)
    files = Files(folder / str(life))
    spool = Spool(files, limits, lambda: State(AGENT, life, 1, b""), budget)
    found = read_life(files) if (folder / str(life)).exists() else None
    if found is not None:
        spool.adopt(found.segments)
    entries = [] if found is None else found.entries
    make_hole = b"lost".ljust
    sender = Sender(
        AGENT, life, LIMITS, lambda: b"", lambda counts: make_hole(4 + sum(counts.values())),
        spool=spool, entries=entries,
    )  # fmt: skip
    return sender, spool


def offer(sender: Sender, count: int) -> None:
    """Frames of one record each; each is a group of its own."""
    for _ in range(count):
        sender.offer(bytes(FRAME_BYTES), {SOURCE: 1})


def test_the_oldest_life_gives_up_first(tmp_path: Path) -> None:
    """Where the disk is full, frames of a former life go before those of the one that lives."""
    disk_bytes = 95_000
    first, spool = make(tmp_path, 1, disk_bytes, Budget())
    offer(first, 14)
    first.retained.spill_all(1)
    spool.end()
    budget = Budget()
    former, former_spool = make(tmp_path, 1, disk_bytes, budget)
    own, own_spool = make(tmp_path, 2, disk_bytes, budget)
    lives = Lives(own, [Former(former, former_spool)])
    offer(own, 12)
    assert budget.used <= disk_bytes
    holes = [entry.is_hole for entry in former.retained.waiting]
    assert holes == sorted(holes, reverse=True)  # from the oldest on
    assert 0 < sum(holes) < len(holes)
    assert sum(sum(e.counts.values()) for e in former.retained.waiting if e.is_hole) == sum(holes)
    assert not any(entry.is_hole for entry in own.retained.waiting)
    assert lives.speaker is former
    offer(own, 45)
    assert all(entry.is_hole for entry in former.retained.waiting)
    assert own.retained.waiting[0].is_hole  # and only then those of this life
    own_spool.end()
    former_spool.end()


def test_each_aggregator_is_told_of_former_lives(tmp_path: Path) -> None:
    """What one has folded of a former life another may not know: that life says HELLO first."""
    budget = Budget()
    first, spool = make(tmp_path, 1, 1 << 20, budget)
    offer(first, 3)
    first.retained.spill_all(1)
    spool.end()
    former, former_spool = make(tmp_path, 1, 1 << 20, Budget())
    own, _ = make(tmp_path, 2, 1 << 20, Budget())
    lives = Lives(own, [Former(former, former_spool)])
    lives.begin()
    assert spoken(lives) == [(Type.HELLO, 1)]
    lives.on_message(Message(Type.WELCOME, 9, 1, 1, former._episode), 0)
    assert spoken(lives) == [(Type.ENTRY, 1)] * 3
    lives.on_message(Message(Type.RECEIVED, 9, 1, 4, 64), 0)
    assert spoken(lives) == [(Type.BYE, 1), (Type.HELLO, 2)]
    lives.begin()  # with another aggregator
    assert spoken(lives) == [(Type.HELLO, 1)]
    former_spool.end()


def spoken(lives: Lives) -> list[tuple[Type, int]]:
    """What is said now: the types of messages, and of which lives."""
    parsed = [parse_message(parts[0]) for parts in lives.step(0)]
    return [(message.type, message.incarnation) for message in parsed if message is not None]
