"""The events that a neuron can report; their fields are the specification's."""

from rnts.value import Value


class Activated(Value):
    """The neuron began to work."""

    code = 0
    strength: float
    trigger: str

    def __init__(self, strength: float, trigger: str = "") -> None:
        self.__dict__.update(strength=strength, trigger=trigger)


class Deactivated(Value):
    """The neuron stopped and has left."""

    code = 1
    reason: str

    def __init__(self, reason: str = "") -> None:
        self.__dict__.update(reason=reason)


class ConnectionEstablished(Value):
    """The neuron is connected to a peer."""

    code = 2
    peer_id: int

    def __init__(self, peer_id: int) -> None:
        self.__dict__.update(peer_id=peer_id)


class ConnectionLost(Value):
    """The neuron lost its connection to a peer."""

    code = 3
    peer_id: int
    reason: str

    def __init__(self, peer_id: int, reason: str = "") -> None:
        self.__dict__.update(peer_id=peer_id, reason=reason)


class ThresholdExceeded(Value):
    """One of the neuron's metrics passed a limit."""

    code = 4
    metric: str
    value: float

    def __init__(self, metric: str, value: float) -> None:
        self.__dict__.update(metric=metric, value=value)


class ErrorOccurred(Value):
    """The neuron failed at something."""

    code = 5
    error_type: str
    details: str

    def __init__(self, error_type: str, details: str = "") -> None:
        self.__dict__.update(error_type=error_type, details=details)


Event = (
    Activated
    | Deactivated
    | ConnectionEstablished
    | ConnectionLost
    | ThresholdExceeded
    | ErrorOccurred
)
