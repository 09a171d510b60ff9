"""The aggregator's machines for rules and an alert process, together, in time that is handed in."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from rnts.aggregator_process import make_windows
from rnts.alerts.service import AlertService
from rnts.alerts.standing import StandingSource
from rnts.delivery import Message
from rnts.errors import UsageError
from rnts.records import Records
from rnts.reflex.engine import Engine
from rnts.rehearsal.notebook import IdleWorkshop, Kept, Notebook
from rnts.rehearsal.road import Road
from rnts.rules.condition import parse_condition
from rnts.settings import Settings, with_alerts_of
from rnts.standing.standing import Standing

SECOND_NS = 1_000_000_000
# Where nothing arrives an aggregator evaluates as often as that. Here what silence brings is found
# within a tenth of that silence, a second at the most: a test of ten minutes has few moments then.
TICK_NS, TICK_NS_MAX, SILENCE_PARTS = 50_000_000, SECOND_NS, 10
HEARTBEAT_NS = 10_000_000  # so that alerts know up to the moment how things are
STEADY_NS = 3_600 * SECOND_NS  # at the beginning; every clock has run for a while

Closing = Callable[[int, int], tuple[int, bool]]  # as `Watermarks.closing`


class Stage:
    """Fold records, let time pass; what is told stands in `notebook`.

    now_ns is the time since the epoch as the aggregator has it, steady_ns never goes back. Alerts
    are looked at from `begin` on, which comes after the first records: an aggregator is there
    before its rules, so that a window that is read is not empty for want of time.
    """

    def __init__(
        self,
        settings: Settings,
        now_ns: int,
        closing: Closing,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.now_ns, self.steady_ns = now_ns, STEADY_NS
        self.notebook = Notebook()
        self._settings, self._closing = settings, closing
        self._memory = Kept(on_change)
        self.service = self._make_service()
        self._source: StandingSource | None = None
        self._folded_ns = self.steady_ns
        self._service_due_ns, self._is_heard = 0, False
        self._lives = 0  # of the aggregator
        self._start_aggregator()
        self._keep_windows()

    def _make_service(self) -> AlertService:
        return AlertService(self._settings, self._memory, IdleWorkshop(), pool=self.notebook)

    def _start_aggregator(self) -> None:
        """Have one that knows nobody."""
        self.windows = make_windows(self._settings)
        # What looking at neurons costs this machine must not decide when it is done.
        patience_ns = self._settings.aggregator.retire_after_s * SECOND_NS
        self.windows.reflex = Engine(
            self.windows.population, clock_ns=lambda: 0, patience_ns=patience_ns
        )
        self._lives += 1
        life = self.now_ns + self._lives
        self._standing = Standing(life, self.windows.reflex, self._tell, HEARTBEAT_NS)
        self.windows.reflex.arrive(self.now_ns, self.steady_ns)

    def _keep_windows(self) -> None:
        """Have the windows that will be read filled from now on."""
        for key, query in self.service.plan.queries.items():
            try:
                self.windows.reflex.register(("kept", key), parse_condition(query.expression))
            except ValueError as error:
                raise UsageError(f"an aggregator would refuse {key}: {error}") from error

    def begin(self) -> None:
        """Have the rules asked, of what was folded so far and of all that comes."""
        self._start_service()
        self.look()
        for key in self.service.plan.queries:
            self.windows.reflex.remove(("kept", key))

    def _start_service(self) -> None:
        queries, about = self.service.plan.queries, self.service.about
        self.service.begin(self.steady_ns, self.now_ns)
        self._source = StandingSource(partial(Road, self._hear), queries, about, self.steady_ns)
        self._service_due_ns = 0

    def restart_aggregator(self) -> None:
        """End it, and start another one at once; alerts find out by themselves."""
        self._start_aggregator()

    def restart_alerts(self) -> None:
        """End the alert process and start it at once, with what it remembers."""
        self._begun.close()
        self.service.close(self.steady_ns)
        self.service = self._make_service()
        self._start_service()

    def reload(self, settings: Settings) -> None:
        """Have the alert process go over to other rules; raises an error where it does not."""
        self._settings = with_alerts_of(self._settings, settings)
        self.service.reload(self._settings, self._begun, self.steady_ns)
        self._service_due_ns = 0

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the alert process answers to a person."""
        asked = [json.dumps(request).encode()]
        (raw,) = self.service.step(self._begun, asked, self.steady_ns, self.now_ns)
        answer: dict[str, Any] = json.loads(raw)
        return answer

    @property
    def _begun(self) -> StandingSource:
        assert self._source is not None, "begin comes first"
        return self._source

    def _hear(self, road: Road, message: Message, payload: bytes) -> None:
        self._standing.on_message(road, message, payload, self.steady_ns)

    def _tell(self, road: Road, parts: list[bytes]) -> None:
        road.deliver(parts)
        self._is_heard = True

    def fold(self, records: Records) -> int:
        """Fold a batch that arrives now; `look` finds what it changes. The newest window, or -1."""
        self.windows.reflex.arrive(self.now_ns, self.steady_ns)
        self._folded_ns = self.steady_ns
        return self.windows.fold(records, self.now_ns).window_last

    def look(self) -> None:
        """Evaluate, tell the alerts, and see what they do, until nobody has more to say.

        Alerts are woken by what they are told, and when they say that something is due.
        """
        source = self._begun
        while True:
            self._standing.step(self.now_ns, self.steady_ns)
            if self._is_heard or self.steady_ns >= self._service_due_ns:
                self._is_heard = False
                self.service.step(source, [], self.steady_ns, self.now_ns)
                self._service_due_ns = self.service.due_ns(source, self.steady_ns)
            if not self._standing.is_busy:
                break
        self.windows.advance(*self._closing(self.now_ns, self.steady_ns))

    def pass_to(self, now_ns: int) -> None:
        """Let time pass up to a moment, without evaluating at its end.

        A clock of the wall that goes back is followed, and no time passes. Before `begin` there is
        nobody who would look.
        """
        if self._source is None:
            self.steady_ns += max(0, now_ns - self.now_ns)
            self.now_ns = now_ns
        while (left_ns := now_ns - self.now_ns) > 0:
            silence_ns = self.steady_ns - self._folded_ns
            tick_ns = min(max(silence_ns // SILENCE_PARTS, TICK_NS), TICK_NS_MAX)
            step_ns = min(tick_ns, left_ns)
            self.now_ns += step_ns
            self.steady_ns += step_ns
            if step_ns < left_ns:
                self.look()
        self.now_ns = now_ns

    def counts(self) -> dict[str, Any]:
        """What the alert process counted on its way."""
        counts = {**self.service.table.counts, **self.service.feed_counts}
        return {name: count for name, count in sorted(counts.items()) if count}
