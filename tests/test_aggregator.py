"""The aggregator against raw sockets: what it folds and answers, refuses and survives."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from wire_tools import NO_SOURCES, sample, to_slots

from rnts import aggregator as module
from rnts.accounting import COLUMN, SOURCE_BASELINE, SOURCE_COLUMNS
from rnts.aggregator import Aggregator
from rnts.attention import LOOK_NS_MAX
from rnts.delivery import Message, Type, parse_message
from rnts.errors import ConnectError
from rnts.frame import FrameEncoder
from rnts.links.zmq import MESSAGE_BYTES_MAX
from rnts.runtime import default_endpoint
from rnts.warmup import load_kernels
from rnts.windows import Windows

SECOND = 1_000_000_000
NOW_NS = 1_790_000_000 * SECOND
AGENT, LIFE, SOURCE = 7, NOW_NS, 42


class Clock:
    """Time for the aggregator, both steady and of the day; a test moves it."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def time_ns(self) -> int:
        """Time since the epoch."""
        return self.now_ns

    monotonic_ns = time_ns

    def pass_by(self, duration_ns: int, aggregator: Aggregator) -> None:
        """Let time pass for an aggregator that is at work."""
        end_ns = self.now_ns + duration_ns
        while self.now_ns < end_ns:
            self.now_ns += LOOK_NS_MAX
            aggregator.step(0)


class Peer:
    """An agent or a viewer as ZeroMQ sees it: a socket that says what it is told to."""

    def __init__(self, endpoint: str, aggregator: Aggregator) -> None:
        self.aggregator = aggregator
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self.encoder = FrameEncoder(AGENT, LIFE)
        self.delivered = 0

    def say(self, parts: list[bytes]) -> None:
        """Send a message."""
        self.socket.send_multipart(parts)

    def hear(self) -> list[bytes]:
        """The next message that the aggregator has for this peer, once it has done its steps."""
        for _ in range(500):
            if self.socket.poll(0):
                return self.socket.recv_multipart()
            self.aggregator.step(10)
        raise AssertionError("the aggregator says nothing")

    def answer(self) -> Message:
        """The next message as one of the protocol."""
        parsed = parse_message(self.hear()[0])
        assert parsed is not None
        return parsed

    def query(self, request: bytes | dict[str, Any]) -> dict[str, Any]:
        """Ask, and wait for the document, whatever else is said meanwhile."""
        raw = request if isinstance(request, bytes) else json.dumps(request).encode()
        self.say([Message(Type.QUERY, 0, 0).pack(), raw])
        while parse_message((heard := self.hear())[0]) is not None:
            pass
        document: dict[str, Any] = json.loads(heard[0])
        return document

    def hello(self) -> Message:
        """Begin a session whose one source has no history."""
        frame = self.frame([], 0, self.row(0, SOURCE_BASELINE))
        self.say([Message(Type.HELLO, AGENT, LIFE, 1, 3).pack(), frame])
        return self.answer()

    def entry(self, number: int, frame: bytes, life: int = LIFE, agent: int = AGENT) -> None:
        """Deliver a frame under a number."""
        self.say([Message(Type.ENTRY, agent, life, number, number).pack(), frame])

    def samples(self, count: int, watermark_ns: int = 0, meta: bytes = b"") -> bytes:
        """A frame of so many samples of one neuron, with the row that accounts for them."""
        records = [sample(9, NOW_NS + i, processing_time_ns=100 + i) for i in range(count)]
        self.delivered += count
        return self.frame(records, watermark_ns, self.row(count), meta)

    def row(self, in_frame: int, flags: int = 0) -> np.ndarray:
        """The row of the source as it stands."""
        row = np.zeros((1, len(SOURCE_COLUMNS)), np.int64)
        row[0, COLUMN["key"]], row[0, COLUMN["flags"]] = SOURCE, flags
        row[0, COLUMN["in_frame"]] = in_frame
        row[0, COLUMN["attempts"]] = row[0, COLUMN["delivered"]] = self.delivered
        return row

    def frame(
        self, records: list[Any], watermark_ns: int, rows: np.ndarray, meta: bytes = b""
    ) -> bytes:
        """Any frame."""
        return self.encoder.encode(
            to_slots(records), sequence=1, watermark_ns=watermark_ns, sources=rows, meta=meta
        )

    def close(self) -> None:
        """Let go of the socket."""
        self.context.destroy(linger=0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time as the aggregator sees it."""
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def aggregator(runtime_folder: Path, clock: Clock) -> Iterator[Aggregator]:
    """An aggregator with room for few neurons."""
    load_kernels()
    made = Aggregator(default_endpoint(), Windows(SECOND, (50, 99), 100), 2 * SECOND)
    yield made
    made.link.close()


@pytest.fixture
def connect(aggregator: Aggregator) -> Iterator[Callable[[], Peer]]:
    """Make peers of the aggregator."""
    peers: list[Peer] = []

    def make() -> Peer:
        peers.append(Peer(default_endpoint(), aggregator))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def peer(connect: Callable[[], Peer]) -> Peer:
    """One peer."""
    return connect()


def test_an_agent_is_welcomed_heard_and_released(
    aggregator: Aggregator, peer: Peer, clock: Clock
) -> None:
    """HELLO, frames, RECEIVED with credit, COMMITTED when the window has closed; the sums agree."""
    assert peer.hello() == Message(Type.WELCOME, aggregator.started_ns, LIFE, 1, 3)
    peer.entry(1, peer.samples(5))
    received = peer.answer()
    assert (received.type, received.first) == (Type.RECEIVED, 2)
    assert received.last > received.first

    clock.now_ns += 3 * SECOND
    peer.entry(2, peer.samples(0, watermark_ns=NOW_NS + SECOND))
    said = [peer.answer() for _ in range(2)]
    assert [(m.type, m.first) for m in said] == [(Type.RECEIVED, 3), (Type.COMMITTED, 3)]
    snapshot = peer.query({"type": "snapshot"})
    assert snapshot["metrics"]["processing_time_ns"]["mean"] == 102
    assert snapshot["accounting"] == {
        "emitted": 5,
        "sampled_out": 0,
        "dropped": {},
        "in_flight": 0,
        "aggregated": 5,
        "balanced": True,
    }


def test_repeated_frames_are_folded_once(peer: Peer) -> None:
    """A frame that arrives again is acknowledged again, and its records do not count twice."""
    peer.hello()
    frame = peer.samples(5)
    for _ in range(3):
        peer.entry(1, frame)
        assert peer.answer().first == 2

    account = peer.query({"type": "accounting"})["accounting"]
    assert (account["aggregated"], account["balanced"]) == (5, True)


def test_strangers_are_asked_who_they_are(peer: Peer) -> None:
    """An entry without a session changes nothing and is answered by WHO."""
    peer.entry(1, peer.samples(5))
    assert peer.answer().type is Type.WHO
    assert peer.query({"type": "accounting"})["accounting"]["emitted"] == 0


def test_a_gap_is_asked_for_and_healed(peer: Peer) -> None:
    """A frame whose predecessor is missing waits until that has come."""
    peer.hello()
    first, second = peer.samples(2), peer.samples(3)
    peer.entry(2, second)
    assert (answer := peer.answer()).type is Type.RESEND
    assert answer.first == 1
    peer.entry(1, first)
    peer.entry(2, second)
    while peer.answer().first != 3:
        pass
    assert peer.query({"type": "accounting"})["accounting"]["aggregated"] == 5


def test_a_frame_that_stays_damaged_is_given_up_by_name(aggregator: Aggregator, peer: Peer) -> None:
    """It is asked for again, then its records are lost as `bad_frame`, and the next one counts."""
    peer.hello()
    good, bad = peer.samples(4), bytearray(peer.samples(3))
    bad[-1] ^= 1
    peer.entry(1, good)
    assert peer.answer().first == 2
    for answer in (Type.RESEND, Type.RESEND, Type.KEYFRAME):
        peer.entry(2, bytes(bad))
        assert peer.answer().type is answer
    peer.entry(3, peer.samples(2))
    assert [peer.answer().first, peer.answer().first] == [3, 4]

    account = peer.query({"type": "accounting"})["accounting"]
    assert aggregator.refused == {"checksum": 3}
    assert account["dropped"] == {"bad_frame": 3}
    assert (account["emitted"], account["aggregated"], account["balanced"]) == (9, 6, True)


def test_a_frame_of_somebody_else_is_refused(aggregator: Aggregator, peer: Peer) -> None:
    """A frame has to name the agent and the life that its message names."""
    peer.encoder = FrameEncoder(AGENT + 1, LIFE)
    peer.say([Message(Type.HELLO, AGENT, LIFE, 1).pack(), peer.frame([], 0, NO_SOURCES)])
    peer.query({"type": "accounting"})
    assert aggregator.refused == {"sender": 1}


@pytest.mark.parametrize("meta", [b"{", b"\xff", b"[" * 60_000, b"[1]", b'"text"', b"null"])
def test_what_an_agent_says_of_itself_may_be_nonsense(peer: Peer, meta: bytes) -> None:
    """A text about itself that is no JSON object leaves its records and the snapshot alone."""
    peer.hello()
    peer.entry(1, peer.samples(5, meta=meta))
    assert peer.answer().first == 2
    snapshot = peer.query({"type": "snapshot"})
    assert snapshot["accounting"]["aggregated"] == 5
    assert snapshot["agents"][0]["agent_id"] == str(AGENT)


def test_neurons_are_found_by_name_and_by_id(peer: Peer) -> None:
    """A query for one neuron takes either; for an unknown one it gives none."""
    peer.hello()
    peer.entry(1, peer.samples(1))
    assert peer.query({"type": "neuron", "neuron": "9"})["neuron"]["neuron_id"] == "9"
    assert peer.query({"type": "neuron", "neuron": "nobody"})["neuron"] is None


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"{",
        b"[]",
        b'"snapshot"',
        b"\xff\xfe",
        b"[" * 100_000,
        b"9" * 10_000,
        b'{"type": "everything"}',
        b'{"type": ["snapshot"]}',
        b'{"typ": "snapshot"}',
    ],
)
def test_bad_queries_are_told_so(aggregator: Aggregator, peer: Peer, request_bytes: bytes) -> None:
    """What is no query gets an error with a hint, is counted, and the next query is answered."""
    assert "error" in peer.query(request_bytes)
    assert aggregator.refused == {"query": 1}
    assert peer.query({"type": "snapshot"})["version"] == 1


@pytest.mark.parametrize("wanted", ["9" * 10_000, "x" * 1_000_000, ["deep"], None, "\ud800", -1])
def test_odd_names_of_neurons_are_unknown(peer: Peer, wanted: object) -> None:
    """Whatever is asked for, the answer is a document without a neuron."""
    assert peer.query({"type": "neuron", "neuron": wanted})["neuron"] is None


def test_messages_of_the_other_direction_are_refused(aggregator: Aggregator, peer: Peer) -> None:
    """Types that only an aggregator says, unknown types and torn headers are counted."""
    wrong = [Type.WELCOME, Type.RECEIVED, Type.COMMITTED, Type.RESEND, Type.WHO]
    header = Message(Type.HELLO, AGENT, LIFE).pack()
    for parts in (
        *([Message(kind, AGENT, LIFE).pack()] for kind in wrong),
        [bytes([255]) + header[1:]],
        [header[:-1]],
        [header + b"\0"],
        [b""],
    ):
        peer.say(parts)
    peer.query({"type": "snapshot"})
    assert aggregator.refused == {"message": len(wrong) + 4}


def test_messages_with_wrong_parts_do_no_harm(aggregator: Aggregator, peer: Peer) -> None:
    """Too few parts, too many and ten thousand are an empty payload, refused under its reason."""
    hello = Message(Type.HELLO, AGENT, LIFE, 1).pack()
    frame = peer.frame([], 0, NO_SOURCES)
    for parts in ([hello], [hello, frame, frame], [hello, *[b"x"] * 10_000]):
        peer.say(parts)
    peer.query({"type": "snapshot"})
    assert aggregator.refused == {"length": 3}


def test_noise_is_counted_and_harms_nobody(
    aggregator: Aggregator, connect: Callable[[], Peer]
) -> None:
    """Random multiparts, also with true headers, leave the session of an honest agent alone."""
    agent, stranger = connect(), connect()
    agent.hello()
    noise = random.Random(1)
    headers = [Message(kind, AGENT + 1, LIFE, 1, 1).pack() for kind in (Type.HELLO, Type.ENTRY)]
    for number in range(1, 101):
        for _ in range(3):
            first = noise.choice([*headers, noise.randbytes(noise.randrange(40))])
            rest = [noise.randbytes(noise.randrange(300)) for _ in range(noise.randrange(4))]
            stranger.say([first, *rest])
        agent.entry(number, agent.samples(2))
    while agent.answer().first != 101:
        pass

    stranger.query({"type": "snapshot"})  # it comes after all of the noise
    account = agent.query({"type": "accounting"})["accounting"]
    assert (account["aggregated"], account["balanced"]) == (200, True)
    assert aggregator.refused["message"] > 50
    assert set(aggregator.refused) == {"message", "length", "magic"}


def test_a_message_beyond_all_limits_ends_its_connection_only(connect: Callable[[], Peer]) -> None:
    """The library cuts off who sends more than a frame can have; others go on."""
    hog, other = connect(), connect()
    hog.say([b"x" * (MESSAGE_BYTES_MAX + 1)])
    assert other.query({"type": "snapshot"})["aggregator"]["refused"] == {}
    assert hog.query({"type": "snapshot"})["version"] == 1  # it has connected anew


def test_an_address_has_one_aggregator(aggregator: Aggregator, runtime_folder: Path) -> None:
    """A second one is refused and takes nothing away; when the first ends its file is gone."""
    with pytest.raises(ConnectError, match="another aggregator listens"):
        Aggregator(default_endpoint(), Windows(SECOND, (50,), 10), SECOND)
    assert list(runtime_folder.iterdir())
    aggregator.link.close()
    assert not list(runtime_folder.iterdir())
    Aggregator(default_endpoint(), Windows(SECOND, (50,), 10), SECOND).link.close()


def test_a_silent_agent_holds_up_windows_for_the_grace_only(
    aggregator: Aggregator, peer: Peer, clock: Clock
) -> None:
    """Windows then close without it and say that they are incomplete; it is shown as silent."""
    peer.hello()
    peer.entry(1, peer.samples(5))
    peer.answer()
    clock.pass_by(5 * SECOND, aggregator)
    snapshot = peer.query({"type": "snapshot"})
    assert snapshot["window"]["end_ns"] > NOW_NS
    assert not snapshot["window"]["complete"]
    assert snapshot["agents"][0]["state"] == "silent"


def test_an_agent_with_a_clock_ahead_does_not_rush_windows(peer: Peer, clock: Clock) -> None:
    """A watermark in the future closes nothing that lies in the present."""
    peer.hello()
    peer.entry(1, peer.samples(5, watermark_ns=NOW_NS + 3600 * SECOND))
    peer.answer()
    peer.entry(2, peer.samples(5))
    assert peer.answer().first == 3
    account = peer.query({"type": "accounting"})["accounting"]
    assert (account["aggregated"], account["dropped"]) == (10, {})


def test_sessions_of_agents_that_never_return_are_dropped(
    aggregator: Aggregator, peer: Peer, clock: Clock
) -> None:
    """After a minute of silence an agent is forgotten, while what it brought stays in the books."""
    peer.hello()
    peer.entry(1, peer.samples(5))
    peer.answer()
    clock.pass_by(61 * SECOND, aggregator)
    snapshot = peer.query({"type": "snapshot"})
    assert snapshot["agents"] == []
    assert snapshot["accounting"]["aggregated"] == 5
