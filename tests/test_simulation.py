"""Delivery in a world where all goes wrong: nothing is lost unseen, and nothing counted twice."""

import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pytest
from simulation import FAULTS, World
from simulation_aggregator import SimAggregator
from simulation_parts import Ledger, Wrong

from rnts.delivery import Message
from rnts.receiver import Receiver, Session, Verdict
from rnts.retained import Retained
from rnts.sender import Sender
from rnts.spool import Spool

SEEDS, SEEDS_NIGHTLY, BLOCKS = 800, 100_000, 4
MUTANT_SEEDS_MAX = 400
Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Disks that refuse are part of the play."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_record_has_one_fate(block: int, size: Callable[[int, int], int]) -> None:
    """Each is in one sealed window or lost under one reason, and every fault has struck."""
    fired: Counter[str] = Counter()
    fates: Counter[str] = Counter()
    seeds = size(SEEDS, SEEDS_NIGHTLY) // BLOCKS
    for seed in range(block * seeds, (block + 1) * seeds):
        world = World(seed)
        try:
            fates.update(world.run())
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        fired += world.fired
        for agent in world.agents:
            fired += agent.spooled
    assert {*FAULTS, "fenced", "lives", "holes", "unknown"} <= fired.keys()
    reasons = {"aggregated", "backlog_full", "agent_died", "aggregator_died", "late"}
    assert reasons <= fates.keys()


def test_a_perfect_world_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no fault strikes, every record is in its window."""
    for what in FAULTS:
        monkeypatch.setitem(FAULTS, what, 0)
    for seed in range(5):
        assert World(seed).run().keys() == {"aggregated"}


def test_without_damage_no_frame_lacks_its_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """No delta is ever tried without its keyframe, unless something between them was destroyed."""
    for what in ("damage", "torn spool"):
        monkeypatch.setitem(FAULTS, what, 0)
    for seed in range(60):
        assert not refusals(World(seed))["base"], f"seed {seed}"


def refusals(world: World) -> Counter[str]:
    """Run a world; the frames that its aggregators could not open, by reason."""
    world.run()
    found = [aggregator for aggregator in world.aggregators if aggregator is not None]
    return sum((aggregator.refused for aggregator in found), world.refused)


def test_what_the_spool_has_outlives_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was in memory is lost with an agent, exactly, and comes as what it was before."""
    for what in FAULTS:
        monkeypatch.setitem(FAULTS, what, 0)
    lost = 0
    for seed in range(20):
        world = World(seed)
        agent = world.agents[0]
        for _ in range(15):
            world.tick()
        world.cut_off[agent.agent_id] = "both"
        for _ in range(60):
            world.tick()
        kept = [*agent.sender.retained.sent, *agent.sender.retained.waiting]
        there = world.aggregators[0]
        assert there is not None
        received = there.receiver.sessions[agent.agent_id].expected
        in_memory = sum(e.records for e in kept if e.payload is not None and e.last >= received)
        has_spooled = bool(agent.spool.segments)
        agent.crash(torn=False)
        world.cut_off.clear()
        fates = world.run()
        lost += in_memory
        assert fates.get("agent_died", 0) == in_memory, f"seed {seed}"
        assert agent.spooled["lives"] == has_spooled
    assert lost


def forget_positions(patch: pytest.MonkeyPatch) -> None:
    """An aggregator that begins does not know what of its ledger is in which frames."""
    begin = SimAggregator.__init__

    def init(self: SimAggregator, *arguments: Any) -> None:
        begin(self, *arguments)
        self.senders, self.pending = {}, {}

    patch.setattr(SimAggregator, "__init__", init)


def commit_when_folded(patch: pytest.MonkeyPatch) -> None:
    """COMMITTED for what lies in open windows: it dies with the aggregator."""
    folded = Receiver.folded
    patch.setattr(Receiver, "folded", lambda self, message, _: folded(self, message, -1))


def fold_what_repeats(patch: pytest.MonkeyPatch) -> None:
    """Duplicates are folded."""
    patch_verdict(patch, Verdict.DUPLICATE)


def fold_over_gaps(patch: pytest.MonkeyPatch) -> None:
    """Entries behind a gap are folded."""
    patch_verdict(patch, Verdict.GAP)


def patch_verdict(patch: pytest.MonkeyPatch, which: Verdict) -> None:
    """Have the receiver say FOLD instead."""
    judge = Receiver.on_entry

    def on_entry(self: Receiver, message: Message, peer: Any, now: int) -> Any:
        verdict, answer = judge(self, message, peer, now)
        return (Verdict.FOLD, None) if verdict is which else (verdict, answer)

    patch.setattr(Receiver, "on_entry", on_entry)


def make_holes_of_what_went_out(patch: pytest.MonkeyPatch) -> None:
    """Frames that some receiver may hold are joined with others in one hole."""
    speak = Sender._message

    def message(self: Sender, entry: Any) -> Any:
        said = speak(self, entry)
        entry.went_out = False
        return said

    patch.setattr(Sender, "_message", message)


def end_holes_within_groups(patch: pytest.MonkeyPatch) -> None:
    """What builds on a frame that was given up is sent all the same."""
    give_up = Retained._give_up

    def half(self: Retained) -> bool:
        whole, self.waiting = self.waiting, deque(self.waiting)
        bases = [entry.base for entry in whole]
        for entry in self.waiting:
            entry.base = entry.first
        done = give_up(self)
        for entry, base in zip(whole, bases, strict=True):
            entry.base = base
        return done

    patch.setattr(Retained, "_give_up", half)
    patch.setattr(Retained, "_break_groups", lambda self, last: None)


def release_half_groups(patch: pytest.MonkeyPatch) -> None:
    """A commit lets go of the keyframe that later frames build on."""
    commit = Retained.commit

    def commit_all(self: Retained, before: int) -> None:
        commit(self, before)
        while self.sent and self.sent[0].last < before:
            self._free(self.sent.popleft())

    patch.setattr(Retained, "commit", commit_all)


def lose_holes(patch: pytest.MonkeyPatch) -> None:
    """A hole says nothing of what it held."""
    speak = Sender._message

    def message(self: Sender, entry: Any) -> Any:
        if entry.is_hole:
            entry.counts = {}
        return speak(self, entry)

    patch.setattr(Sender, "_message", message)


def ignore_the_fence(patch: pytest.MonkeyPatch) -> None:
    """An aggregator that was replaced goes on closing windows."""
    append = Ledger.append_if
    patch.setattr(Ledger, "append_if", lambda self, _, *more: append(self, self.sequence, *more))


def forget_former_lives(patch: pytest.MonkeyPatch) -> None:
    """A life that is over counts as committed as soon as the next one is heard."""
    patch.setattr(Receiver, "_former_of", staticmethod(lambda session: {}))


def release_spool_early(patch: pytest.MonkeyPatch) -> None:
    """The spool lets go of what is not committed."""
    release = Spool.release
    patch.setattr(Spool, "release", lambda self, before: release(self, before + 20))


def keep_the_boundary_of_windows(patch: pytest.MonkeyPatch) -> None:
    """Credit in the ledger runs ahead: what is folded counts as committed."""
    commit = Session.commit

    def all_of_it(self: Session, closed_before: int) -> None:
        commit(self, closed_before + 2)

    patch.setattr(Session, "commit", all_of_it)


MUTANTS: tuple[Patch, ...] = (
    commit_when_folded,
    fold_what_repeats,
    fold_over_gaps,
    forget_positions,
    make_holes_of_what_went_out,
    release_half_groups,
    end_holes_within_groups,
    lose_holes,
    ignore_the_fence,
    forget_former_lives,
    release_spool_early,
    keep_the_boundary_of_windows,
)


@pytest.mark.parametrize("break_it", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_protocol_is_caught(break_it: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule is needed: without it records are lost or doubled, or a delta has no base."""
    break_it(monkeypatch)
    for what in ("damage", "torn spool"):
        monkeypatch.setitem(FAULTS, what, 0)
    for seed in range(MUTANT_SEEDS_MAX):
        try:
            if refusals(World(seed))["base"]:
                return
        except (Wrong, LookupError, StopIteration):
            return
    raise AssertionError(f"{break_it.__name__} is not caught")
