"""The life of one alert: a state machine to which samples and times are handed.

    inactive ─► pending ─► firing ◄─► recovering ─► resolved
        ◄──────────┘

How long something has held is summed from sample to sample in event time. An unknown stops that
clock and does not set it back; what lies between two samples more than three intervals apart adds
nothing. A restart stops it too, so downtime is never counted.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from rnts.alerts.rule import ALERT, KEEP, OK, RECOVER, Labels, Rule, fingerprint
from rnts.reflex.change import Certainty

INACTIVE, PENDING, FIRING = "inactive", "pending", "firing"
RECOVERING, RESOLVED = "recovering", "resolved"
SAMPLES_MIN = 2  # that a condition with `for` has to hold in
NO_DATA_REASON, LEFT_REASON, RECOVERED_REASON = "no data", "left", "recovered"


class Key(NamedTuple):
    """Which alert: a rule has one for each set of labels."""

    rule: str
    labels: Labels


class Sample(NamedTuple):
    """What a rule was found to be for one set of labels; NaN is unknown.

    resolve: the truth of `resolve_when`; worst: (entity, value, share of the whole) each;
    note: what a stream processor says of it; certainty: of a value that is one statistic.
    """

    truth: float
    value: float
    event_time_ns: int
    resolve: float = math.nan
    worst: tuple[tuple[str, float, float], ...] = ()
    note: str = ""
    certainty: Certainty | None = None


class Moment(NamedTuple):
    """When a tick is: by a clock that never steps, and by that of people."""

    steady_ns: int
    wall_ns: int


class Told(NamedTuple):
    """What a receiver was told last of an alert, and of which episode."""

    kind: str
    episode: int
    at_ns: int
    times: int = 1
    is_due_again: bool = False  # a silence has ended


@dataclass
class Life:
    """One alert. Times are of the steady clock, unless their names say otherwise."""

    rule: str
    rule_digest: str
    labels: Labels
    state: str = INACTIVE
    episode: int = 0  # only grows, also where all memory was lost: it is a time of the wall
    held_ns: int = 0  # how long the condition (pending) or the recovery (recovering) has held
    samples: int = 0
    event_ns: int | None = None  # of the sample from which on time counts as held
    newest: tuple[float, int] | None = None  # truth and event time of the newest sample
    heard_ns: int = 0
    quiet_ns: int = 0  # until when silence has counted as recovery
    since_event_ns: int = 0
    since_wall_ns: int = 0
    changed_ns: int = 0  # when what is to be told changed last
    value: float = math.nan
    certainty: Certainty | None = None
    worst: tuple[tuple[str, float, float], ...] = ()
    note: str = ""
    reason: str = ""
    is_without_data: bool = False
    is_gone: bool = False  # its entity has left
    is_flapping: bool = False
    flips: tuple[int, ...] = ()  # when it fired and resolved
    told: Mapping[str, Told] = field(default_factory=dict)  # replaced, since alerts share it
    noted: tuple[object, ...] | None = field(default=None, compare=False)  # as of the journal

    @property
    def is_firing(self) -> bool:
        """Whether people should know of it."""
        return self.state in (FIRING, RECOVERING)

    @property
    def is_active(self) -> bool:
        """Whether it takes one of its rule's places."""
        return self.state in (PENDING, FIRING, RECOVERING)

    @cached_property
    def fingerprint(self) -> str:
        """What it is known by outside."""
        return fingerprint(self.rule, self.labels)

    @property
    def key(self) -> str:
        """The idempotency key of this episode."""
        return f"{self.fingerprint}-{self.episode}"

    def observe(self, rule: Rule, sample: Sample, at: Moment, counts: Counter[str]) -> None:
        """Take in one sample; one that was heard before is no news."""
        if math.isnan(sample.truth):
            self.event_ns = None
            counts["unknown"] += 1
            return
        if self.newest == (bool(sample.truth), sample.event_time_ns):
            counts["duplicates"] += 1
            return
        passed_ns = self._passed(rule, sample.event_time_ns, at, counts)
        self.newest = (bool(sample.truth), sample.event_time_ns)
        self.event_ns, self.heard_ns = sample.event_time_ns, at.steady_ns
        self.is_without_data = self.is_gone = False
        if sample.truth:
            self.value, self.worst, self.note = sample.value, sample.worst, sample.note
            self.certainty = sample.certainty
            self._on_true(rule, passed_ns, at)
        else:
            has_recovered = sample.resolve if rule.has_resolve_when else 1.0
            self._on_false(rule, has_recovered, passed_ns, at)

    def _passed(self, rule: Rule, event_ns: int, at: Moment, counts: Counter[str]) -> int:
        """How much time this sample adds to what has held."""
        if self.event_ns is None:
            return 0
        passed_ns = event_ns - self.event_ns
        if passed_ns < 0:  # its clock was set back, which must not silence the alert
            counts["clock_set_back"] += 1
            return min(at.steady_ns - self.heard_ns, rule.interval_ns)
        if passed_ns > rule.gap_ns:
            counts["gaps"] += 1
            return 0
        return passed_ns

    def _on_true(self, rule: Rule, passed_ns: int, at: Moment) -> None:
        if self.state in (INACTIVE, RESOLVED):
            self._begin(at)
        elif self.state == PENDING:
            self.held_ns += passed_ns
            self.samples += 1
        elif self.state == RECOVERING:
            self.state, self.held_ns = FIRING, 0
        self.reason = ""
        enough = self.held_ns >= rule.for_ns and self.samples >= SAMPLES_MIN
        if self.state == PENDING and (rule.for_ns == 0 or enough):
            self._fire(at)

    def _begin(self, at: Moment) -> None:
        """Pending from now on, in a new episode."""
        self.episode = max(self.episode + 1, at.wall_ns)
        self.since_event_ns, self.since_wall_ns = self.event_ns or at.wall_ns, at.wall_ns
        self.state, self.held_ns, self.samples = PENDING, 0, 1

    def _fire(self, at: Moment) -> None:
        self.state, self.held_ns = FIRING, 0
        self.changed_ns = at.steady_ns
        self.flips = (*self.flips, at.steady_ns)

    def _on_false(
        self,
        rule: Rule,
        has_recovered: float,
        passed_ns: int,
        at: Moment,
        reason: str = RECOVERED_REASON,
    ) -> None:
        if self.state == PENDING:
            self.state, self.held_ns = INACTIVE, 0
            return
        if not self.is_firing:
            return
        if self.state == FIRING:
            self.state, self.held_ns, passed_ns = RECOVERING, 0, 0
        if has_recovered == 1:
            self.held_ns += passed_ns
            if self.held_ns >= rule.keep_firing_ns:
                self.end(reason, at)
        else:
            self.event_ns = None
            if not math.isnan(has_recovered):
                self.held_ns = 0

    def end(self, reason: str, at: Moment) -> None:
        """It is over: resolved where it fired, forgotten where it had not."""
        if self.is_firing:
            self.state, self.reason = RESOLVED, reason
            self.changed_ns = at.steady_ns
            self.flips = (*self.flips, at.steady_ns)
        elif self.state == PENDING:
            self.state = INACTIVE
        self.held_ns, self.event_ns, self.newest = 0, None, None
        if reason == LEFT_REASON:
            self.is_gone, self.is_without_data = True, False

    def look(self, rule: Rule, at: Moment) -> None:
        """Do what the rule says where nothing was heard for three intervals."""
        silent_since_ns = self.heard_ns + rule.gap_ns
        if at.steady_ns < silent_since_ns:
            return
        if not self.is_without_data:
            self.is_without_data, self.event_ns = True, None
            self.quiet_ns = silent_since_ns
        if rule.no_data == ALERT and self.state != FIRING:
            if not self.is_active:
                self._begin(at)
            was_firing, self.reason = self.is_firing, NO_DATA_REASON
            if was_firing:
                self.state, self.held_ns = FIRING, 0
            else:
                self._fire(at)
        elif rule.no_data in (OK, RECOVER):
            passed_ns, self.quiet_ns = at.steady_ns - self.quiet_ns, at.steady_ns
            reason = NO_DATA_REASON if rule.no_data == OK else RECOVERED_REASON
            self._on_false(rule, 1.0, passed_ns, at, reason)
        elif rule.no_data not in (KEEP, ALERT):
            self.end(NO_DATA_REASON, at)

    def copy(self, labels: Labels, value: float, certainty: Certainty | None = None) -> "Life":
        """One that is the same but for these; `dataclasses.replace` takes 5 us more."""
        life = object.__new__(Life)
        vars(self).pop("fingerprint", None)  # which may be asked for again
        life.__dict__ = {**vars(self), "labels": labels, "value": value, "certainty": certainty}
        return life

    def tell(self, receiver: str, told: Told | None) -> None:
        """Note what a receiver was told of it; None: there is no more to be told of an episode."""
        others = {name: each for name, each in self.told.items() if name != receiver}
        self.told = others if told is None else {**others, receiver: told}

    def signature(self) -> tuple[object, ...]:
        """What is different after each step that must not be forgotten; ages are not in it."""
        told = [(name, each.kind, each.episode, each.times) for name, each in self.told.items()]
        steps = self.state, self.episode, self.reason, self.rule_digest, self.flips
        return (*steps, self.is_flapping, self.is_without_data, self.is_gone, tuple(told))
