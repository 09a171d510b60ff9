"""A link without sockets: what one end says, the other hears at once."""

from collections.abc import Callable

from rnts.delivery import Message, parse_message

Hear = Callable[["Road", Message, bytes], None]  # as the aggregator's end hears a message


class Road:
    """A client's end of a link, which is also what the aggregator's end knows the client by."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._arrived: list[list[bytes]] = []

    def connect(self, endpoint: str) -> None:
        """There is only one other end."""

    def send(self, parts: list[bytes]) -> bool:
        """Have the aggregator's end hear a message."""
        message = parse_message(parts[0])
        assert message is not None, "both ends are ours"
        self._hear(self, message, parts[1] if len(parts) == 2 else b"")
        return True

    def deliver(self, parts: list[bytes]) -> None:
        """What the aggregator's end says."""
        self._arrived.append(parts)

    def receive(self) -> list[list[bytes]]:
        """What was said since the last call."""
        arrived, self._arrived = self._arrived, []
        return arrived

    def fileno(self) -> int:
        """Of no file; who has one is woken by what arrives, and need not look for it."""
        return -1

    def wait(self, timeout_ms: int) -> bool:
        """Nothing arrives while anybody waits."""
        return bool(self._arrived)

    def counters(self) -> dict[str, int]:
        """Nothing happens on the way."""
        return {}

    def close(self) -> None:
        """There is nothing to let go of."""
