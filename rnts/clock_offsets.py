"""How far the clocks of agents are off, judged by when their heartbeats say that they were sent.

A message takes time, so what is received less what was sent is the offset and the way together. The
least of many is the offset and the shortest way, as in NTP's one-way minimum: on a network that is
milliseconds at most, where an offset that matters is a quarter of a second. A process that starts
on a busy machine lets its first messages wait for longer: one or two are no evidence of that.
"""

from collections import Counter

OFFSET_NS_MAX = 250_000_000  # a clock that is further off is flagged
_MESSAGES_MIN = 3  # before waiting is no explanation any more
_SPAN_NS = 30_000_000_000  # the least is that of this span of time and the one before


class ClockOffsets:
    """By agent; positive where the agent's clock is behind this one."""

    def __init__(self) -> None:
        self._least: dict[int, tuple[int, int, int | None]] = {}  # since, now, of the span before
        self._messages: Counter[int] = Counter()

    def note(self, agent_id: int, sent_ns: int, received_ns: int, steady_ns: int) -> None:
        """A message that was not kept waiting says when it was sent."""
        offset_ns = received_ns - sent_ns
        since_ns, least_ns, before_ns = self._least.get(agent_id, (steady_ns, offset_ns, None))
        if steady_ns - since_ns >= _SPAN_NS:
            since_ns, least_ns, before_ns = steady_ns, offset_ns, least_ns
        self._least[agent_id] = since_ns, min(least_ns, offset_ns), before_ns
        self._messages[agent_id] += 1

    def of(self, agent_id: int) -> int | None:
        """The estimate in nanoseconds; None before there is one."""
        if agent_id not in self._least:
            return None
        _, least_ns, before_ns = self._least[agent_id]
        offset_ns = least_ns if before_ns is None else min(least_ns, before_ns)
        may_have_waited = offset_ns > OFFSET_NS_MAX and self._messages[agent_id] < _MESSAGES_MIN
        return None if may_have_waited else offset_ns

    def forget(self, agent_id: int) -> None:
        """The agent has been away for good."""
        self._least.pop(agent_id, None)
        self._messages.pop(agent_id, None)


def clock_notice(offset_ns: int | None) -> str | None:
    """What to say of an offset that matters; None of any other."""
    if offset_ns is None or abs(offset_ns) <= OFFSET_NS_MAX:
        return None
    side = "behind" if offset_ns > 0 else "ahead of"
    return (
        f"its clock is {abs(offset_ns) / 1e6:.0f} ms {side} the aggregator's: its records are "
        "counted in the wrong windows, or too late; set both by NTP"
    )
