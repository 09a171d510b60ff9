"""Where the canary of an alert process is kept: there is one, if the settings want one."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnts.alerts.canary import QUERIES, Canary
from rnts.alerts.canary_lane import CanaryLane
from rnts.alerts.control import place_of
from rnts.alerts.rule import SECOND_NS
from rnts.alerts.source import Source
from rnts.durations import parse_duration_ns
from rnts.reflex.change import Update
from rnts.runtime import runtime_folder
from rnts.settings import Settings
from rnts.standing.query import Query

log = logging.getLogger("rnts.alerts")


class CanaryCage:
    """Asks and acts for the canary where there is one; `folder` is the memory of the process.

    Without a folder there is never one: a dry run measures nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._canary: Canary | None = None
        self._now_ns = self._wall_ns = 0

    def reload(self, settings: Settings) -> None:
        """Have one as these settings want it; what one has measured stays."""
        said = settings.alerting.canary
        interval_ns = parse_duration_ns(said.interval)
        if self._folder is None or not said.enabled:
            self.close(self._now_ns)
        elif self._canary is not None:
            self._canary.interval_ns = interval_ns
        else:
            place = Path(runtime_folder(), f"canary-{place_of(self._folder)}")
            lane = CanaryLane()
            try:
                self._canary = Canary(lane, place, interval_ns)
            except OSError as error:
                lane.close()
                log.warning("reactions are not measured: %s: %s", place, error.strerror)

    @property
    def queries(self) -> Mapping[str, Query]:
        """What is to be asked for it."""
        return {} if self._canary is None else QUERIES

    def pick(self, updates: list[Update]) -> list[Update]:
        """Take out what is for the canary."""
        return updates if self._canary is None else self._canary.pick(updates)

    def step(self, source: Source, now_ns: int, wall_ns: int) -> None:
        """Let the canary act upon it, and do what is due."""
        self._now_ns, self._wall_ns = now_ns, wall_ns
        if self._canary is not None:
            is_heard = source.is_live(now_ns)
            self._canary.step(now_ns, wall_ns, source.alive_at_ns if is_heard else None)

    def due_ns(self, now_ns: int) -> int:
        """When the next step is due at the latest."""
        return now_ns + SECOND_NS if self._canary is None else self._canary.due_ns(now_ns)

    def document(self) -> dict[str, Any] | None:
        """What was measured, as of the last step; None where nothing is."""
        canary = self._canary
        return None if canary is None else canary.document(self._now_ns, self._wall_ns)

    def close(self, now_ns: int) -> None:
        """Let go of the canary."""
        if self._canary is not None:
            self._canary.close(now_ns)
            self._canary = None
