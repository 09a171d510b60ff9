"""What two sets of rules made of one recording: which alerts fired under one only, or later."""

from typing import Any, NamedTuple

from rnts.alerts.rule import Labels
from rnts.rehearsal.replaying import Replayed


class Divergence(NamedTuple):
    """An alert that fired under one set only, or at another time; times are since the epoch."""

    rule: str
    labels: Labels
    here_ns: int | None
    other_ns: int | None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {**self._asdict(), "labels": dict(self.labels)}


def diverge(here: Replayed, other: Replayed) -> list[Divergence]:
    """All differences by time; the first firing of an alert is held against the first, and on."""
    ours, theirs = _fired(here), _fired(other)
    found = []
    for key in {**ours, **theirs}:
        left, right = ours.get(key, []), theirs.get(key, [])
        for number in range(max(len(left), len(right))):
            here_ns = left[number] if number < len(left) else None
            other_ns = right[number] if number < len(right) else None
            if here_ns != other_ns:
                found.append(Divergence(*key, here_ns, other_ns))
    return sorted(found, key=lambda each: (each.here_ns or each.other_ns or 0, each[:2]))


def _fired(replayed: Replayed) -> dict[tuple[str, Labels], list[int]]:
    """When each alert began to fire, of all its episodes."""
    fired: dict[tuple[str, Labels], list[int]] = {}
    for episode in replayed.episodes:
        if (at_ns := episode.fired_ns) is not None:
            fired.setdefault((episode.rule, episode.labels), []).append(at_ns)
    return fired
