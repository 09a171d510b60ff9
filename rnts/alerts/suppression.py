"""What keeps an alert from being told: silences of people, and alerts that explain others."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from rnts.alerts.rule import Labels

SILENCES_MAX = 1_000
RULE_LABEL, SEVERITY_LABEL = "rule", "severity"
Matchers = tuple[tuple[str, str], ...]  # label and value, all of which have to be equal


def matches(matchers: Matchers, labels: dict[str, str]) -> bool:
    """Whether all matchers hold; `rule` and `severity` are labels here."""
    return all(labels.get(name) == value for name, value in matchers)


def make_matchable(rule: str, severity: str, labels: Labels) -> dict[str, str]:
    """The labels of an alert with those that matchers may also name."""
    return {**dict(labels), RULE_LABEL: rule, SEVERITY_LABEL: severity}


@dataclass(frozen=True)
class Silence:
    """Somebody's word that alerts are known; it always ends, and says who gave it."""

    id: str
    matchers: Matchers
    author: str
    expires_wall_ns: int
    comment: str = ""
    starts_wall_ns: int = 0

    def __post_init__(self) -> None:
        if not self.author or not self.matchers:
            raise ValueError("a silence needs an author and at least one matcher")
        if self.expires_wall_ns <= self.starts_wall_ns:
            raise ValueError("a silence has to end after it begins")


class Silences:
    """Those that are in force or will be; by the clock of people, since people set them."""

    def __init__(self) -> None:
        self.by_id: dict[str, Silence] = {}

    def add(self, silence: Silence) -> bool:
        """Take it in; False where there are too many."""
        if silence.id not in self.by_id and len(self.by_id) >= SILENCES_MAX:
            return False
        self.by_id[silence.id] = silence
        return True

    def end(self, silence_id: str, wall_ns: int) -> bool:
        """Have one end at a moment; False where there is none."""
        silence = self.by_id.get(silence_id)
        if silence is not None:
            starts_ns = min(silence.starts_wall_ns, wall_ns - 1)
            self.by_id[silence_id] = replace(
                silence, starts_wall_ns=starts_ns, expires_wall_ns=wall_ns
            )
        return silence is not None

    def expire(self, wall_ns: int) -> list[Silence]:
        """Take away and return those that have ended."""
        ended = [each for each in self.by_id.values() if each.expires_wall_ns <= wall_ns]
        for silence in ended:
            del self.by_id[silence.id]
        return ended

    def covers(self, labels: dict[str, str], wall_ns: int) -> bool:
        """Whether an alert is silenced now."""
        return any(
            each.starts_wall_ns <= wall_ns < each.expires_wall_ns and matches(each.matchers, labels)
            for each in self.by_id.values()
        )

    def document(self) -> list[dict[str, Any]]:
        """All of them, as JSON keeps them."""
        return [asdict(silence) for silence in self.by_id.values()]

    def restore(self, documents: Iterable[dict[str, Any]]) -> None:
        """Undo `document`."""
        for document in documents:
            matchers = tuple((str(name), str(value)) for name, value in document["matchers"])
            silence = Silence(**{**document, "matchers": matchers})
            self.by_id[silence.id] = silence


@dataclass(frozen=True)
class Inhibition:
    """While an alert that `source` matches fires, those of `target` with equal labels wait."""

    source: Matchers
    target: Matchers
    equal: tuple[str, ...] = ()


class Inhibitor:
    """What the alerts that fire in this tick keep others from telling."""

    def __init__(self, inhibitions: Iterable[Inhibition]) -> None:
        self._inhibitions = tuple(inhibitions)
        self._sources: list[set[tuple[str | None, ...]]] = []

    @property
    def is_needed(self) -> bool:
        """Whether anything inhibits anything."""
        return bool(self._inhibitions)

    def begin(self, firing: Iterable[dict[str, str]]) -> None:
        """Note all that fires, before anything is told in this tick."""
        self._sources = [set() for _ in self._inhibitions]
        for labels in firing:
            for inhibition, found in zip(self._inhibitions, self._sources, strict=True):
                if matches(inhibition.source, labels):
                    found.add(_values(inhibition, labels))

    def covers(self, labels: dict[str, str]) -> bool:
        """Whether another alert explains this one; none explains itself."""
        return any(
            matches(inhibition.target, labels)
            and not matches(inhibition.source, labels)
            and _values(inhibition, labels) in found
            for inhibition, found in zip(self._inhibitions, self._sources, strict=True)
        )


def _values(inhibition: Inhibition, labels: dict[str, str]) -> tuple[str | None, ...]:
    return tuple(labels.get(name) for name in inhibition.equal)
