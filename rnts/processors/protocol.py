"""What a stream processor is, and what it says: the public protocol.

A processor is any class whose objects have a `name`, a `priority` and `process(batch)`. It runs in
a process of its own (`rnts process`), so it may keep what state it likes, and be slow or wrong
without harm to others: docs/processors.md has the rules.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol, runtime_checkable

from rnts.processors.batch import Batch

SEVERITIES = ("info", "warning", "critical")


class Priority(IntEnum):
    """Who is handed a batch first, and has the processor first: by nice levels."""

    CRITICAL = 0
    HIGH = 5
    NORMAL = 10
    LOW = 15


@dataclass(frozen=True)
class Alert:
    """Something that a processor found.

    entity: what it is about, such as the name of a group or of a neuron.
    value, expected: what was seen and what is usual, in the unit of `metric`.
    score: how far beyond the threshold; 1 is just at it.
    labels: group, host or neuron of the entity, so that rules and silences may name them.
    """

    severity: str
    summary: str
    at_ns: int
    entity: str = ""
    metric: str = ""
    value: float | None = None
    expected: float | None = None
    score: float | None = None
    suggested_actions: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity is {', '.join(SEVERITIES)}, and not {self.severity!r}")

    def document(self) -> dict[str, Any]:
        """The alert as JSON shows it; numbers that JSON has none for are null."""
        return {name: _plain(value) for name, value in vars(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return list(value) if isinstance(value, tuple) else value


@runtime_checkable
class TelemetryProcessor(Protocol):
    """Code that sees every record."""

    name: str
    priority: Priority

    def process(self, batch: Batch) -> Iterable[Alert]:
        """Look at a batch, in the time budget, and tell what was found in it."""


@runtime_checkable
class Resumable(Protocol):
    """A processor whose state outlives its process."""

    def snapshot(self) -> bytes:
        """All that it has learned."""

    def restore(self, state: bytes) -> None:
        """Go on from what `snapshot` said; ValueError where that is of another version."""
