"""What the watermarks of all agents allow: which windows close, and whose next frame has to wait.

After an outage several agents come with a backlog, one after another. Whoever comes first must not
close the windows that the others have yet to fill: neither by its watermark nor by records that
push windows out. So an aggregator that finds agents older than itself closes nothing for a period
of grace from its start, and a frame that would push out what another agent still fills is put off:
it is not folded, and asked for again when its turn has come, after a period of grace at the latest.
"""

from dataclasses import dataclass

from rnts.frame import Frame
from rnts.kernels.neurons import OPEN_WINDOWS
from rnts.receiver import Session

_SILENCE_NS_MIN = 1_500_000_000  # an agent at rest speaks each second


@dataclass
class _Waiting:
    """A frame that was put off: since when, the newest of its records, whether it is asked for."""

    since_ns: int
    newest_ns: int
    is_asked: bool = False


class Watermarks:
    """The watermarks by agent. Times are of the clock since the epoch where they are records'.

    All others are steady; `started_ns` is when this aggregator began and `steady_ns` the same.
    """

    def __init__(
        self,
        sessions: dict[int, Session],
        window_ns: int,
        grace_ns: int,
        started_ns: int,
        steady_ns: int,
    ) -> None:
        self.of: dict[int, int] = {}
        self._sessions = sessions
        self.silence_ns = max(
            grace_ns, _SILENCE_NS_MIN
        )  # who is silent for longer is not waited for
        self._window_ns, self.grace_ns, self._started_ns = window_ns, grace_ns, started_ns
        self._held_until_ns = steady_ns + grace_ns
        self._newest = -1  # window in which something lies
        self._is_return = False  # whether there was an aggregator, or a backlog, before this one
        self._waiting: dict[int, _Waiting] = {}
        self._missing: set[int] = set()  # agents that an aggregator before this one heard
        self._is_whole_before = False  # whether what it had in open windows is all back

    def expect(self, lives: set[tuple[int, int]]) -> None:
        """A ledger says who was there: when all of them are back, nothing is missing."""
        self._missing = {agent_id for agent_id, _ in lives}
        self._is_return = self._is_whole_before = True

    def returned(self, agent_id: int) -> None:
        """All that was counted of an agent by an aggregator before this one has come again."""
        self._missing.discard(agent_id)

    def meet(self, agent_id: int, incarnation: int, is_known: bool = False) -> None:
        """A session begins; an incarnation is the time at which the agent did."""
        self.of.setdefault(agent_id, 0)
        self._waiting.pop(agent_id, None)
        # Both start together as a rule, and then the first screen must not wait.
        if not is_known and incarnation < self._started_ns - self._window_ns:
            self._is_return, self._is_whole_before = True, False

    def forget(self, agent_id: int) -> None:
        """The agent has been away for good."""
        self.of.pop(agent_id, None)
        self._waiting.pop(agent_id, None)

    def advance(self, agent_id: int, watermark_ns: int, window_last: int) -> None:
        """A frame of the agent is folded; `window_last` has its newest record, -1 where none."""
        self._newest = max(self._newest, window_last)
        self.of[agent_id] = max(self.of[agent_id], watermark_ns)
        self._waiting.pop(agent_id, None)

    def is_holding(self, steady_ns: int) -> bool:
        """Whether agents that were there before may still come back."""
        if self._is_whole_before and not self._missing:
            return False
        return self._is_return and steady_ns < self._held_until_ns

    def closing(self, now_ns: int, steady_ns: int) -> tuple[int, bool]:
        """The time before which all windows close, and whether they are complete."""
        if self.is_holding(steady_ns):
            return 0, False
        present = [self.of[i] for i in self._present(steady_ns)]
        expected = sum(not session.has_ended for session in self._sessions.values())
        watermark_ns = min(present, default=self._vacant_ns(now_ns))
        watermark_ns = min(watermark_ns, now_ns)  # a clock that is ahead must not rush the rest
        # A window that was open before this aggregator was there may lack what came before.
        is_whole = (watermark_ns // self._window_ns - 1) * self._window_ns >= self._started_ns
        is_whole |= self._is_whole_before and not self._missing
        return watermark_ns, bool(present) and len(present) == expected and is_whole

    def is_vacant(self, steady_ns: int) -> bool:
        """Whether nobody is heard, after somebody was."""
        return self._newest >= 0 and not self._present(steady_ns)

    def _vacant_ns(self, now_ns: int) -> int:
        """Up to when windows close by the clock, where nobody is heard.

        Those in which something lies do. What programs go on to report waits in their lanes for
        the agent that comes, and must not be late.
        """
        return min(now_ns - self.grace_ns, (self._newest + 1) * self._window_ns)

    def may_put_off(self, watermark_ns: int, boundary: int, now_ns: int, steady_ns: int) -> bool:
        """Whether a frame of this watermark could have to wait, whatever is in it."""
        if not boundary or (len(self._sessions) < 2 and not self.is_holding(steady_ns)):
            return False
        latest_ns = min(watermark_ns, now_ns) + self._window_ns
        return latest_ns // self._window_ns - OPEN_WINDOWS >= boundary

    def put_off(
        self, agent_id: int, frame: Frame, boundary: int, now_ns: int, steady_ns: int
    ) -> bool:
        """Whether a frame has to wait; `boundary` is the number of the oldest open window."""
        if not self.may_put_off(frame.watermark_ns, boundary, now_ns, steady_ns):
            return False
        times_ns = frame.records.times_ns[: frame.records.count]
        # A neuron or an agent with a clock that is ahead is no reason to wait.
        latest_ns = min(frame.watermark_ns, now_ns) + self._window_ns
        newest_ns = int(times_ns[times_ns <= latest_ns].max(initial=0))
        if newest_ns // self._window_ns - OPEN_WINDOWS < boundary:
            return False
        waiting = self._waiting.setdefault(agent_id, _Waiting(steady_ns, newest_ns))
        waiting.newest_ns, waiting.is_asked = newest_ns, False
        return self._is_early(agent_id, boundary, steady_ns)

    def due(self, boundary: int, steady_ns: int) -> list[int]:
        """Agents whose frames were put off and have their turn now; each is named once."""
        due = []
        for agent_id, waiting in self._waiting.items():
            is_early = self._is_early(agent_id, boundary, steady_ns)
            if not waiting.is_asked and not is_early:
                waiting.is_asked = True
                due.append(agent_id)
        return due

    def waiting(self) -> list[int]:
        """Agents whose frames were put off."""
        return list(self._waiting)

    def _is_early(self, agent_id: int, boundary: int, steady_ns: int) -> bool:
        """Whether folding the agent's frame would push out a window that another still fills."""
        waiting = self._waiting[agent_id]
        if steady_ns - waiting.since_ns >= self.grace_ns:
            return False
        oldest_kept = waiting.newest_ns // self._window_ns - OPEN_WINDOWS + 1
        needed = [boundary] if self.is_holding(steady_ns) else []
        for other in self._present(steady_ns):
            if other != agent_id:
                # What was put off is where the agent stands; its watermark is that of before.
                standing = self._waiting.get(other)
                at_ns = self.of[other] if standing is None else standing.newest_ns
                number = at_ns // self._window_ns if at_ns else boundary  # it was not heard yet
                if number >= boundary:  # else waiting helps it no more
                    needed.append(number)
        return oldest_kept > min(needed, default=oldest_kept)

    def coverage(self, steady_ns: int) -> tuple[int, int]:
        """How many agents are heard, and how many are expected."""
        expected = sum(not session.has_ended for session in self._sessions.values())
        return len(self._present(steady_ns)), expected + len(self._missing)

    def _present(self, steady_ns: int) -> list[int]:
        """Agents that have neither ended nor fallen silent."""
        return [
            agent_id
            for agent_id, session in self._sessions.items()
            if not session.has_ended and steady_ns - session.seen_ns <= self.silence_ns
        ]
