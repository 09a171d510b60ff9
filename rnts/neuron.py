"""The handle by which an application reports what one of its neurons does."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rnts import writer
from rnts.emitter import record, record_silently
from rnts.events import Event
from rnts.model import FIELD, Health, Kind

if TYPE_CHECKING:
    from rnts.compiled import CompiledEmitter
    from rnts.producer import Producer

_HEALTH_MASK = FIELD["health"].mask
_TYPE_MASK = FIELD["event_type"].mask
_VALUE_MASK = FIELD["event_value"].mask
_PEER_MASK = FIELD["event_peer_id"].mask
_PEER_OF_LINK, _LATENCY = FIELD["link_peer_id"].mask, FIELD["link_latency_ns"].mask
_MESSAGES, _BYTES = FIELD["link_messages"].mask, FIELD["link_bytes"].mask
_SAMPLE_ZEROS = (0,) * 14  # all fields of a sample but the last two, weight and health


class Neuron:
    """One neuron. All methods are safe in threads and coroutines; none raises but
    `record`, for arguments that are no numbers."""

    __slots__ = ("_producer", "_words", "activations", "group", "id", "name", "role")

    def __init__(
        self, producer: "Producer", neuron_id: int, name: str, group: str, role: str
    ) -> None:
        self._producer = producer
        self.id = neuron_id
        self.name = name
        self.group = group
        self.role = role
        self.activations = 0
        self._words: bytes  # what the compiled emitter reads of a neuron, set by it

    record = record

    def event(self, event: Event, *, timestamp_ns: int | None = None) -> bool:
        """Report that something happened; long texts are shortened with an ellipsis."""
        lane = self._writer()
        if lane is None:
            return False
        if not isinstance(event, Event):
            return lane.refuse("invalid")
        mask, value, peer_id, strings = _TYPE_MASK, 0.0, 0, []
        for name in event.__slots__:
            argument = getattr(event, name)
            if name == "peer_id":
                mask, peer_id = mask | _PEER_MASK, argument
            elif name in ("strength", "value"):
                mask, value = mask | _VALUE_MASK, argument
            else:
                strings.append(argument)
        header = (int(Kind.EVENT), mask, self.id, timestamp_ns or time.time_ns())
        return lane.write(writer.EVENT_FORMAT, (*header, value, peer_id, event.code), strings)

    def health(self, state: Health, reason: str = "", *, timestamp_ns: int | None = None) -> bool:
        """Report the neuron's state of health, and why it is so."""
        lane = self._writer()
        if lane is None:
            return False
        header = (int(Kind.SAMPLE), _HEALTH_MASK, self.id, timestamp_ns or time.time_ns())
        strings = (reason,) if reason else ()
        return lane.write(writer.SAMPLE_FORMAT, (*header, *_SAMPLE_ZEROS, 0.0, state), strings)

    def link(self, peer: "Neuron | int") -> "Link":
        """The link to another neuron, given itself or by its id."""
        return Link(self, peer if isinstance(peer, int) else peer.id)

    def activation(self) -> "Activation":
        """Time a block of work: `with neuron.activation(): …` counts and reports it."""
        return Activation(self)

    def _writer(self) -> "writer.LaneWriter | CompiledEmitter | None":
        try:
            found: writer.LaneWriter | CompiledEmitter | None = self._producer.local.writer
        except AttributeError:
            found = self._producer.attach_thread()
        return found

    def __repr__(self) -> str:
        return f"<rnts.Neuron {self.name!r} id={self.id}>"


class SilentNeuron(Neuron):
    """A neuron in a process whose telemetry is off: nothing is cheaper."""

    __slots__ = ()
    record = record_silently

    def event(self, event: Event, *, timestamp_ns: int | None = None) -> bool:
        """Report nothing."""
        return False

    def health(self, state: Health, reason: str = "", *, timestamp_ns: int | None = None) -> bool:
        """Report nothing."""
        return False


class Link:
    """What flows from one neuron to another."""

    __slots__ = ("_neuron", "peer_id")

    def __init__(self, neuron: Neuron, peer_id: int) -> None:
        self._neuron = neuron
        self.peer_id = peer_id

    def sent(
        self,
        messages: int | None = 1,
        bytes: int | None = 0,
        latency_ns: int | None = None,
        *,
        timestamp_ns: int | None = None,
    ) -> bool:
        """Report what went to the peer since the last call, and how long one message took.

        None says that it is not known: a link of which only its being there is reported.
        """
        lane = self._neuron._writer()
        if lane is None:
            return False
        mask = _PEER_OF_LINK
        for value, bit in ((messages, _MESSAGES), (bytes, _BYTES), (latency_ns, _LATENCY)):
            mask |= 0 if value is None else bit
        header = (int(Kind.LINK), mask, self._neuron.id, timestamp_ns or time.time_ns())
        values = (self.peer_id, messages or 0, bytes or 0, latency_ns or 0)
        return lane.write(writer.LINK_FORMAT, (*header, *values))


class Activation:
    """One run of a neuron's work, timed; each `with` has its own, so coroutines may overlap."""

    __slots__ = ("_neuron", "_start_ns")

    def __init__(self, neuron: Neuron) -> None:
        self._neuron = neuron
        self._start_ns = 0

    def __enter__(self) -> Self:
        self._start_ns = time.perf_counter_ns()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        neuron: Any = self._neuron
        duration_ns = time.perf_counter_ns() - self._start_ns
        neuron.activations += 1
        neuron.record(neuron.activations, duration_ns)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *error: Any) -> None:  # noqa: PYI036 - handed on
        self.__exit__(*error)
