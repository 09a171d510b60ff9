"""The events that a neuron can report; their fields are the specification's."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Activated:
    """The neuron began to work."""

    code: ClassVar[int] = 0
    strength: float
    trigger: str = ""


@dataclass(frozen=True, slots=True)
class Deactivated:
    """The neuron stopped and has left."""

    code: ClassVar[int] = 1
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionEstablished:
    """The neuron is connected to a peer."""

    code: ClassVar[int] = 2
    peer_id: int


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The neuron lost its connection to a peer."""

    code: ClassVar[int] = 3
    peer_id: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ThresholdExceeded:
    """One of the neuron's metrics passed a limit."""

    code: ClassVar[int] = 4
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class ErrorOccurred:
    """The neuron failed at something."""

    code: ClassVar[int] = 5
    error_type: str
    details: str = ""


Event = (
    Activated
    | Deactivated
    | ConnectionEstablished
    | ConnectionLost
    | ThresholdExceeded
    | ErrorOccurred
)
