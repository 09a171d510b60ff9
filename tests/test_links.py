"""Links carry messages whole and in order by each protocol, and count what fails."""

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zmq
from link_tools import close_agents, free_address, needs_grpc, open_agent, until_received
from process_tools import until

from rnts.errors import ConnectError
from rnts.links import zmq as driver
from rnts.links import zmq_options
from rnts.links.choice import AgentEnd, AggregatorEnd, aggregator_link, query_link
from rnts.links.limits import HIGH_WATER, MESSAGE_BYTES_MAX
from rnts.links.options import LinkOptions

PATIENCE_MS = 10_000


@pytest.fixture(autouse=True)
def no_end_stays_open() -> Iterator[None]:
    """Whatever happens, agents' ends are closed after each test."""
    yield
    close_agents()


@dataclass
class Ends:
    """Both ends of a link that are connected."""

    endpoint: str
    options: LinkOptions
    agent: AgentEnd
    aggregator: AggregatorEnd

    def arrived(self, count: int) -> list[tuple[Any, list[bytes]]]:
        """The next messages at the aggregator, so many."""
        return until_received(self.aggregator, count)


@pytest.fixture(params=["zmq ipc", "zmq tcp", "grpc ipc", "grpc tcp"])
def ends(request: pytest.FixtureRequest, runtime_folder: Path) -> Iterator[Ends]:
    """An agent's end and an aggregator's, which has heard of it."""
    protocol, _, transport = request.param.partition(" ")
    if protocol == "grpc":
        needs_grpc()
    options = LinkOptions(protocol)
    endpoint = f"ipc://{runtime_folder}/link.sock" if transport == "ipc" else free_address()
    aggregator = aggregator_link(endpoint, options)
    agent = open_agent(options)
    agent.connect(endpoint)
    until(lambda: agent.send([b"first"]))
    both = Ends(endpoint, options, agent, aggregator)
    assert [parts for _, parts in both.arrived(1)] == [[b"first"]]
    yield both
    agent.close()
    aggregator.close()
    if transport == "ipc":
        assert not (runtime_folder / "link.sock").exists()


def test_messages_arrive_in_order_and_whole(ends: Ends) -> None:
    """What an agent sends is received part by part, and the answer finds its way back."""
    messages = [[b"%d" % i, os.urandom(i * 2000)] for i in range(50)]
    for parts in messages:
        assert ends.agent.send(parts)
    arrived = ends.arrived(50)
    assert [parts for _, parts in arrived] == messages

    ends.aggregator.send(arrived[-1][0], [b"answer", b""])
    assert ends.agent.wait(PATIENCE_MS)
    assert ends.agent.receive() == [[b"answer", b""]]


def test_nothing_is_received_where_nothing_came(ends: Ends) -> None:
    """Both ends say so at once when they are not asked to wait."""
    assert ends.agent.receive() == []
    assert ends.agent.wait(0) is False
    assert ends.aggregator.receive(0) == []


def test_an_aggregator_that_does_not_read_is_not_waited_for(ends: Ends) -> None:
    """Sending says that it was refused, and what was taken before arrives in order."""
    sent = 0
    while ends.agent.send([b"%d" % sent, bytes(1 << 18)]):
        sent += 1
        assert sent < 10 * HIGH_WATER, "nothing holds the agent up"
    seen = [int(parts[0]) for _, parts in ends.arrived(sent)]
    assert seen == list(range(sent))


def test_questions_are_answered_and_silence_is_an_error(ends: Ends) -> None:
    """A viewer's question comes with a way back; one that nobody answers ends in time."""
    asker = query_link(ends.endpoint, ends.options)
    try:
        with ThreadPoolExecutor(1) as other:
            answer = other.submit(asker.ask, [b"question"], PATIENCE_MS)
            peer, parts = ends.arrived(1)[0]
            assert parts == [b"question"]
            ends.aggregator.send(peer, [b"answer"])
            assert answer.result() == [b"answer"]
        with pytest.raises(ConnectError, match="no aggregator answers"):
            asker.ask([b"question"], 50)
    finally:
        asker.close()


def test_an_answer_to_who_has_gone_is_counted(ends: Ends) -> None:
    """It is dropped under a name, and harms nobody."""
    assert ends.agent.send([b"last"])
    peer, _ = ends.arrived(1)[0]
    ends.agent.close()
    until(lambda: ends.aggregator.receive(1) or ends.aggregator.counters().get("disconnected"))
    ends.aggregator.send(peer, [b"answer"])
    assert ends.aggregator.counters()["answers_unreachable"] == 1


def test_a_new_aggregator_is_found_and_counted(ends: Ends) -> None:
    """When the aggregator comes back at its address, the agent is connected again by itself."""
    ends.aggregator.close()
    until(lambda: ends.agent.receive() or ends.agent.counters().get("disconnected"))
    again = aggregator_link(ends.endpoint, ends.options)
    try:
        until(lambda: ends.agent.send([b"again"]))
        assert until_received(again, 1)[0][1] == [b"again"]
        assert ends.agent.counters()["connected"] == 2
        assert again.counters()["accepted"] >= 1
    finally:
        again.close()


def test_an_address_has_one_aggregator(ends: Ends) -> None:
    """A second one is refused, and the first goes on undisturbed."""
    with pytest.raises(ConnectError):
        aggregator_link(ends.endpoint, ends.options)
    assert ends.agent.send([b"still here"])
    assert ends.arrived(1)[0][1] == [b"still here"]


def test_a_giant_ends_its_own_connection_only(ends: Ends) -> None:
    """A message beyond the limit is not taken in; its sender is cut off, others go on."""
    giant = open_agent(ends.options)
    giant.connect(ends.endpoint)
    until(lambda: giant.send([bytes(MESSAGE_BYTES_MAX + 1)]))
    until(lambda: giant.receive() or giant.counters().get("disconnected"))
    giant.close()
    assert ends.agent.send([b"still here"])
    assert [parts for _, parts in ends.arrived(1)] == [[b"still here"]]


def test_noise_at_the_port_harms_nobody(ends: Ends) -> None:
    """Bytes that are no message, and a connection that says nothing, leave others alone."""
    family = socket.AF_UNIX if ends.endpoint.startswith("ipc://") else socket.AF_INET
    place = ends.endpoint.partition("://")[2]
    host, _, port = place.rpartition(":")
    address: Any = place if family == socket.AF_UNIX else (host, int(port))
    with socket.socket(family) as silent, socket.socket(family) as noisy:
        silent.connect(address)
        noisy.connect(address)
        noisy.sendall(b"\xff" * 5000)
        noisy.settimeout(10)
        with noisy, pytest.raises((ConnectionError, EOFError)):  # the other end hangs up
            while noisy.recv(1 << 16):
                pass
            raise EOFError
        assert ends.agent.send([b"still here"])
        assert [parts for _, parts in ends.arrived(1)] == [[b"still here"]]


def test_a_batch_is_bounded(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much has arrived, answers and windows get their turn after so many messages."""
    monkeypatch.setattr(driver, "BATCH", 3)
    endpoint = f"ipc://{runtime_folder}/link.sock"
    aggregator, agent = driver.AggregatorLink(endpoint), driver.AgentLink()
    agent.connect(endpoint)
    for i in range(10):
        until(lambda i=i: agent.send([b"%d" % i]))
    sizes: list[int] = []
    until(lambda: sizes.append(len(aggregator.receive(PATIENCE_MS))) or sum(sizes) == 10)
    assert max(sizes) <= 3
    agent.close()
    aggregator.close()


def test_no_socket_sends_heartbeats_of_zeromq() -> None:
    """libzmq 4.3.5 aborts the process when one is due for a peer that left behind a full queue."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as end:
        roles = zmq_options.CONNECTING, zmq_options.LISTENING
        zmq_options.set_up(end, "tcp://127.0.0.1:1", *roles)
        assert end.getsockopt(zmq.HEARTBEAT_IVL) == 0
        assert end.getsockopt(zmq.LINGER) == 0
        assert end.getsockopt(zmq.MAXMSGSIZE) == MESSAGE_BYTES_MAX
        assert end.getsockopt(zmq.TCP_KEEPALIVE) == 1
        assert end.getsockopt(zmq.RECONNECT_IVL_MAX) > end.getsockopt(zmq.RECONNECT_IVL) > 0


def test_nobody_takes_over_the_way_back_of_another(runtime_folder: Path) -> None:
    """A peer that gives itself the name of another's connection gets none of its answers."""
    endpoint = f"ipc://{runtime_folder}/link.sock"
    aggregator, agent = driver.AggregatorLink(endpoint), driver.AgentLink()
    agent.connect(endpoint)
    with zmq.Context() as context, context.socket(zmq.DEALER) as honest:
        honest.linger = 0
        honest.routing_id = b"chosen"
        honest.connect(endpoint)
        honest.send(b"hello")
        peer, _ = until_received(aggregator, 1)[0]
        with context.socket(zmq.DEALER) as thief:
            thief.linger = 0
            thief.routing_id = b"chosen"
            thief.connect(endpoint)
            thief.send(b"hello")
            until(lambda: agent.send([b"other"]))
            assert [parts for _, parts in until_received(aggregator, 1)] == [[b"other"]]
            aggregator.send(peer, [b"answer"])
            assert honest.poll(PATIENCE_MS)
            assert thief.poll(0) == 0
    agent.close()
    aggregator.close()
