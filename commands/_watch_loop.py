"""The loop of `rnts watch`: what is told is shown, and so is whatever makes it incomplete."""

import time
from collections import Counter
from typing import TYPE_CHECKING

from rnts.commands._watch_lines import Show
from rnts.commands._watched import Watched, marked
from rnts.errors import ConnectError, RntsError, UsageError

if TYPE_CHECKING:
    from rnts.process import StopEvent
    from rnts.standing.watching import Watching

_POLL_S = 0.05
_START_S = 3.0  # until an aggregator must have answered
_EMPTY_S = 2.0  # what has no value by then may have none for long: windows begin empty


def run_watch(
    watching: "Watching",
    watched: dict[str, Watched],
    show: Show,
    stop: "StopEvent",
    duration_s: float | None,
) -> int:
    """Watch until stopped, or for so long from the first answer on; the exit code."""
    notices = _Notices(watching, watched, show)
    began_s = time.monotonic()
    deadline_s: float | None = None
    while not stop.is_set():
        now_s = time.monotonic()
        if deadline_s is None and watching.client.is_complete:
            deadline_s = float("inf") if duration_s is None else now_s + duration_s
        if deadline_s is None:
            _require_answer(watching, now_s - began_s)
        left_s = _POLL_S if deadline_s is None else min(_POLL_S, deadline_s - now_s)
        if left_s <= 0:
            break
        for update in watching.poll(max(1, round(left_s * 1000))):
            one = watched[update.key]
            show.news(one, one.view.apply(update))
        notices.look()
        show.draw(watching.is_live)
    return stop.exit_code


def _require_answer(watching: "Watching", waited_s: float) -> None:
    """Raise where no aggregator is there, or has a place for us."""
    if watching.client.refused:
        raise RntsError(watching.client.refused)
    if waited_s > _START_S and not watching.is_live:
        raise ConnectError(
            f"no aggregator answers standing queries at {watching.endpoint}; start it: `rnts up`"
        )


class _Notices:
    """What has changed about the watching itself, each told once."""

    def __init__(self, watching: "Watching", watched: dict[str, Watched], show: Show) -> None:
        self._watching, self._watched, self._show = watching, watched, show
        self._was_live = self._is_away = False
        self._merged: Counter[str] = Counter()
        self._omitted: dict[str, int] = {}
        self._wrong: set[str] = set()
        self._complete_s: float | None = None  # since when everything was told
        self._has_told_empty = False

    def look(self) -> None:
        """Tell what is new."""
        client = self._watching.client
        for key, faults in client.wrong.items():
            if key not in self._wrong:
                self._wrong.add(key)
                self._on_wrong(key, marked(self._watched[key].condition.text, faults))
        if self._wrong >= self._watched.keys():
            raise UsageError("the aggregator takes none of these expressions")
        self._look_at_connection()
        for key, one in self._watched.items():
            self._look_at_one(key, one)
        if self._complete_s is None and client.is_complete:
            self._complete_s = time.monotonic()
        if self._complete_s is not None and not self._has_told_empty:
            self._tell_what_is_empty(time.monotonic() - self._complete_s)

    def _tell_what_is_empty(self, waited_s: float) -> None:
        """Once, after a while: where nothing is shown, somebody may wonder whether it works."""
        if waited_s < _EMPTY_S:
            return
        self._has_told_empty = True
        for key, one in self._watched.items():
            if not one.view.entities and key not in self._wrong:
                what = "it is not true" if one.is_condition else "nothing is known"
                self._show.notice("empty", f"{what} of {one.nobody} so far", one)

    def _on_wrong(self, key: str, words: str) -> None:
        words = f"the aggregator does not take this:\n{words}"
        self._show.notice("wrong", words, self._watched[key])

    def _look_at_connection(self) -> None:
        """An aggregator that is back has told everything anew before that is said."""
        is_live = self._watching.is_live
        if self._was_live and not is_live:
            self._is_away = True
            words = "the aggregator is away: what was told may have changed since"
            self._show.notice("away", words)
        elif self._is_away and is_live and self._watching.client.is_complete:
            self._is_away = False
            self._show.notice("back", "the aggregator is back")
        self._was_live = is_live

    def _look_at_one(self, key: str, one: Watched) -> None:
        merged = self._watching.client.merged[key]
        if more := merged - self._merged[key]:
            self._merged[key] = merged
            words = f"{more:,} updates were merged, since this end was slow"
            self._show.notice("merged", words, one, more)
        if one.view.omitted != self._omitted.get(key, 0):
            self._omitted[key] = one.view.omitted
            words = f"{one.view.omitted:,} more are left out, see --limit"
            self._show.notice("omitted", words, one, one.view.omitted)
