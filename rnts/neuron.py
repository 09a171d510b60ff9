"""The handle by which an application reports what one of its neurons does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import rnts
from rnts import writer
from rnts.emitter import record, record_silently, snapshot_start
from rnts.events import Event
from rnts.identities import peer_of
from rnts.model import FIELD, Health, Kind
from rnts.neuron_link import Link
from rnts.plain_sampling import IMPORTANCE, NORMAL
from rnts.ticks import Tick, ticks_of

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from typing import Any, TypeVar, overload

    from rnts.compiled import CompiledEmitter

    F = TypeVar("F", bound=Callable[..., Any])

_HEALTH_MASK = FIELD["health"].mask
_TYPE_MASK = FIELD["event_type"].mask
_VALUE_MASK = FIELD["event_value"].mask
_PEER_MASK = FIELD["event_peer_id"].mask
_LINKS_KEPT_MAX = 1024  # of one neuron; links to more peers are made when they are asked for
_STATES = len(Health)
_SAMPLE_ZEROS = (0,) * 14  # all fields of a sample but the last two, weight and health


class Neuron:
    """One neuron. All methods are safe in threads and coroutines; none raises but
    `record`, for arguments that are no numbers."""

    __slots__ = (
        "_links", "_producer", "_start", "_ticks", "_words", "group", "id", "importance", "name",
        "role",
    )  # fmt: skip

    def __init__(
        self, producer: rnts.producer.Producer, neuron_id: int, name: str, group: str, role: str
    ) -> None:
        self._producer = producer
        self.id = neuron_id
        self.name = name
        self.group = group
        self.role = role
        self.importance = NORMAL  # its class, see `rnts.plain_sampling`
        self._start = snapshot_start(neuron_id)
        self._links: dict[int, Link] | None = None
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
        for name, argument in vars(event).items():
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
        if not isinstance(state, int) or not 0 <= state < _STATES:
            return lane.refuse("invalid")
        header = (int(Kind.SAMPLE), _HEALTH_MASK, self.id, timestamp_ns or time.time_ns())
        strings = (reason,) if reason else ()
        return lane.write(writer.SAMPLE_FORMAT, (*header, *_SAMPLE_ZEROS, 0.0, state), strings)

    def link(self, peer: Neuron | int) -> Link:
        """The link to another neuron, given itself or by its id.

        Raises TypeError or ValueError where `peer` is neither.
        """
        peer_id = peer.id if isinstance(peer, Neuron) else peer_of(peer)
        links = self._links
        if links is None:
            links = self._links = {}
        found = links.get(peer_id)
        if found is None:
            found = Link(self, peer_id)
            if len(links) < _LINKS_KEPT_MAX:
                links[peer_id] = found
        return found

    def activation(self) -> Activation:
        """Time a block of work: `with neuron.activation(): …` counts and reports it."""
        activation = _new(Activation)  # half the time of a call of the class, in Python 3.11
        activation._neuron = self
        return activation

    if TYPE_CHECKING:

        @overload
        def trace(self, function: F, /) -> F: ...
        @overload
        def trace(self, /, *, errors: bool = True) -> Callable[[F], F]: ...

    def trace(
        self, function: Callable[..., object] | None = None, /, *, errors: bool = True
    ) -> object:
        """Report every call of a function as an activation of this neuron; see `rnts.trace`."""
        from rnts.trace import Run, decorate

        is_on = self._producer.enabled
        return decorate(function, lambda _: Run(self), errors, is_on, "neuron.trace")

    def finish(self, start_ns: int) -> bool:
        """Report one activation, which began at `start_ns` of `time.perf_counter_ns`.

        All that counts and times activations comes by here, so that an emitter can take its place.
        """
        try:
            ticks = self._ticks
        except AttributeError:
            ticks = self.ticks()
        number, time_ns, end_ns = next(ticks)
        return self.record(number, end_ns - start_ns, timestamp_ns=time_ns)

    def ticks(self) -> Iterator[Tick]:
        """The numbers and times of activations, which all handles of this neuron share."""
        self._ticks: Iterator[Tick] = ticks_of(self._producer, self.id)
        return self._ticks

    def _writer(self) -> writer.LaneWriter | CompiledEmitter | None:
        try:
            found: writer.LaneWriter | CompiledEmitter | None = self._producer.local.writer
        except AttributeError:
            found = self._producer.attach_thread()
        return found

    def __reduce__(self) -> tuple[Callable[..., Neuron], tuple[object, ...]]:
        """Copies and pickles are handles of the same neuron, of the process that unpickles."""
        host = self._producer.host_of(self.id)
        return _unpickled, (self.name, self.group, self.role, host, self.id, self.importance)

    def __repr__(self) -> str:
        return f"<rnts.Neuron {self.name!r} id={self.id}>"


def _unpickled(
    name: str, group: str, role: str, host: str, neuron_id: int, importance: int
) -> Neuron:
    """The handle that `Neuron.__reduce__` tells of."""
    names = {number: word for word, number in IMPORTANCE.items()}
    return rnts.neuron(
        name, group=group, role=role, host=host, neuron_id=neuron_id, importance=names[importance]
    )


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

    def finish(self, start_ns: int) -> bool:
        """Report nothing."""
        return False


def silent_kind() -> type[Neuron]:
    """The class of neurons that report nothing; what makes it quick is loaded by who needs it."""
    from rnts.silence import quicken

    quicken()
    return SilentNeuron


_new = object.__new__


class Activation:
    """One run of a neuron's work, timed; each `with` has its own, so coroutines may overlap."""

    __slots__ = ("_neuron", "_start_ns")

    _neuron: Neuron
    _start_ns: int

    def __enter__(self) -> Activation:  # noqa: PYI034 - `typing` is not loaded
        self._start_ns = time.perf_counter_ns()
        return self

    def __exit__(self, error_type: object, error: object, traceback: object) -> None:
        self._neuron.finish(self._start_ns)

    async def __aenter__(self) -> Activation:  # noqa: PYI034 - `typing` is not loaded
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self._neuron.finish(self._start_ns)
