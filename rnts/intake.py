"""The intake: enters frames into books, windows and positions, each record once.

A frame that was counted before, by this aggregator or by one that has died, is known by its
number; it is folded again only for what lay in windows that were open then.
"""

from collections.abc import Callable

from rnts.delivery import Message
from rnts.frame import Frame
from rnts.late import Late
from rnts.ledger_resume import State
from rnts.positions import ALL, Life, Replay
from rnts.receiver import Receiver
from rnts.windows import Folded

_NOTHING = Folded(0, 0, 0, -1, {}, {})


class Intake:
    """What happens to the state of an aggregator when a session begins or a frame comes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.late = Late(state.windows.window_ns)
        self._early: set[Life] = set()

    def is_early(self, life: Life, receiver: Receiver) -> bool:
        """Whether a life of an agent of which none was met yet has to say HELLO again.

        An aggregator before this one still heard an earlier life of its agent, which may have more
        to deliver; its records would be lost. So one HELLO is overheard: agents that have a former
        life begin with that then.
        """
        if life in self._early or life[0] in receiver.sessions:
            return False
        if not self._state.positions.has_earlier(life):
            return False
        self._early.add(life)
        return True

    def begin(self, life: Life, message: Message, hello: Frame, now_ns: int) -> bool:
        """Meet a life of an agent by its HELLO; whether it is known."""
        first = message.first
        accounts, positions = self._state.accounts, self._state.positions
        self._early.discard(life)
        position = positions.of.get(life)
        due = 1 if position is None else position.upto + 1
        is_known, lost = positions.begin(life, first, message.committed, now_ns)
        self._lose(lost)
        if not positions.is_over(life):
            accounts.begin_session(life, hello.sources, is_known)
        if max(first, message.committed) > due:
            accounts.expect_gap(life, "aggregator_died")  # it has not kept all that we lost
        return is_known

    def skip_to(self, life: Life, first: int) -> None:
        """A life goes on with frame `first`: it keeps none before, which were folded elsewhere."""
        self._state.accounts.expect_gap(life, "aggregator_died")
        self._lose(self._state.positions.skip_to(life, first))

    def fold(self, life: Life, last: int, frame: Frame, now_ns: int) -> int:
        """Enter the frame that ends with number `last`; the latest window that it touches."""
        replay = self._state.positions.replay_of(life, last)
        if replay is None and self._state.positions.is_over(life):
            return -1  # it was declared lost when the life after it was met
        if replay is None:
            self._state.accounts.enter(life, frame.sources)
            folded = self._state.windows.fold(frame.records, now_ns)
            self._state.positions.count(life, last, folded, now_ns)
            self._state.counts["future"] += folded.future
        else:
            folded = self._fold_again(life, last, frame, replay, now_ns)
        counts = self._state.counts
        counts["aggregated"] += folded.aggregated
        counts["late"] += folded.late
        if folded.late:
            self.late.note(life[0], frame.records, self._state.windows.sealed_before)
        return folded.window_last

    def _fold_again(
        self, life: Life, last: int, frame: Frame, replay: Replay, now_ns: int
    ) -> Folded:
        """The books have it; what is still missing lay in windows that were open."""
        then_ns = now_ns if replay.now_ns is None else replay.now_ns
        folded = self._state.windows.fold(frame.records, then_ns, replay.counted_before)
        # What was of the future when it was folded first is counted as that already.
        is_counted = replay.counted_before == ALL or replay.now_ns is not None
        future = 0 if is_counted else folded.future
        self._state.counts["future"] += future
        self._lose(self._state.positions.count_again(life, last, folded, future))
        return folded

    def skip(self, life: Life, last: int, now_ns: int) -> int:
        """A frame came damaged each time; it touches no window."""
        replay = self._state.positions.replay_of(life, last)
        if replay is None and self._state.positions.is_over(life):
            return -1
        if replay is None:
            self._state.accounts.skip_frame(life)
            self._state.positions.count(life, last, _NOTHING, now_ns)
        else:
            self._lose(self._state.positions.count_again(life, last, _NOTHING, 0))
        return -1

    def tidy(self, is_present: Callable[[Life], bool], now_ns: int) -> None:
        """Forget lives of agents that do not return, and what only they could tell."""
        gone, lost = self._state.positions.tidy(is_present, now_ns)
        self._lose(lost)
        if gone:
            self._state.accounts.abandon(set(gone))

    def _lose(self, records: int) -> None:
        """Records that were in windows when an aggregator died do not come again."""
        self._state.counts["died"] += records
