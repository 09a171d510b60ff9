"""Follows a tap over a link: sends what is due, hands on what comes, until told to stop."""

import logging
import time
from collections.abc import Iterator

from rnts.errors import ConnectError, RntsError
from rnts.links.choice import AgentEnd, agent_link
from rnts.links.options import LinkOptions
from rnts.process import Stop
from rnts.tap_client import Lost, TapClient, Tapped

_WAIT_MS = 50
_FIRST_ANSWER_NS = 5_000_000_000

log = logging.getLogger("rnts.tap")


def tapped(
    endpoint: str,
    options: LinkOptions,
    stop: Stop,
    until_ns: int | None = None,
    client: TapClient | None = None,
) -> Iterator[list[Tapped | Lost]]:
    """What comes, piece by piece; an empty list where nothing came for a moment.

    Ends with `stop`, or at a steady time. Raises ConnectError where no aggregator answers at first,
    or until that time; one that goes later is waited for.
    """
    link = agent_link(options)
    client = client or TapClient()
    link.connect(endpoint)
    try:
        yield from _follow(link, client, endpoint, stop, until_ns)
        link.send(client.bye())
    finally:
        link.close()


def _follow(
    link: AgentEnd, client: TapClient, endpoint: str, stop: Stop, until_ns: int | None
) -> Iterator[list[Tapped | Lost]]:
    started_ns, was_live = time.monotonic_ns(), False
    while not stop.is_set():
        now_ns = time.monotonic_ns()
        if until_ns is not None and now_ns >= until_ns:
            if not was_live:
                raise _unanswered(endpoint)
            return
        for parts in client.outgoing(now_ns):
            link.send(parts)  # what does not go out is said again in a second
        link.wait(_WAIT_MS)
        found: list[Tapped | Lost] = []
        for parts in link.receive():
            found += client.on_message(parts, time.monotonic_ns())
        if client.refusal:
            raise RntsError(f"the aggregator at {endpoint} refuses: {client.refusal}")
        if not was_live and now_ns - started_ns > _FIRST_ANSWER_NS:
            raise _unanswered(endpoint)
        if not was_live and client.is_live(now_ns):
            was_live = True
            log.info("aggregator found at %s", endpoint)
        yield found


def _unanswered(endpoint: str) -> ConnectError:
    return ConnectError(f"no aggregator answers at {endpoint}; start it: `rnts up`")
