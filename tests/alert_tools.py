"""A desk of alerts with a clock of its own, for tests: what is told is written down."""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rnts.alerts.desk import Desk
from rnts.alerts.flapping import Flapping
from rnts.alerts.life import Life
from rnts.alerts.memory import Memory
from rnts.alerts.notification import Notification
from rnts.alerts.rule import Receiver, Rule
from rnts.alerts.suppression import Inhibition
from rnts.alerts.table import AlertTable

SECOND = 1_000_000_000
EPOCH = 1_700_000_000 * SECOND  # the wall's time when a test's steady clock shows 0
NAN = math.nan
RULE = Rule("hot", "load > 1", "critical", ("page",), bound="1", window_ns=SECOND)
WARNING = replace(RULE, severity="warning")
PAGE = Receiver("page", burst=1_000)
NEVER_FLAPS = Flapping(begins_at=1_000)


class Delivered:
    """Delivers at once where `is_reachable`; else keeps what it got."""

    def __init__(self) -> None:
        self.is_reachable = True
        self.got: list[Notification] = []
        self._done: list[Notification] = []

    def submit(self, notification: Notification) -> None:
        """Write it down."""
        self.got.append(notification)
        if self.is_reachable:
            self._done.append(notification)

    def take_done(self) -> list[Notification]:
        """What was written down since the last call."""
        done, self._done = self._done, []
        return done


class Bench:
    """Rules in a folder; a `step` is a second, in which each entity has the truth that is given."""

    def __init__(
        self,
        folder: Path,
        *rules: Rule,
        receivers: Iterable[Receiver] = (PAGE,),
        inhibitions: Iterable[Inhibition] = (),
        flapping: Flapping = NEVER_FLAPS,
        now_ns: int = SECOND,
    ) -> None:
        self.rules, self.receivers = rules or (RULE,), tuple(receivers)
        self.inhibitions, self.flapping, self.folder = tuple(inhibitions), flapping, folder
        self.now_ns = now_ns
        self.skew_ns = 0  # by which the entities' clock is wrong
        self.delivered = Delivered()
        self.start()

    def start(self, *rules: Rule) -> None:
        """A process that has the files and nothing else; with other rules if any are given."""
        self.rules = rules or self.rules
        self.table = AlertTable(self.rules, self.receivers, self.inhibitions, self.flapping)
        self.memory = Memory(self.folder)
        self.desk = Desk(self.table, self.memory, self.delivered)
        self.desk.begin(self.now_ns, EPOCH + self.now_ns)

    def restart(self, *rules: Rule, downtime_ns: int = 0) -> None:
        """Kill the process as SIGKILL would, and start another one later."""
        self.memory.close()
        self.now_ns += downtime_ns
        self.start(*rules)

    def step(
        self,
        truths: dict[str, float] | None = None,
        rule: str = "",
        resolve: float = NAN,
        seconds: float = 1.0,
    ) -> list[str]:
        """Go on in time, hand in truths by entity, and return what is told: kind and count."""
        self.now_ns += round(seconds * SECOND)
        for entity, truth in (truths or {}).items():
            self.observe(rule or self.rules[0].name, {"neuron": entity}, truth, resolve)
        return self.tick()

    def observe(
        self, rule: str, labels: dict[str, str], truth: float, resolve: float = NAN
    ) -> None:
        """Hand in one truth; the value of what is true is 2."""
        event_ns = EPOCH + self.now_ns + self.skew_ns
        self.table.observe(rule, labels, truth, 2.0 * truth, event_ns, resolve)

    def tick(self) -> list[str]:
        """One tick at this moment."""
        told = self.desk.tick(self.now_ns, EPOCH + self.now_ns)
        return [f"{each.rule} {each.kind} {each.count}" for each in told]

    def steps(self, *truths: float, entity: str = "n1") -> list[str]:
        """One entity's truths, a second each; all that was told, joined."""
        return [told for truth in truths for told in self.step({entity: truth})]

    def life(self, entity: str = "n1", rule: str = "") -> Life:
        """The life of an entity's alert."""
        return self.lives[(rule or self.rules[0].name, entity)]

    @property
    def lives(self) -> dict[tuple[str, str], Life]:
        """All lives, by rule and entity."""
        return {
            (key.rule, dict(key.labels).get("neuron", "")): life
            for key, life in self.table.lives.by_key.items()
        }

    def keys(self) -> list[str]:
        """The idempotency keys of all that was handed over."""
        return [each.key for each in self.delivered.got]


def told_by_a_bench(folder: Path) -> Notification:
    """What a bench tells when a critical rule with a cause fires."""
    bench = Bench(folder, replace(RULE, causes=("a leak",)))
    bench.step({"n1": 1})
    bench.memory.close()
    return bench.delivered.got[0]
