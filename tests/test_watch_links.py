"""Standing queries over links: who may watch, encrypted or not, and after each batch."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from engine_tools import PlainEngine, Values, group
from link_tools import free_address, introduce, make_keys, needs_grpc
from process_tools import until
from test_aggregator import Peer

from rnts.aggregator import Aggregator
from rnts.errors import UsageError
from rnts.keys import Allowed, KeyFolder
from rnts.links.choice import aggregator_link
from rnts.links.options import LinkOptions
from rnts.links.zmq_curve import public_key
from rnts.reflex.change import Labels, Update
from rnts.standing.query import Query
from rnts.standing.watching import Watching
from rnts.windows import Windows

SECOND = 1_000_000_000
LATENCY = "p99_processing_time_ms by group"
QUERIES = {"slow": Query(LATENCY, is_condition=False)}


class Place:
    """An aggregator at an address, with clients at it; all in this thread."""

    def __init__(self, stack: ExitStack, endpoint: str, options: LinkOptions, local: str) -> None:
        self._stack = stack
        self.values: dict[Labels, tuple[float, float]] = {group("a"): (math.nan, 5.0)}
        self.engine = PlainEngine(lambda _: self.read())
        link = aggregator_link(endpoint, options, local)
        windows = Windows(SECOND, (50, 99), 100)
        self.aggregator = Aggregator(endpoint, windows, SECOND, link, engine=self.engine)
        stack.callback(link.close)

    def read(self) -> Values:
        """What the expressions are."""
        return self.values

    def watch(self, endpoint: str, options: LinkOptions) -> Watching:
        """A client at an address."""
        return self._stack.enter_context(Watching(endpoint, QUERIES, options))

    def until_told(self, watching: Watching) -> Update:
        """The next update that a client gets."""
        updates: list[Update] = []

        def is_told() -> bool:
            self.aggregator.step(5)
            updates.extend(watching.poll(5))
            return bool(updates)

        until(is_told)
        return updates[0]


@pytest.fixture
def place(runtime_folder: Path) -> Iterator[Callable[[str, LinkOptions], Place]]:
    """Make an aggregator at an address; it and its clients are gone afterwards."""
    with ExitStack() as stack:
        local = f"ipc://{runtime_folder}/local.sock"
        yield lambda endpoint, options: Place(stack, endpoint, options, local)


@pytest.mark.parametrize("protocol", ["zmq", "grpc"])
def test_a_client_is_told_by_each_link(
    protocol: str, runtime_folder: Path, place: Callable[[str, LinkOptions], Place]
) -> None:
    """On one machine, by either protocol: all at first, then what changes, and nothing twice."""
    if protocol == "grpc":
        needs_grpc()
    options, endpoint = LinkOptions(protocol), f"ipc://{runtime_folder}/a.sock"
    there = place(endpoint, options)
    client = there.watch(endpoint, options)
    assert there.until_told(client).is_full
    there.values = {group("a"): (math.nan, 6.0)}
    update = there.until_told(client)
    assert not update.is_full and [change.value for change in update.changes] == [6]
    assert client.is_live and time.time_ns() - client.client.alive_at_ns < 60 * SECOND
    client.close()
    until(lambda: there.aggregator.step(5) or not there.engine.expressions)
    assert there.aggregator.snapshot()["aggregator"]["standing"]["left"] == 1


def test_who_may_ask_may_watch(tmp_path: Path, place: Callable[[str, LinkOptions], Place]) -> None:
    """A viewer's key is let in; without one nobody is, nor any more once it is off the list."""
    endpoint = free_address()
    names = ("aggregator", "viewer", "stranger")
    own, viewer, stranger = (LinkOptions("zmq", "always", tmp_path / name) for name in names)
    for options in (own, viewer, stranger):
        make_keys(options.keys)
    introduce(viewer.keys, own.keys, endpoint, "viewer")
    key = public_key(KeyFolder(viewer.keys).secret())
    KeyFolder(own.keys).allow(Allowed(key, "viewer", "viewer"))
    KeyFolder(stranger.keys).trust(endpoint, public_key(KeyFolder(own.keys).secret()))
    with pytest.raises(UsageError, match="rnts keys"):
        Watching(endpoint, QUERIES, LinkOptions("zmq", "always", tmp_path / "nobody"))

    there = place(endpoint, own)
    client = there.watch(endpoint, viewer)
    assert there.until_told(client).is_full
    other = there.watch(endpoint, stranger)
    counters = there.aggregator.link.counters
    until(lambda: there.aggregator.step(5) or other.poll(5) or counters().get("keys_refused"))
    assert not other.is_live

    KeyFolder(own.keys).remove("viewer")
    refused = there.aggregator.refused
    until(lambda: there.aggregator.step(5) or client.poll(5) or refused["speaker"] > 1)


def test_a_client_that_does_not_read_holds_up_nobody(
    runtime_folder: Path, place: Callable[[str, LinkOptions], Place]
) -> None:
    """The driver's queue to it never fills, another is told at once, and it gets the newest."""
    endpoint = f"ipc://{runtime_folder}/a.sock"
    there = place(endpoint, LinkOptions())
    slow, quick = (there.watch(endpoint, LinkOptions()) for _ in range(2))
    for client in (slow, quick):
        there.until_told(client)
    for value in range(80):
        there.values = {group("a"): (math.nan, float(value))}
        assert there.until_told(quick).changes[0].value == value
    assert "answers_full" not in there.aggregator.link.counters()
    updates: list[Update] = []
    until(lambda: there.aggregator.step(0) or updates.extend(slow.poll(5)) or (
        updates and updates[-1].changes[0].value == 79))  # fmt: skip
    assert slow.client.merged["slow"] == 80 - len(updates) > 40
    assert quick.client.merged["slow"] == 0


def test_what_a_batch_changes_is_told_in_the_same_step(
    runtime_folder: Path, place: Callable[[str, LinkOptions], Place]
) -> None:
    """Frames are folded, expressions evaluated and clients told before anything is waited for."""
    endpoint = f"ipc://{runtime_folder}/a.sock"
    there = place(endpoint, LinkOptions())
    aggregator, hearing = there.aggregator, there.aggregator.hearing
    there.read = lambda: {(): (math.nan, float(hearing.frames))}  # type: ignore[method-assign]
    client, agent = there.watch(endpoint, LinkOptions()), Peer(endpoint, aggregator)
    assert there.until_told(client).changes[0].value == 0
    agent.hello()
    agent.entry(1, agent.samples(3))
    until(lambda: aggregator.step(20) or hearing.frames)
    updates: list[Update] = []
    until(lambda: updates.extend(client.poll(20)) or updates)
    assert [change.value for change in updates[0].changes] == [1]
    agent.close()
