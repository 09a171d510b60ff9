"""The canary: now and then a record of our own travels the whole road, and its time is taken.

    lane ─► agent ─► aggregator's engine ─► standing push ─► alert, line of a journal ─► action

From just before the record to the beginning of its action, by one clock. The alert is one of a
table, a memory and a pool of actions that are made as the users' are, but hold nothing else: so
nobody sees it among theirs. docs/alerts.md says what is counted.
"""

import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from random import uniform
from typing import Any, NamedTuple

from rnts.alerts.action import Policy
from rnts.alerts.actions import ActionPool
from rnts.alerts.canary_lane import Lane
from rnts.alerts.canary_times import SlidingTimes
from rnts.alerts.desk import Desk
from rnts.alerts.feed import CONDITION as CONDITION_KEY
from rnts.alerts.feed import Feed, query_key
from rnts.alerts.flapping import Flapping
from rnts.alerts.memory import Memory
from rnts.alerts.notification import Notification
from rnts.alerts.rule import CRITICAL, SECOND_NS, Receiver, Rule
from rnts.alerts.table import AlertTable
from rnts.canary_ids import CONDITION, GROUP, NEURONS_MAX
from rnts.reflex.change import Labels, Update
from rnts.standing.query import Query

PATIENCE_NS = 5 * SECOND_NS  # a canary that has not come back by then is lost
_MINUTE_NS, _HOUR_NS = 60 * SECOND_NS, 3_600 * SECOND_NS
_AGENT_HERE_NS = 10 * SECOND_NS  # since an agent was seen, so that one is there
_EARLY, _LATE = 0.5, 1.5  # times the interval, at random: nothing that is periodic is in step
_RULE = Rule(GROUP, CONDITION, CRITICAL, (GROUP,))
_RECEIVER = Receiver(GROUP, repeat_ns=0, burst=NEURONS_MAX, tells_resolved=False)
_NEVER = Flapping(1, 1_000_000, 1)

QUERIES = {GROUP: Query(CONDITION, is_condition=True)}


class _Sent(NamedTuple):
    """A canary under way: which neuron, and when by both clocks."""

    number: int
    steady_ns: int
    wall_ns: int


class _Note:
    """The action: notes when it began, and of which records it was told."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self.begun: deque[tuple[int, list[int]]] = deque()
        self._clock_ns = clock_ns

    def run(self, notification: Notification) -> None:
        """Note it; runs in a thread of the action."""
        at_ns = self._clock_ns()
        depths = (alert["value"] for alert in notification.alerts)
        self.begun.append((at_ns, [int(depth) for depth in depths if depth is not None]))

    def describe(self, notification: Notification) -> str:
        """What `run` would do."""
        return "note the time"


class Canary:
    """Sends canaries through `lane`; `folder` is for what their alerts remember, and is emptied."""

    def __init__(
        self,
        lane: Lane,
        folder: Path,
        interval_ns: int,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.interval_ns = interval_ns
        self._lane, self._folder, self._clock_ns = lane, folder, clock_ns
        shutil.rmtree(folder, ignore_errors=True)
        self._note = _Note(clock_ns)
        self._pool = ActionPool({GROUP: (self._note, Policy())}, workers=1)
        self._table = AlertTable([_RULE], [_RECEIVER], flapping=_NEVER)
        self._feed = Feed(self._table.lives, Counter(), knows_all=True)
        self._desk = Desk(self._table, Memory(folder), self._pool)
        self._desk.begin(0, 0)  # there is nothing to go on from
        self._windows = {"minute": SlidingTimes(_MINUTE_NS), "hour": SlidingTimes(_HOUR_NS)}
        self._sent: dict[int, _Sent] = {}  # by what their records say, the oldest first
        self._free = deque(range(NEURONS_MAX))
        self._to_calm: list[int] = []  # neurons that are to say that all is well again
        self._depth = 0
        self._due_ns: int | None = None  # when the next is sent; None: the road was never there
        self._deaf_ns = 0  # when the aggregator was last not heard
        self._updates: list[Update] = []
        self._counts = {"sent": 0, "came_back": 0, "came_late": 0}
        self._lost: Counter[str] = Counter()
        self._last: tuple[int, int] | None = None  # since the epoch, and how long it took

    def pick(self, updates: Iterable[Update]) -> list[Update]:
        """Keep what is told of canaries for the next step; all else is given back."""
        others = []
        for update in updates:
            if update.key == GROUP:
                self._updates.append(self._of_own(update))
            else:
                others.append(update)
        return others

    def _of_own(self, update: Update) -> Update:
        """What an update says of this process' canaries; others may have some, too."""
        return update._replace(
            key=query_key(CONDITION_KEY, GROUP),
            changes=tuple(each for each in update.changes if self._is_own(each.labels)),
            gone=tuple(labels for labels in update.gone if self._is_own(labels)),
        )

    def _is_own(self, labels: Labels) -> bool:
        return dict(labels).get("neuron") in self._lane.names

    def step(self, now_ns: int, wall_ns: int, alive_at_ns: int | None) -> None:
        """Act upon what was told, then see to what is due.

        alive_at_ns: as `Feed.repeat` has it; None while the aggregator is not heard.
        """
        if self._updates:
            updates, self._updates = self._updates, []
            self._feed.take(updates, now_ns)
            self._desk.tick(now_ns, wall_ns)
        self._collect(wall_ns)
        if alive_at_ns is None:
            self._deaf_ns = now_ns
        self._give_up(now_ns)
        if self._due_ns is None and alive_at_ns is not None and self._has_agent(wall_ns):
            self._due_ns = now_ns
        if self._due_ns is not None and now_ns >= self._due_ns:
            self._due_ns = now_ns + round(self.interval_ns * uniform(_EARLY, _LATE))
            self._send(now_ns, wall_ns)
            if alive_at_ns is not None:
                self._feed.repeat(now_ns, alive_at_ns)
            self._desk.tick(now_ns, wall_ns)

    def _has_agent(self, wall_ns: int) -> bool:
        return wall_ns - self._lane.agent_seen_ns() < _AGENT_HERE_NS

    def _send(self, now_ns: int, wall_ns: int) -> None:
        """Calm those that have come back, then send the next; into the void nothing is sent."""
        if not self._has_agent(wall_ns):
            self._counts["sent"] += 1
            self._lose("agent_away", now_ns)
            return
        for number in self._to_calm:
            self._lane.record(number, 0)
        self._free += self._to_calm
        self._to_calm = []
        if not self._free:
            return  # all are under way: the interval is short, and the road is held up
        number = self._free.popleft()
        self._depth += 1
        self._counts["sent"] += 1
        sent = _Sent(number, self._clock_ns(), wall_ns)
        if self._lane.record(number, self._depth):
            self._sent[self._depth] = sent
        else:
            self._free.append(number)
            self._lose("lane_full", now_ns)

    def _collect(self, wall_ns: int) -> None:
        """Take the times of those whose action has begun."""
        while self._note.begun:
            at_ns, depths = self._note.begun.popleft()
            for depth in depths:
                sent = self._sent.pop(depth, None)
                if sent is None:
                    self._counts["came_late"] += 1
                    continue
                self._to_calm.append(sent.number)
                self._counts["came_back"] += 1
                if self._counts["came_back"] > 1:  # the first one warms up what is on the road
                    self._add(at_ns, at_ns - sent.steady_ns, wall_ns)

    def _add(self, at_ns: int, time_ns: int, wall_ns: int) -> None:
        self._last = wall_ns, time_ns
        for window in self._windows.values():
            window.add(at_ns, time_ns)

    def _give_up(self, now_ns: int) -> None:
        """Wait no longer for those that were sent too long ago."""
        for window in self._windows.values():
            window.forget(now_ns)
        while self._sent:
            depth, sent = next(iter(self._sent.items()))
            if now_ns < sent.steady_ns + PATIENCE_NS:
                break
            del self._sent[depth]
            if self._lane.agent_seen_ns() < sent.wall_ns:
                reason = "agent_away"
            else:
                reason = "aggregator_away" if self._deaf_ns >= sent.steady_ns else "unknown"
            self._to_calm.append(sent.number)
            self._lose(reason, now_ns)

    def _lose(self, reason: str, now_ns: int) -> None:
        self._lost[reason] += 1
        for window in self._windows.values():
            window.lose(now_ns, reason)

    def due_ns(self, now_ns: int) -> int:
        """When the next step is due at the latest."""
        return now_ns + SECOND_NS if self._due_ns is None else self._due_ns

    def document(self, now_ns: int, wall_ns: int) -> dict[str, Any]:
        """What has been measured, as docs/alerts.md describes it."""
        self._collect(wall_ns)
        return {
            "interval_ns": self.interval_ns,
            "is_waiting": self._due_ns is None,
            **self._counts,
            "under_way": len(self._sent),
            "lost": dict(self._lost),
            "last": self._last[1] if self._last else None,
            "last_wall_ns": self._last[0] if self._last else None,
            **{name: window.document(now_ns) for name, window in self._windows.items()},
        }

    def close(self, now_ns: int) -> None:
        """End it, and leave nothing behind."""
        self._pool.close()
        self._desk.close(now_ns)
        self._lane.close()
        shutil.rmtree(self._folder, ignore_errors=True)
