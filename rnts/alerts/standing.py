"""The source of alerts for real: standing queries at an aggregator, over a link as agents have."""

import logging
from collections.abc import Callable, Mapping

from rnts.alerts.source import Source
from rnts.links.choice import AgentEnd, agent_link
from rnts.links.options import LinkOptions, own_endpoint
from rnts.query import checked_endpoint
from rnts.reflex.change import Update
from rnts.settings import Settings
from rnts.standing.client import WatchClient
from rnts.standing.query import EXPRESSIONS_MAX, AskAbout, Query

_SAY_EVERY_NS = 100_000_000  # how often a client may have something to say
_LOOK_EVERY_NS = 10_000_000  # at links that have no descriptor to sleep on

log = logging.getLogger("rnts.alerts")


def open_source(
    endpoint: str | None,
    settings: Settings,
    queries: Mapping[str, Query],
    about: AskAbout,
    now_ns: int,
) -> Source:
    """Standing queries at an address; None is this machine's own aggregator."""
    options = LinkOptions.of(settings.telemetry.transport)
    address = checked_endpoint(endpoint or own_endpoint(settings))
    return StandingSource(lambda: _connected(address, options), queries, about, now_ns)


def _connected(endpoint: str, options: LinkOptions) -> AgentEnd:
    """A link to an aggregator."""
    link = agent_link(options)
    try:
        link.connect(endpoint)
    except BaseException:
        link.close()
        raise
    return link


class _Connection:
    """One client of the aggregator: it may have so many expressions and no more."""

    def __init__(
        self, link: AgentEnd, queries: Mapping[str, Query], about: AskAbout, now_ns: int
    ) -> None:
        self.client, self.link = WatchClient(queries, now_ns, about=about), link

    def exchange(self, now_ns: int) -> list[Update]:
        """Say what is due, and take what has arrived, until nothing is left."""
        updates: list[Update] = []
        while True:
            for parts in self.client.outgoing(now_ns):
                self.link.send(parts)  # what does not go out is said again
            messages = self.link.receive()
            for parts in messages:
                updates += self.client.on_message(parts, now_ns)
            if not messages:
                return updates

    def close(self) -> None:
        """Say so, and let go of the link."""
        for parts in self.client.goodbye():
            self.link.send(parts)
        self.link.close()


class StandingSource:
    """The rules of one process, shared out among as many clients as they need."""

    def __init__(
        self,
        open_link: Callable[[], AgentEnd],
        queries: Mapping[str, Query],
        about: AskAbout,
        now_ns: int,
    ) -> None:
        """`open_link` connects one more client with the aggregator.

        `about`: of which entities it has to say that they are false, each time all is told.
        """
        self._open_link, self._about = open_link, about
        self._connections: list[_Connection] = []
        self._told_wrong: set[str] = set()
        self.replace(queries, now_ns)

    def replace(self, queries: Mapping[str, Query], now_ns: int) -> None:
        """Ask these from now on."""
        parts = _parts(queries)
        for connection, part in zip(self._connections, parts, strict=False):
            connection.client.replace(part)
        for part in parts[len(self._connections) :]:
            self._connections.append(_Connection(self._open_link(), part, self._about, now_ns))
        for connection in self._connections[len(parts) :]:
            connection.close()
        del self._connections[len(parts) :]
        self._told_wrong.clear()

    def exchange(self, now_ns: int) -> list[Update]:
        """Say what is due, and take what has arrived."""
        updates = [each for link in self._connections for each in link.exchange(now_ns)]
        for connection in self._connections:
            self._tell_wrong(connection.client)
        return updates

    def _tell_wrong(self, client: WatchClient) -> None:
        """What the aggregator does not understand; it may be of another version."""
        for key, faults in client.wrong.items():
            if key not in self._told_wrong:
                self._told_wrong.add(key)
                said = "; ".join(fault.message for fault in faults)
                log.error("the aggregator does not evaluate %s: %s", key, said)

    def is_live(self, now_ns: int) -> bool:
        """Whether the aggregator was heard a moment ago, and has told everything."""
        clients = [connection.client for connection in self._connections]
        return all(client.is_live(now_ns) and client.is_complete for client in clients)

    @property
    def alive_at_ns(self) -> int:
        """Up to this time of the aggregator all is known that changed."""
        return min((each.client.alive_at_ns for each in self._connections), default=0)

    def due_ns(self, now_ns: int) -> int:
        """When somebody may have something to say."""
        is_woken = len(self.filenos()) == len(self._connections)
        return now_ns + (_SAY_EVERY_NS if is_woken else _LOOK_EVERY_NS)

    def filenos(self) -> list[int]:
        """Readable when something may have arrived; gRPC has none."""
        found = [getattr(connection.link, "fileno", None) for connection in self._connections]
        return [each() for each in found if each is not None]

    def close(self) -> None:
        """Take leave."""
        for connection in self._connections:
            connection.close()


def _parts(queries: Mapping[str, Query]) -> list[dict[str, Query]]:
    """The queries, as many together as a client may have."""
    asked = list(queries.items())
    starts = range(0, len(asked), EXPRESSIONS_MAX)
    return [dict(asked[first : first + EXPRESSIONS_MAX]) for first in starts]
