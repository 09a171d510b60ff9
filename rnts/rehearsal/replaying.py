"""Plays a recording through rules at its own times, as fast as it goes; no action is taken."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rnts.alerts.notification import Notification
from rnts.errors import UsageError
from rnts.receiver import Session
from rnts.recordings.opened import Opened, Opener
from rnts.recordings.reader import Reader, gap_reason
from rnts.recordings.records import Kind, Record
from rnts.rehearsal.episodes import Episode, Episodes
from rnts.rehearsal.stage import Stage
from rnts.rules.condition import parse_condition
from rnts.settings import Settings
from rnts.watermarks import Watermarks

EVALUATE_NS = 1_000_000  # between two evaluations while frames come one behind the other
GAPS_LISTED_MAX = 1_000
_MS = 1_000_000


@dataclass
class Replayed:
    """What rules made of a recording.

    skipped: frames that could not be opened, by reason; lost: those that the recorder missed.
    """

    started_ns: int = 0
    ended_ns: int = 0
    frames: int = 0
    records: int = 0
    agents: int = 0
    gaps: int = 0
    gaps_listed: list[dict[str, Any]] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    damaged_bytes: int = 0
    torn_bytes: int = 0
    episodes: list[Episode] = field(default_factory=list)
    told: list[Notification] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether the rules saw all that the aggregator had folded."""
        return not (self.gaps or self.skipped or self.damaged_bytes or self.torn_bytes)

    @property
    def fired(self) -> int:
        """How many episodes were more than pending."""
        return sum(each.has_fired for each in self.episodes)

    def document(self) -> dict[str, Any]:
        """All of it as JSON; the same recording and rules give the same."""
        return {
            "started_ns": self.started_ns,
            "ended_ns": self.ended_ns,
            "frames": self.frames,
            "records": self.records,
            "agents": self.agents,
            "is_whole": self.is_whole,
            "gaps": self.gaps,
            "gaps_listed": self.gaps_listed,
            "frames_lost": dict(sorted(self.lost.items())),
            "frames_skipped": dict(sorted(self.skipped.items())),
            "damaged_bytes": self.damaged_bytes,
            "torn_bytes": self.torn_bytes,
            "counts": self.counts,
            "episodes": [each.document(self.started_ns) for each in self.episodes],
            "told": [each.document() for each in self.told],
        }


class _Replay:
    """One pass over a recording."""

    def __init__(self, settings: Settings, first: Record) -> None:
        self.done = Replayed(started_ns=first.at_ns)
        self.episodes = Episodes()
        self._sessions: dict[int, Session] = {}
        self._agents: set[int] = set()
        self.stage = Stage(settings, first.at_ns, self._closing, self._note)
        window_ns = settings.telemetry.aggregation.window_ms * _MS
        grace_ns = settings.aggregator.grace_ms * _MS
        times = grace_ns, first.at_ns, self.stage.steady_ns
        self._watermarks = Watermarks(self._sessions, window_ns, *times)
        self._severities = {alert.name: alert.severity for alert in settings.alerts}
        self._windows = {alert.name: _longest_ns(alert.condition) for alert in settings.alerts}
        self._full_ns: dict[str, int] = {}  # when the windows of each rule are full
        self._has_begun = self._is_unseen = False
        self._looked_ns = 0

    def _closing(self, now_ns: int, steady_ns: int) -> tuple[int, bool]:
        return self._watermarks.closing(now_ns, steady_ns)

    def _note(self) -> None:
        lives = self.stage.service.table.lives.by_key
        self.episodes.look(lives, self._severities, self._full_ns, self.stage.now_ns)

    def pass_to(self, now_ns: int) -> None:
        """Let time pass; what came last is evaluated at its own time, as an aggregator would."""
        if self._is_unseen and now_ns != self.stage.now_ns:
            self._look()
        self.stage.pass_to(now_ns)
        self.done.ended_ns = max(self.done.ended_ns, now_ns)

    def _look(self) -> None:
        self._is_unseen, self._looked_ns = False, self.stage.steady_ns
        if self._has_begun:
            self.stage.look()
            return
        self._has_begun = True
        self._full_ns = {name: self.stage.now_ns + each for name, each in self._windows.items()}
        self.stage.begin()

    def note_gap(self, record: Record) -> None:
        """Here the recorder missed frames."""
        done, reason = self.done, gap_reason(record)
        done.gaps += 1
        done.lost[reason] += record.first
        if len(done.gaps_listed) < GAPS_LISTED_MAX:
            after_ns = record.at_ns - done.started_ns
            gap = {"at_ns": record.at_ns, "after_ns": after_ns, "reason": reason}
            done.gaps_listed.append({**gap, "frames": record.first})

    def fold(self, opened: Opened) -> None:
        """Fold a frame that has arrived now."""
        agent_id, incarnation = opened.record.life
        session = self._sessions.get(agent_id)
        if session is None or session.incarnation != incarnation:
            session = self._sessions[agent_id] = Session(incarnation, 1, 1)
            self._watermarks.meet(agent_id, incarnation)
            self._agents.add(agent_id)
        session.seen_ns = self.stage.steady_ns
        window = self.stage.fold(opened.frame.records)
        self._watermarks.advance(agent_id, opened.header.watermark_ns, window)
        self.done.frames += 1
        self.done.records += opened.header.record_count
        self.done.agents = len(self._agents)
        self._is_unseen = True
        if self.stage.steady_ns - self._looked_ns >= EVALUATE_NS:
            self._look()

    def finish(self, reader: Reader) -> Replayed:
        """What came of it."""
        if self._is_unseen:
            self._look()
        done = self.done
        done.damaged_bytes, done.torn_bytes = reader.damaged_bytes, reader.torn_bytes
        done.episodes, done.told = self.episodes.all, self.stage.notebook.told
        done.counts = self.stage.counts()
        return done


def _longest_ns(condition: str) -> int:
    """The longest window that a condition reads."""
    return max((each.window_ns for each in parse_condition(condition).readings), default=0)


def replay_rules(settings: Settings, reader: Reader) -> Replayed:
    """Play all of a recording; raises UsageError where there is nothing to play or no rule."""
    if not settings.alerts:
        raise UsageError(
            "there are no rules in that file: it has no section alerts, or an empty one"
        )
    replay: _Replay | None = None
    skipped: Counter[str] = Counter()
    opener = Opener(skipped)
    for record in reader.records():
        if replay is None:
            replay = _Replay(settings, record)
        replay.pass_to(record.at_ns)
        if record.kind == Kind.GAP:
            replay.note_gap(record)
        elif record.kind == Kind.ENTRY and (opened := opener.open(record)) is not None:
            replay.fold(opened)
    if replay is None or not replay.done.frames:
        raise UsageError(f"{reader.path} has no frame that can be played")
    replay.done.skipped = skipped
    return replay.finish(reader)
