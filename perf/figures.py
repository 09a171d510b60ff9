"""Figures by their names: which way is better, what changed from one run to another."""

from dataclasses import dataclass
from typing import Any

from rnts.errors import UsageError

VERSION = 1
# The unit in a name says which way is better; a name without one of these is a circumstance.
_LOWER = {"ns", "ms", "bytes", "mib", "percent", "seconds", "lost"}
_HIGHER = "per_second"
# What happens beyond the limit, and what other programs did meanwhile.
_NOT_JUDGED = ("overload_", "other_")

Document = dict[str, Any]


def direction(name: str) -> int:
    """1 where higher is better, -1 where lower is, 0 where neither."""
    if name.startswith(_NOT_JUDGED):
        return 0
    if name.endswith(_HIGHER) or name == "balanced":
        return 1
    return -1 if _LOWER & set(name.split("_")) else 0


@dataclass(frozen=True)
class Change:
    """A figure in two runs; `worse_percent` is below 0 where it became better."""

    benchmark: str
    figure: str
    before: Any
    after: Any
    worse_percent: float
    is_peer: bool  # of another library, or a reference: it tells about the machine, not about us

    def document(self) -> Document:
        """The change as JSON shows it."""
        return {
            "figure": f"{self.benchmark}.{self.figure}",
            "before": self.before,
            "after": self.after,
            "worse_percent": round(self.worse_percent, 2),
            "is_peer": self.is_peer,
        }


def compare(before: Document, after: Document, peers: dict[str, frozenset[str]]) -> list[Change]:
    """What changed in the figures that both documents have, in the order of `after`.

    `peers` names, for each benchmark, the figures that are not ours.
    """
    changes = []
    for benchmark, figures in after["benchmarks"].items():
        former = before["benchmarks"].get(benchmark, {})
        for name, value in figures.items():
            towards = direction(name)
            known = former.get(name)
            if towards and _is_number(known) and _is_number(value):
                worse = _worse_percent(float(known), float(value), towards)
                is_peer = name in peers.get(benchmark, frozenset())
                changes.append(Change(benchmark, name, known, value, worse, is_peer))
    return changes


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _worse_percent(before: float, after: float, towards: int) -> float:
    """How much of the former value was added to what should be low, or lost of what should be high.

    Anything against nothing at all is beyond every limit.
    """
    if before == after:
        return 0.0
    if before == 0:
        return -towards * float("inf") if after > 0 else towards * float("inf")
    return -towards * (after - before) / abs(before) * 100


def changed_results(before: Document, after: Document) -> list[str]:
    """Benchmarks whose results have another hash: they did not do the same work."""
    former = before["benchmarks"]
    return [
        name
        for name, figures in after["benchmarks"].items()
        if "hash" in figures
        and former.get(name, {}).get("hash", figures["hash"]) != figures["hash"]
    ]


def worst(changes: list[Change]) -> float:
    """The greatest loss in per cent among the figures that are ours; 0 if nothing is worse."""
    return max((change.worse_percent for change in changes if not change.is_peer), default=0.0)


def check_document(document: Any, where: str) -> Document:
    """The document if it is one of ours; raises UsageError where it is not."""
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise UsageError(f"{where} is no document of `rnts bench --json` of version {VERSION}")
    benchmarks = document.get("benchmarks")
    if not isinstance(benchmarks, dict) or not all(
        isinstance(figures, dict) for figures in benchmarks.values()
    ):
        raise UsageError(f"{where} has no benchmarks")
    return document
