"""How an agent uses its spools: those of former lives are found, its own is begun."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnts.lives import Former, former_life
from rnts.sender import Limits
from rnts.spool import Spool
from rnts.spool_files import Files
from rnts.spool_folder import find_lives, life_name
from rnts.spool_parts import Budget, SpoolLimits, State


@dataclass(frozen=True)
class SpoolOptions:
    """Where the spools of an agent lie, and what bounds them, all lives together."""

    folder: Path
    limits: SpoolLimits


class Spooling:
    """The spools of one agent; without options there are none."""

    def __init__(
        self,
        agent_id: int,
        options: SpoolOptions | None,
        limits: Limits,
        jitter: Callable[[], float],
    ) -> None:
        self.former: list[Former] = []
        self.refused: Counter[str] = Counter()  # lives that could not be read, by reason
        self.own: Spool | None = None
        self._agent_id, self._options, self._budget = agent_id, options, Budget()
        self.holes = self.unknown = 0  # entries of former lives whose payload, or all, is lost
        if options is None:
            return
        for files, life in find_lives(options.folder, self.refused):
            former = former_life(life, files, limits, options.limits, self._budget, jitter)
            self.former.append(former)
            self.holes += life.holes
            self.unknown += life.unknown

    def next_incarnation(self, now_ns: int) -> int:
        """The incarnation of a life that begins now: later than all that are known."""
        return max(now_ns, *(f.sender.incarnation + 1 for f in self.former), 0)

    def begin(self, incarnation: int, describe: Callable[[], State]) -> Spool | None:
        """The spool of the life that begins; nothing is written before memory is full."""
        if self._options is None:
            return None
        files = Files(self._options.folder / life_name(self._agent_id, incarnation))
        self.own = Spool(files, self._options.limits, describe, self._budget)
        return self.own

    def mark(self) -> None:
        """More is committed than before."""
        if self.own is not None:
            self.own.mark()

    @property
    def has_all(self) -> bool:
        """Whether a successor will find what is not delivered."""
        return self.own is not None and bool(self.own.segments) and not self.own.condition

    def end(self) -> None:
        """Let go of all files; what holds nothing is removed."""
        for spool in (*(former.spool for former in self.former), self.own):
            if spool is not None:
                spool.end()

    def status(self) -> dict[str, Any] | None:
        """What the agent says of its spools; None without."""
        if self.own is None:
            return None
        failures = sum((former.spool.failures for former in self.former), self.own.failures.copy())
        backlogs = [former.sender.backlog() for former in self.former]
        return {
            "bytes": self._budget.used,
            "bytes_max": self.own.limits.bytes_max,
            "condition": self.own.condition,
            "failures": dict(failures),
            "former_lives": len(self.former),
            "former_records": sum(records for _, records in backlogs),
            "lives_refused": dict(self.refused),
            "entries_lost": self.holes,
            "numbers_unknown": self.unknown,
        }
