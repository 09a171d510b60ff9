"""All of an alert process but its sockets and clocks: what is told comes in, actions begin."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rnts.alerts.actions import ActionPool
from rnts.alerts.canary_cage import CanaryCage
from rnts.alerts.control import answer
from rnts.alerts.desk import Desk
from rnts.alerts.feed import Feed
from rnts.alerts.life import Moment
from rnts.alerts.memory import Memory
from rnts.alerts.plan import Plan, make_plan
from rnts.alerts.reports import Reports
from rnts.alerts.rounds import LOOK_EVERY_NS
from rnts.alerts.rule import SECOND_NS
from rnts.alerts.source import Source
from rnts.alerts.table import AlertTable
from rnts.alerts.workshop import Workshop
from rnts.settings import Settings
from rnts.standing.query import About, Query

SILENCE_NS = 2 * SECOND_NS  # of an aggregator, after which it is said

log = logging.getLogger("rnts.alerts")


class AlertService:
    """One step after the other; `due_ns` says when the next one is due at the latest."""

    def __init__(
        self,
        settings: Settings,
        memory: Memory,
        workshop: Workshop,
        is_dry_run: bool = False,
        pool: ActionPool | None = None,
        cage: CanaryCage | None = None,
    ) -> None:
        """`pool` is told in place of one with the settings' actions."""
        self.plan = make_plan(settings)
        self._workshop = workshop
        self.pool = pool or ActionPool(workshop.make(settings), self.plan.routes, is_dry_run)
        plan = self.plan
        self.table = AlertTable(plan.rules, plan.receivers, plan.inhibitions, plan.flapping)
        self.feed_counts: Counter[str] = Counter()
        self.report_counts: Counter[str] = Counter()
        self._reports = Reports(self.table.lives, plan.reports, self.report_counts)
        self._feed = Feed(self.table.lives, self.feed_counts)
        self._desk = Desk(self.table, memory, self.pool)
        self._cage = cage or CanaryCage()
        self._cage.reload(settings)
        self._is_live, self._heard_ns = False, 0
        self._is_told_silent: bool | None = None  # nothing was said yet
        self._reloads = 0

    def begin(self, now_ns: int, wall_ns: int) -> None:
        """Go on where the memory ends."""
        self._heard_ns = now_ns
        self._desk.begin(now_ns, wall_ns)

    def step(
        self, source: Source, requests: Sequence[bytes], now_ns: int, wall_ns: int
    ) -> list[bytes]:
        """Take in what there is, and tell what is to be told; the answers to the requests.

        What is new is told before anything that takes longer is done.
        """
        if updates := self._cage.pick(source.exchange(now_ns)):
            self._feed.take(updates, now_ns)
            self._desk.tick(now_ns, wall_ns)
        self._cage.step(source, now_ns, wall_ns)
        self._note_life(source.is_live(now_ns), now_ns)
        is_repeated = self._is_live and self._feed.repeat(now_ns, source.alive_at_ns)
        at = Moment(now_ns, wall_ns)
        answers = [
            answer(self.table, self._reports, self.status, request, at) for request in requests
        ]
        if not updates or is_repeated or answers or self._desk.is_snapshot_due(now_ns):
            self._desk.tick(now_ns, wall_ns)  # and so what was answered is remembered
        return answers

    def _note_life(self, is_live: bool, now_ns: int) -> None:
        """Say that the aggregator is heard, or is not; the moment of a reload is no news."""
        self._is_live = is_live
        if is_live:
            self._heard_ns = now_ns
        if not self.plan.queries:
            return  # nobody is asked
        is_silent = now_ns - self._heard_ns >= SILENCE_NS
        if is_live and self._is_told_silent is not False:
            log.info("the aggregator tells how %d rules are", len(self.plan.rules))
            self._is_told_silent = False
        elif is_silent and not self._is_told_silent:
            log.warning("the aggregator is not heard: alerts are without data until it is")
            self._is_told_silent = True

    def due_ns(self, source: Source, now_ns: int) -> int:
        """When the next step is due, where nothing happens before."""
        is_busy = self.table.lives.by_key or self.table.outbox
        due = [now_ns + (LOOK_EVERY_NS if is_busy else SECOND_NS), source.due_ns(now_ns)]
        due.append(self._cage.due_ns(now_ns))
        feed_ns = self._feed.due_ns()
        if self._is_live and feed_ns is not None and is_busy:
            due.append(feed_ns)
        return min(due)

    def reload(self, settings: Settings, source: Source, now_ns: int) -> None:
        """Go over to other settings; raises an error and changes nothing where they cannot be."""
        plan = make_plan(settings)
        actions = self._workshop.make(settings)
        log.info("rules are read again: %s", _difference(self.plan, plan))
        self.plan, self._reloads = plan, self._reloads + 1
        self.pool.reload(actions, plan.routes)
        self.table.reload_telling(plan.receivers, plan.inhibitions, plan.flapping)
        self.table.reload(plan.rules)
        self._feed.reload(self.table.lives.rules)
        self._reports.reload(plan.reports)
        self._cage.reload(settings)
        source.replace(self.queries, now_ns)

    @property
    def queries(self) -> dict[str, Query]:
        """What is to be asked of the aggregator."""
        return {**self.plan.queries, **self._cage.queries}

    def about(self, keys: Iterable[str]) -> About:
        """Of which entities the aggregator has to say that they are false: those with alerts."""
        return self._feed.about(keys)

    def status(self) -> dict[str, Any]:
        """How the process itself is."""
        return {
            "pid": os.getpid(),
            "rules": len(self.plan.rules),
            "is_live": self._is_live,
            "is_dry_run": self.pool.is_dry_run,
            "reloads": self._reloads,
            "memory": self._desk.memory.condition,
            "actions_left_alone": self.pool.conditions(),
            "waiting": len(self.table.outbox),
            "reaction": self._cage.document(),
            "counts": {
                "alerts": dict(self.table.counts),
                "actions": dict(self.pool.counts),
                "control": dict(self._workshop.counts),
                "memory": dict(self._desk.memory.counts),
                "feed": dict(self.feed_counts),
                "reports": dict(self.report_counts),
            },
        }

    def summary(self) -> str:
        """How the process is, in one line."""
        heard = "hears" if self._is_live else "does not hear"
        rules, known, waiting = map(
            len, (self.plan.rules, self.table.lives.by_key, self.table.outbox)
        )
        return f"{heard} the aggregator; {rules} rules, {known} alerts, {waiting} on their way"

    def close(self, now_ns: int) -> None:
        """Let running actions end, then remember everything a last time."""
        self._cage.close(now_ns)
        self.pool.close()
        self._desk.close(now_ns)


def _difference(before: Plan, after: Plan) -> str:
    """How many rules are new, gone, or mean something else."""
    old = {rule.name: rule.digest for rule in before.rules}
    new = {rule.name: rule.digest for rule in after.rules}
    changed = sum(old[name] != digest for name, digest in new.items() if name in old)
    return (
        f"{len(new)} rules, {len(new.keys() - old.keys())} of them new, {changed} changed, "
        f"{len(old.keys() - new.keys())} removed"
    )
