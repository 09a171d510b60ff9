"""A bench of alerts whose truths come from updates, as an aggregator tells them."""

from pathlib import Path
from typing import Any

from alert_source import update
from alert_tools import EPOCH, SECOND, Bench

from rnts.alerts.feed import Feed
from rnts.alerts.rule import Rule
from rnts.reflex.change import Update

FIRES, RESOLVES = "hot firing 1", "hot resolved 1"
ENTITY = "a/n1"


class Fed:
    """A bench whose truths come from updates; a `step` is a second of an aggregator that lives."""

    def __init__(self, folder: Path, *rules: Rule) -> None:
        self.bench = Bench(folder, *rules)
        self.feed = Feed(self.bench.table.lives, self.bench.table.counts)

    def tell(self, truths: dict[str, float] | None = None, rule: str = "hot", **more: Any) -> None:
        """Tell the truths of entities at this moment."""
        self.take(update(rule, truths or {}, EPOCH + self.bench.now_ns, **more))

    def take(self, *updates: Update) -> None:
        """Hand in updates."""
        self.feed.take(updates, self.bench.now_ns)

    def step(self, seconds: float = 1.0, is_live: bool = True) -> list[str]:
        """Go on in time; what is told."""
        self.bench.now_ns += round(seconds * SECOND)
        if is_live:
            self.feed.repeat(self.bench.now_ns, EPOCH + self.bench.now_ns)
        return self.bench.tick()

    def steps(self, count: int, is_live: bool = True) -> list[str]:
        """So many seconds; all that is told."""
        return [told for _ in range(count) for told in self.step(is_live=is_live)]

    def restart(self) -> None:
        """Another process, which has the files."""
        self.bench.restart()
        self.feed = Feed(self.bench.table.lives, self.bench.table.counts)

    @property
    def state(self) -> str:
        """The state of the entity's alert."""
        life = self.bench.lives.get(("hot", ENTITY))
        return life.state if life else "none"
