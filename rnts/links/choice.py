"""What agent, aggregator and viewers ask of a link, and which driver they get for it."""

from typing import Any, Protocol

from rnts.errors import UsageError
from rnts.links.options import LinkOptions


class AgentEnd(Protocol):
    """The agent's end: messages are lists of parts; nothing here waits unless it is told to."""

    def connect(self, endpoint: str) -> None:
        """Go over to `endpoint`; what was queued for the former one is dropped."""

    def send(self, parts: list[bytes]) -> bool:
        """Send one message; False where nobody is connected or the queue is full."""

    def receive(self) -> list[list[bytes]]:
        """The messages that have arrived, a bounded number."""

    def wait(self, timeout_ms: int) -> bool:
        """Sleep until a message arrives; whether one did."""

    def counters(self) -> dict[str, int]:
        """What happened to connections, by name, since the beginning."""

    def close(self) -> None:
        """Let go of everything; returns at once."""


class AggregatorEnd(Protocol):
    """The aggregator's end: agents and viewers alike; who a peer is only the driver knows."""

    endpoint: str

    def receive(self, timeout_ms: int) -> list[tuple[Any, list[bytes]]]:
        """Wait for messages, at most `timeout_ms`; (peer, parts) each, a bounded number."""

    def may_speak(self, peer: Any, agent_id: int | None) -> bool:
        """Whether a peer may speak for an agent; None: whether it may ask."""

    def send(self, peer: Any, parts: list[bytes]) -> None:
        """Answer; to a peer that has gone or does not read, the answer is dropped and counted."""

    def counters(self) -> dict[str, int]:
        """What happened to connections and answers, by name, since the beginning."""

    def close(self) -> None:
        """Stop listening."""


class QueryEnd(Protocol):
    """A viewer's end: one question after another."""

    endpoint: str

    def ask(self, parts: list[bytes], timeout_ms: int) -> list[bytes]:
        """Send one message and wait for its answer; raises ConnectError when none comes in time."""

    def close(self) -> None:
        """Let go of everything."""


def agent_link(options: LinkOptions) -> AgentEnd:
    """The agent's end by the protocol that the settings name."""
    if options.protocol == "grpc":
        _require_grpc()
        from rnts.links.grpc import AgentLink as GrpcAgentLink

        return GrpcAgentLink(options)
    from rnts.links.zmq import AgentLink

    return AgentLink(options)


def aggregator_link(endpoint: str, options: LinkOptions, local: str | None = None) -> AggregatorEnd:
    """The aggregator's end at an address, and at `local` too where that one is encrypted."""
    if options.protocol == "grpc":
        _require_grpc()
        from rnts.links.grpc_server import AggregatorLink as GrpcAggregatorLink

        return GrpcAggregatorLink(endpoint, options, local)
    from rnts.links.zmq import AggregatorLink

    return AggregatorLink(endpoint, options, local)


def query_link(endpoint: str, options: LinkOptions) -> QueryEnd:
    """A viewer's end."""
    if options.protocol == "grpc":
        _require_grpc()
        from rnts.links.grpc import QueryLink as GrpcQueryLink

        return GrpcQueryLink(endpoint, options)
    from rnts.links.zmq import QueryLink

    return QueryLink(endpoint, options)


def _require_grpc() -> None:
    from importlib.util import find_spec

    if find_spec("grpc") is None:
        raise UsageError(
            "telemetry.transport.protocol is grpc, which needs the library grpcio: "
            "pip install 'rnts[grpc]', or set protocol: zmq"
        )
