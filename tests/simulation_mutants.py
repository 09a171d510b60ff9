"""Broken protocols: each breaks one rule of delivery, or of its joints to the ledger."""

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from simulation_frames import PlayedOpening
from simulation_ledger import MemoryLedger
from simulation_windows import PlayedDigests, PlayedWindows

from rnts.accounts import Accounts
from rnts.commits import Commits
from rnts.delivery import Message
from rnts.keeper import Keeper
from rnts.ledger import Unknown
from rnts.ledger_writer import Appender
from rnts.positions import ALL, Position, Positions
from rnts.receiver import Receiver, Session, Verdict
from rnts.retained import Retained
from rnts.sender import Sender
from rnts.spool import Spool

Patch = Callable[[pytest.MonkeyPatch], None]


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


def forget_former_lives(patch: pytest.MonkeyPatch) -> None:
    """A life that is over counts as committed as soon as the next one is heard."""
    patch.setattr(Receiver, "_former_of", staticmethod(lambda session: {}))


def release_spool_early(patch: pytest.MonkeyPatch) -> None:
    """The spool lets go of what is not committed."""
    release = Spool.release
    patch.setattr(Spool, "release", lambda self, before: release(self, before + 20))


def keep_the_boundary_of_windows(patch: pytest.MonkeyPatch) -> None:
    """What is in windows that are open counts as committed."""
    commit = Session.commit

    def all_of_it(self: Session, closed_before: int) -> None:
        commit(self, closed_before + 2)

    patch.setattr(Session, "commit", all_of_it)


def ignore_the_fence(patch: pytest.MonkeyPatch) -> None:
    """An aggregator that was replaced goes on appending."""
    append = MemoryLedger.append_if

    def append_anyway(self: MemoryLedger, log: str, _: int, *more: Any, **words: Any) -> Any:
        return append(self, log, self.head(log)[0], *more, **words)

    patch.setattr(MemoryLedger, "append_if", append_anyway)


def commit_before_it_is_written(patch: pytest.MonkeyPatch) -> None:
    """COMMITTED goes out when the record is handed over: it may never be there."""
    hold = Commits._hold

    def hold_and_tell(self: Commits, boundary: int) -> None:
        hold(self, boundary)
        self._tell()

    patch.setattr(Commits, "_hold", hold_and_tell)


def tell_of_former_lives_at_once(patch: pytest.MonkeyPatch) -> None:
    """A former life hears that all of it is committed when that is handed over."""
    commit = Receiver.commit

    def commit_and_tell(self: Receiver, agent_id: int, closed_before: int) -> Any:
        answer = commit(self, agent_id, closed_before)
        self.written(agent_id)
        return answer

    patch.setattr(Receiver, "commit", commit_and_tell)


def trust_another_aggregator(patch: pytest.MonkeyPatch) -> None:
    """What one aggregator has folded of a former life is not shown to the next one."""
    lose = Sender.lose_connection

    def lose_connection(self: Sender) -> None:
        lose(self)
        self.is_met = True

    patch.setattr(Sender, "lose_connection", lose_connection)


def believe_that_it_was_written(patch: pytest.MonkeyPatch) -> None:
    """An append of which nothing is known counts as done."""

    def read_back(self: Appender, answer: Unknown, body: bytes) -> int:
        return self.seq + 1

    patch.setattr(Appender, "_read_back", read_back)


def forget_positions(patch: pytest.MonkeyPatch) -> None:
    """An aggregator that begins does not know which frames are in its ledger."""
    patch.setattr(Positions, "restore", lambda self, standings, boundary: None)


def fold_all_that_comes_again(patch: pytest.MonkeyPatch) -> None:
    """What comes again is folded into all windows that are not sealed."""
    patch.setattr(Position, "counted_before", lambda self, last: 0)


def fold_nothing_that_comes_again(patch: pytest.MonkeyPatch) -> None:
    """What comes again was counted, whatever was open when its aggregator died."""
    patch.setattr(Position, "counted_before", lambda self, last: ALL)


def forget_what_has_come_again(patch: pytest.MonkeyPatch) -> None:
    """A second death during a replay: all frames count as those that had come again."""
    patch.setattr(Position, "still_to_come", lambda self: (None, []))


def keep_waiting_for_what_is_gone(patch: pytest.MonkeyPatch) -> None:
    """Records of frames that no agent keeps any more are waited for."""
    patch.setattr(Positions, "skip_to", lambda self, life, first: 0)


def expect_no_gap(patch: pytest.MonkeyPatch) -> None:
    """What an agent has forgotten is no reason for a gap in the books."""
    patch.setattr(Accounts, "expect_gap", lambda self, agent, reason: None)


def open_windows_again(patch: pytest.MonkeyPatch) -> None:
    """An aggregator that begins does not know which windows are closed."""
    patch.setattr(PlayedWindows, "resume", lambda self, boundary, sealed_before: None)
    begin_revisions_anew(patch)


def begin_revisions_anew(patch: pytest.MonkeyPatch) -> None:
    """An aggregator that begins does not know what windows hold that it may revise."""
    patch.setattr(PlayedDigests, "resume", lambda self, unsealed, digests: None)


def forget_what_was_of_the_future(patch: pytest.MonkeyPatch) -> None:
    """A record that was refused as of the future is folded when it comes again."""
    commit = Positions.standings

    def standings(self: Positions, everything: bool) -> Any:
        return [s._replace(refused_at={}) for s in commit(self, everything)]

    patch.setattr(Positions, "standings", standings)


def decode_twice(patch: pytest.MonkeyPatch) -> None:
    """A frame that was put off has moved the decoder all the same."""
    patch.setattr(PlayedOpening, "undo", lambda self, agent_id: None)


def write_all_at_once(patch: pytest.MonkeyPatch) -> None:
    """Windows that closed while a record was under way are in none."""
    write = Keeper.write

    def write_up_to(self: Keeper, state: Any, coverage: Any) -> None:
        write(self, state, coverage)
        self._boundary += 1

    patch.setattr(Keeper, "write", write_up_to)


# Where bad weather shows it; each with the first seed that is worth a try, as some take a
# coincidence.
OF_DELIVERY: dict[Patch, int] = {
    fold_what_repeats: 0,
    fold_over_gaps: 0,
    make_holes_of_what_went_out: 32,
    release_half_groups: 0,
    end_holes_within_groups: 0,
    lose_holes: 14,
    release_spool_early: 0,
    keep_waiting_for_what_is_gone: 0,
    expect_no_gap: 0,
    forget_what_was_of_the_future: 0,
}
# Where it shows that records are lost which all agents have kept; seeds as above.
OF_THE_LEDGER: dict[Patch, int] = {
    commit_when_folded: 0,
    keep_the_boundary_of_windows: 0,
    forget_former_lives: 0,
    ignore_the_fence: 0,
    commit_before_it_is_written: 10,
    tell_of_former_lives_at_once: 0,
    trust_another_aggregator: 8,
    believe_that_it_was_written: 6,
    forget_positions: 0,
    fold_all_that_comes_again: 0,
    fold_nothing_that_comes_again: 0,
    forget_what_has_come_again: 32,
    open_windows_again: 9,
    begin_revisions_anew: 12,
    decode_twice: 0,
    write_all_at_once: 0,
}
