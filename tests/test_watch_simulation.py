"""Standing queries where all goes wrong: no client shows what is old, in the end all know all."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from watch_simulation import FAULTS, World, is_heartbeat

from rnts.delivery import Message, Type, parse_message
from rnts.standing import outbox
from rnts.standing.client import WatchClient
from rnts.standing.outbox import _Waiting
from rnts.standing.session import Session

SEEDS, SEEDS_NIGHTLY, SEEDS_OF_A_MUTANT = 30, 2_000, 60
Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that these small worlds reach."""
    monkeypatch.setattr(outbox, "UNCONFIRMED_MAX", 6)
    monkeypatch.setattr(outbox, "ENTITIES_MAX", 12)
    monkeypatch.setattr(outbox, "CHANGES_AT_ONCE", 4)


@pytest.mark.usefixtures("small_limits")
def test_in_the_end_all_know_all(size: Callable[[int, int], int]) -> None:
    """Loss, repeats, disorder, restarts of either side and clients that stall change nothing."""
    fired: Counter[str] = Counter()
    for seed in range(size(SEEDS, SEEDS_NIGHTLY)):
        try:
            fired += World(seed).run()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    expected = {*FAULTS, "compared", "queue full", "merged", "overflowed", "silent", "stale"}
    expected |= {"gap", "unknown", "damaged", "episodes"}
    assert not expected - fired.keys(), expected - fired.keys()


def test_in_a_perfect_world_nobody_begins_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a fault each client is told its whole state once, and from then on what changes."""
    for what in FAULTS:
        monkeypatch.setitem(FAULTS, what, 0)
    fired = World(1).run()
    assert (fired["clients"], fired["episodes"]) == (2, 2)
    assert not fired.keys() & {"gap", "unknown", "silent", "overflowed", "damaged"}


def overlook_gaps(patch: pytest.MonkeyPatch) -> None:
    """A client takes whatever number comes."""

    def heard(self: WatchClient, message: Message, parts: list[bytes]) -> Message:
        is_ahead = message.type is Type.PUSH and message.first > self._expected
        return message._replace(first=self._expected) if is_ahead else message

    _hear_as(patch, heard)


def overlook_the_last(patch: pytest.MonkeyPatch) -> None:
    """A sign of life says nothing about what was sent before it."""

    def heard(self: WatchClient, message: Message, parts: list[bytes]) -> Message:
        return message._replace(first=self._expected) if is_heartbeat(parts) else message

    _hear_as(patch, heard)


def overlook_episodes(patch: pytest.MonkeyPatch) -> None:
    """What belongs to a former episode counts."""
    _hear_as(patch, lambda self, message, _: message._replace(incarnation=self._episode))


def overlook_restarts(patch: pytest.MonkeyPatch) -> None:
    """Every aggregator is taken for the one before, and none is missed."""

    def heard(self: WatchClient, message: Message, parts: list[bytes]) -> Message:
        if message.type is Type.WHO:
            return message._replace(incarnation=0)
        return message._replace(speaker=self._life or message.speaker)

    _hear_as(patch, heard)


def _hear_as(patch: pytest.MonkeyPatch, heard: Any) -> None:
    on_message = WatchClient.on_message

    def changed(self: WatchClient, parts: list[bytes], now_ns: int) -> Any:
        message = parse_message(parts[0])
        assert message is not None
        return on_message(self, [heard(self, message, parts).pack(), *parts[1:]], now_ns)

    patch.setattr(WatchClient, "on_message", changed)


def lose_what_waits(patch: pytest.MonkeyPatch) -> None:
    """The newest update wins, and not the newest of each entity."""
    add = _Waiting.add

    def add_only(self: _Waiting, update: Any) -> None:
        self.first, self.changes, self.gone = None, {}, {}
        add(self, update)

    patch.setattr(_Waiting, "add", add_only)


def forget_for_good(patch: pytest.MonkeyPatch) -> None:
    """What was too much is not asked for."""

    def forget(self: _Waiting) -> None:
        self.first, self.changes, self.gone = None, {}, {}

    patch.setattr(_Waiting, "forget", forget)


def claim_to_have_told(patch: pytest.MonkeyPatch) -> None:
    """The time of the aggregator is told to those who do not know everything yet."""
    patch.setattr(Session, "note_told", lambda self, now_ns: setattr(self, "told_ns", now_ns))


MUTANTS = (
    overlook_gaps,
    overlook_the_last,
    overlook_episodes,
    overlook_restarts,
    lose_what_waits,
    forget_for_good,
    claim_to_have_told,
)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("break_it", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_machine_is_caught(break_it: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this rule a client shows what is old, or does not learn what is new."""
    break_it(monkeypatch)

    def is_caught(seed: int) -> bool:
        try:
            World(seed).run()
        except (AssertionError, KeyError):
            return True
        return False

    assert any(is_caught(seed) for seed in range(SEEDS_OF_A_MUTANT))
