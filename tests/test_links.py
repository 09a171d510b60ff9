"""The ZeroMQ driver: its sockets keep to what the protocol needs, and nothing waits unasked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from rnts.links import zmq as driver
from rnts.links.zmq import AgentLink, AggregatorLink

PATIENCE_MS = 10_000


@pytest.fixture
def endpoint(runtime_folder: Path) -> str:
    """An address of the test's own."""
    return f"ipc://{runtime_folder}/link.sock"


@pytest.fixture
def listening(endpoint: str) -> Iterator[AggregatorLink]:
    """The aggregator's end at that address."""
    link = AggregatorLink(endpoint)
    yield link
    link.close()


@pytest.fixture
def agent(listening: AggregatorLink, endpoint: str) -> Iterator[AgentLink]:
    """An agent's end that is connected to it."""
    link = AgentLink()
    link.connect(endpoint)
    yield link
    link.close()


def test_no_socket_sends_heartbeats_of_zeromq() -> None:
    """libzmq 4.3.5 aborts the process when one is due for a peer that left behind a full queue."""
    options: dict[int, Any] = {}

    class Recorder:
        def setsockopt(self, option: int, value: Any) -> None:
            options[option] = value

    driver._set_up(Recorder())  # type: ignore[arg-type]
    assert options[zmq.LINGER] == 0
    assert options[zmq.MAXMSGSIZE] == driver.MESSAGE_BYTES_MAX
    assert not {zmq.HEARTBEAT_IVL, zmq.HEARTBEAT_TIMEOUT, zmq.HEARTBEAT_TTL} & options.keys()
    assert options[zmq.TCP_KEEPALIVE] == 1


def test_messages_arrive_in_order_and_whole(listening: AggregatorLink, agent: AgentLink) -> None:
    """What an agent sends is received part by part, and the answer finds its way back."""
    sent = 0
    while not agent.send([b"0", b""]):
        pass  # not connected yet
    while sent < 50:
        sent += agent.send([b"%d" % (sent + 1), b"x" * sent])
    seen: list[list[bytes]] = []
    while len(seen) < 51:
        arrived = listening.receive(PATIENCE_MS)
        assert arrived, "nothing came"
        seen += [parts for _, parts in arrived]
        peer = arrived[-1][0]
    assert seen == [[b"0", b""], *([b"%d" % (i + 1), b"x" * i] for i in range(50))]

    listening.send(peer, [b"answer"])
    assert agent.wait(PATIENCE_MS)
    assert agent.receive() == [[b"answer"]]


def test_nothing_is_received_where_nothing_came(
    listening: AggregatorLink, agent: AgentLink
) -> None:
    """Both ends say so at once when they are not asked to wait."""
    assert agent.receive() == []
    assert listening.receive(0) == []


def test_a_batch_is_bounded(
    listening: AggregatorLink, agent: AgentLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much has arrived, answers and windows get their turn after so many messages."""
    monkeypatch.setattr(driver, "_BATCH", 3)
    for i in range(10):
        while not agent.send([b"%d" % i]):
            pass
    sizes = []
    while sum(sizes) < 10:
        sizes.append(len(listening.receive(PATIENCE_MS)))
    assert max(sizes) <= 3
