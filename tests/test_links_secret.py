"""Encrypted links: who has the right key comes in, everybody else is refused and counted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zmq
from link_tools import (
    close_agents,
    free_address,
    introduce,
    make_certificates,
    make_keys,
    needs_grpc,
    open_agent,
    until_received,
)
from process_tools import until

from rnts.aggregator import Aggregator
from rnts.delivery import Message, Type
from rnts.errors import UsageError
from rnts.keys import Allowed, KeyFolder
from rnts.links.choice import AgentEnd, AggregatorEnd, agent_link, aggregator_link, query_link
from rnts.links.options import LinkOptions, TlsFiles
from rnts.links.zmq import Peer
from rnts.links.zmq_curve import public_key
from rnts.perf.link_throughput import link_throughput
from rnts.windows import Windows


@pytest.fixture(autouse=True)
def no_end_stays_open() -> Iterator[None]:
    """Whatever happens, agents' ends are closed after each test."""
    yield
    close_agents()


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[str], LinkOptions]:
    """Options of somebody with keys of their own, by name."""

    def options(name: str) -> LinkOptions:
        if not (tmp_path / name).exists():
            make_keys(tmp_path / name)
        return LinkOptions("zmq", "always", tmp_path / name)

    return options


class Curve(NamedTuple):
    """An aggregator, its addresses, and who may be let in."""

    endpoint: str
    aggregator: AggregatorEnd
    folders: Callable[[str], LinkOptions]
    local: str


@pytest.fixture
def curve(folders: Callable[[str], LinkOptions], runtime_folder: Path) -> Iterator[Curve]:
    """An aggregator that lets in the keys of `alice` and `bob`, and its local address."""
    endpoint, own = free_address(), folders("aggregator")
    for name in ("alice", "bob"):
        introduce(folders(name).keys, own.keys, endpoint, name)
    local = f"ipc://{runtime_folder}/local.sock"
    aggregator = aggregator_link(endpoint, own, local)
    yield Curve(endpoint, aggregator, folders, local)
    aggregator.close()


def speak(options: LinkOptions, aggregator: AggregatorEnd, words: bytes) -> AgentEnd:
    """An agent that is connected and has said something, which waits to be taken in."""
    agent = open_agent(options)
    agent.connect(aggregator.endpoint)
    door = getattr(aggregator, "_door", None)  # answered by receive() otherwise
    until(lambda: (door and door.answer()) or agent.send([words]))
    return agent


def handshakes_failed(aggregator: AggregatorEnd) -> int:
    """How many; under which name depends on which end hung up first."""
    counts = aggregator.counters()
    return counts.get("handshake_foreign", 0) + counts.get("handshake_broken", 0)


def test_who_is_on_the_list_comes_in_under_its_key(curve: Curve) -> None:
    """Messages carry the key of their sender, however many speak, and answers find the way."""
    aggregator, folders = curve.aggregator, curve.folders
    agents = {name: speak(folders(name), aggregator, name.encode()) for name in ("alice", "bob")}
    for peer, (name,) in until_received(aggregator, 2):
        assert peer.owner == public_key(KeyFolder(folders(name.decode()).keys).secret())
        aggregator.send(peer, [b"hello " + name])
    for name, agent in agents.items():
        assert agent.wait(10_000)
        assert agent.receive() == [[b"hello " + name.encode()]]
        agent.close()


def test_a_stolen_agent_is_refused(curve: Curve) -> None:
    """Who speaks for an agent first keeps it; a viewer's key speaks for none."""
    aggregator, folders = curve.aggregator, curve.folders
    agents = [speak(folders(name), aggregator, name.encode()) for name in ("alice", "bob")]
    peers = {name: peer for peer, (name,) in until_received(aggregator, 2)}
    assert aggregator.may_speak(peers[b"alice"], 7)
    assert not aggregator.may_speak(peers[b"bob"], 7)
    assert aggregator.may_speak(peers[b"bob"], None)
    keys = KeyFolder(folders("aggregator").keys)
    keys.allow(Allowed(peers[b"bob"].owner, "viewer", "bob"))
    assert not aggregator.may_speak(peers[b"bob"], 8)
    for agent in agents:
        agent.close()


def test_a_removed_key_is_out_at_once(curve: Curve) -> None:
    """Its connection stands, and nothing that comes by it counts; it cannot make a new one."""
    endpoint, aggregator, folders, _ = curve
    agent = speak(folders("alice"), aggregator, b"one")
    peer, _ = until_received(aggregator, 1)[0]
    assert aggregator.may_speak(peer, 7)
    KeyFolder(folders("aggregator").keys).remove("alice")
    assert not aggregator.may_speak(peer, 7)
    agent.connect(endpoint)
    until(lambda: aggregator.receive(1) or aggregator.counters().get("keys_refused"))
    assert not agent.send([b"two"])
    agent.close()


def test_an_unknown_key_stays_outside(curve: Curve) -> None:
    """It is counted at both ends, and let in as soon as it is on the list."""
    endpoint, aggregator, folders, _ = curve
    stranger = folders("mallory")
    server = public_key(KeyFolder(folders("aggregator").keys).secret())
    KeyFolder(stranger.keys).trust(endpoint, server)
    agent = open_agent(stranger)
    agent.connect(endpoint)
    until(lambda: aggregator.receive(1) or aggregator.counters().get("keys_refused"))
    until(lambda: agent.receive() or agent.counters().get("handshake_refused"))
    assert not agent.send([b"in?"])
    introduce(stranger.keys, folders("aggregator").keys, endpoint, "mallory")
    agent.connect(endpoint)  # as an agent does after a while; ZeroMQ itself tries no more
    until(lambda: aggregator.receive(1) or agent.send([b"in"]))
    assert until_received(aggregator, 1)[0][1] == [b"in"]
    agent.close()


def test_an_aggregator_with_another_key_is_not_believed(curve: Curve) -> None:
    """Nothing is sent to it, and both ends count that."""
    endpoint, aggregator, folders, _ = curve
    deceived = folders("alice")
    KeyFolder(deceived.keys).trust(endpoint, public_key(b"\7" * 32))
    agent = open_agent(deceived)
    agent.connect(endpoint)
    until(lambda: aggregator.receive(1) or handshakes_failed(aggregator))
    until(lambda: agent.receive() or agent.counters().get("disconnected", 0) > 0)
    assert not agent.send([b"secret"])
    agent.close()


def test_plaintext_does_not_come_in(curve: Curve) -> None:
    """A client without keys at the encrypted address is cut off; at the local one it needs none."""
    endpoint, aggregator, _, local = curve
    plain = open_agent(LinkOptions(encryption="off"))
    plain.connect(endpoint)
    until(lambda: aggregator.receive(1) or handshakes_failed(aggregator))
    assert not plain.send([b"plain"])
    before = handshakes_failed(aggregator)
    with zmq.Context() as context, context.socket(zmq.DEALER) as buffering:
        buffering.linger = 0
        buffering.connect(endpoint)
        buffering.send(b"plain")
        until(lambda: aggregator.receive(1) or handshakes_failed(aggregator) > before)
    plain.connect(local)
    until(lambda: plain.send([b"local"]))  # nobody has to ask at a door
    peer, parts = until_received(aggregator, 1)[0]
    assert (peer.owner, parts) == (None, [b"local"])
    plain.close()


def test_viewers_prove_their_keys_too(curve: Curve) -> None:
    """A question over the encrypted address needs a key and one to trust; without, it is said."""
    endpoint, _, folders, _ = curve
    asker = query_link(endpoint, folders("carol"))
    with pytest.raises(UsageError, match=f"rnts keys trust {endpoint} KEY"):
        asker.ask([b"question"], 10)
    asker.close()


@pytest.mark.parametrize("protocol", ["zmq", "grpc"])
def test_without_keys_nobody_listens_to_other_machines(protocol: str, tmp_path: Path) -> None:
    """Neither end starts; the refusal names what is missing and the setting that goes without."""
    if protocol == "grpc":
        needs_grpc()
    options, endpoint = LinkOptions(protocol, "auto", tmp_path), "tcp://*:1"
    with pytest.raises(UsageError, match=r"has to be encrypted: .*encryption: off"):
        aggregator_link(endpoint, options)
    agent = open_agent(options)
    with pytest.raises(UsageError, match=r"has to be encrypted: .*encryption: off"):
        agent.connect("tcp://192.0.2.1:1")
    agent.close()


def tls(folder: Path, name: str) -> LinkOptions:
    """Options of somebody with a certificate."""
    files = TlsFiles(*(str(folder / file) for file in ("ca.pem", f"{name}.pem", f"{name}.key")))
    return LinkOptions("grpc", "always", tls=files)


def test_certificates_say_who_speaks(tmp_path: Path, runtime_folder: Path) -> None:
    """With TLS both ends ask for one of the authority's; strangers and plaintext stay outside."""
    needs_grpc()
    make_certificates(tmp_path / "a", "aggregator", "alice", "bob")
    make_certificates(tmp_path / "b", "mallory")
    endpoint, local = free_address(), f"ipc://{runtime_folder}/local.sock"
    aggregator = aggregator_link(endpoint, tls(tmp_path / "a", "aggregator"), local)
    ends: list[Any] = [
        speak(tls(tmp_path / "a", n), aggregator, n.encode()) for n in ("alice", "bob")
    ]
    peers = {parts[0]: peer for peer, parts in until_received(aggregator, 2)}
    assert {name: peer.owner for name, peer in peers.items()} == {b"alice": "alice", b"bob": "bob"}
    assert aggregator.may_speak(peers[b"alice"], 7)
    assert not aggregator.may_speak(peers[b"bob"], 7)

    mallory = tls(tmp_path / "b", "mallory")
    believer = LinkOptions(
        "grpc", "always", tls=TlsFiles(str(tmp_path / "a" / "ca.pem"), *mallory.tls[1:])
    )
    for options in (mallory, believer, LinkOptions("grpc", "off")):
        outside = open_agent(options)
        outside.connect(endpoint)
        until(lambda outside=outside: outside.counters().get("retried", 0) >= 2)
        assert not outside.send([b"in?"])
        ends.append(outside)
    near = open_agent(LinkOptions("grpc"))
    near.connect(local)
    until(lambda: near.send([b"local"]))
    ends.append(near)
    peer, parts = until_received(aggregator, 1)[0]
    assert (peer.owner, parts) == (None, [b"local"])
    for end in (*ends, aggregator):
        end.close()


def test_a_key_of_tls_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """As that of CURVE is."""
    needs_grpc()
    make_certificates(tmp_path, "aggregator")
    (tmp_path / "aggregator.key").chmod(0o644)
    with pytest.raises(UsageError, match="has mode 644, so others can read it"):
        aggregator_link(free_address(), tls(tmp_path, "aggregator"))


def test_the_aggregator_counts_who_speaks_for_another(curve: Curve) -> None:
    """A HELLO in the name of another key's agent begins no session; a question is answered."""
    windows = Windows(1_000_000_000, (50,), 10)
    aggregator = Aggregator(curve.endpoint, windows, 1_000_000_000, curve.aggregator)
    bob = speak(curve.folders("bob"), curve.aggregator, b"noise")
    assert curve.aggregator.may_speak(Peer(b"", "0" * 64), None) is False
    alice = public_key(KeyFolder(curve.folders("alice").keys).secret())
    assert curve.aggregator.may_speak(Peer(b"", alice), 7)
    assert bob.send([Message(Type.HELLO, 7, 1, 1).pack(), b""])
    assert bob.send([Message(Type.QUERY, 0, 0).pack(), b'{"type": "accounting"}'])
    answers: list[list[bytes]] = []
    until(lambda: aggregator.step(1) or answers.extend(bob.receive()) or answers)
    assert b"accounting" in answers[0][0]
    assert aggregator.refused == {"message": 1, "speaker": 1}
    bob.close()


def test_grpc_without_its_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a link is told of the extra that brings it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    options = LinkOptions("grpc")
    for make in (agent_link, lambda it: aggregator_link("tcp://127.0.0.1:1", it)):
        with pytest.raises(UsageError, match=r"pip install 'rnts\[grpc\]'"):
            make(options)


@pytest.mark.parametrize("kind", ["ipc", "curve"])
def test_the_benchmark_loses_nothing(kind: str) -> None:
    """In its small size all frames arrive in order, and the rate is a number."""
    found = link_throughput(kind, smoke=True)
    assert (found.lost, found.frames > 0, found.mib_per_second > 0) == (0, True, True)
