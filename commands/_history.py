"""The last minute of a screen, second by second: what grows, what falls, what is lost now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rnts.commands._document import Document, losses, number
from rnts.commands._format import sparkline

HISTORY_S = 60
FRESH_S = 10  # a loss younger than this counts as going on
_SPANS_S = (1, 2, 3, 5, 10)  # seconds that one bar may stand for


@dataclass(frozen=True)
class _Second:
    """What was known at the end of one second."""

    rate: float | None
    lost: Mapping[str, int]
    known: float
    active: float


class History:
    """Remembers at most `HISTORY_S` seconds of successive documents of one aggregator."""

    def __init__(self) -> None:
        self._seconds: dict[int, _Second] = {}
        self._now_s = 0
        self._since_s = 0  # counts of an earlier aggregator say nothing about this one's
        self._started_ns: float | None = None

    def add(self, document: Document) -> None:
        """Keep what the document says about its second; a clock that went back starts anew."""
        time_ns = number(document, "time_ns")
        if time_ns is None:
            return
        now_s = int(time_ns // 1_000_000_000)
        if now_s < self._now_s:
            self._seconds.clear()
        started_ns = number(document, "aggregator", "started_ns")
        if started_ns != self._started_ns:
            self._started_ns, self._since_s = started_ns, now_s
        self._now_s = now_s
        self._seconds[now_s] = _Second(
            number(document, "records_per_second"),
            losses(document),
            number(document, "neurons", "known") or 0,
            number(document, "neurons", "active") or 0,
        )
        for second in [s for s in self._seconds if s <= now_s - HISTORY_S]:
            del self._seconds[second]

    def fresh_losses(self) -> dict[str, int] | None:
        """Records lost within the last `FRESH_S` seconds, by reason; None until two are known."""
        comparable = [s for s in self._seconds if s >= self._since_s]
        if len(comparable) < 2:
            return None
        before = [s for s in comparable if s <= self._now_s - FRESH_S]
        base = self._seconds[max(before) if before else min(comparable)].lost
        now = self._seconds[self._now_s].lost
        grown = {reason: n - base.get(reason, 0) for reason, n in now.items()}
        return {reason: n for reason, n in grown.items() if n > 0}

    def gone(self) -> int:
        """By how many the known neurons have become fewer within the minute."""
        return self._fall(lambda second: second.known)

    def silenced(self) -> int:
        """How many neurons were active within the minute, are not any more, and are not gone."""
        return max(0, self._fall(lambda second: second.active) - self.gone())

    def _fall(self, value: Callable[[_Second], float]) -> int:
        """How far a value is below its highest of the minute."""
        values = [value(second) for s, second in self._seconds.items() if s >= self._since_s]
        return round(max(values) - value(self._seconds[self._now_s])) if values else 0

    def top(self) -> float | None:
        """The highest rate of the last minute."""
        return max((s.rate for s in self._seconds.values() if s.rate is not None), default=None)

    def bars(self, room: int) -> str:
        """The last minute in at most `room` cells, the present at the right; gaps stay blank."""
        span_s = next((span for span in _SPANS_S if HISTORY_S // span <= room), None)
        if span_s is None or not self._seconds:
            return ""
        last = self._now_s // span_s  # bars begin at whole spans, so that they keep their heights
        bars = range(last - HISTORY_S // span_s + 1, last + 1)
        return sparkline([self._mean(bar * span_s, span_s) for bar in bars])

    def _mean(self, start_s: int, span_s: int) -> float | None:
        """The mean rate of the seconds that were seen from `start_s` on."""
        seen = [self._seconds[s] for s in range(start_s, start_s + span_s) if s in self._seconds]
        rates = [second.rate for second in seen if second.rate is not None]
        return sum(rates) / len(rates) if rates else None
