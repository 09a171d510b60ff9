"""One thing that somebody should know about a population, and how much it matters."""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How much a finding matters."""

    OK = 0
    UNKNOWN = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True)
class Finding:
    """One thing that somebody should know, in one sentence."""

    level: Level
    text: str
