"""Taps: who is passed what, what is left out and said to be, and what an agent is asked for."""

import json
from typing import Any

from recording_tools import AGENT, LIFE, SECOND, batches, frames

from rnts import taps as module
from rnts.delivery import Message, Type, parse_message
from rnts.frame import Frame, FrameDecoder
from rnts.receiver import Receiver
from rnts.tap_client import Lost, TapClient, Tapped
from rnts.taps import Taps

RECEIVER = 99


class World:
    """Taps and one client of them, between which messages can be lost; time is what it is told."""

    def __init__(self, count: int = 12, keyframes: tuple[int, ...] = (1,)) -> None:
        self.receiver = Receiver(RECEIVER)
        self.receiver.on_hello(Message(Type.HELLO, AGENT, LIFE, 1), "agent", 0)
        self.wishes: list[Message] = []
        self.arriving: list[list[bytes]] = []
        self.taps = Taps(self.receiver, self._send)
        self.client = TapClient()
        self.now_ns = 0
        self.frames = frames(batches(count), keyframes=keyframes)
        self._decoder = FrameDecoder()
        self._number = 0
        self.found: list[Any] = []

    def _send(self, peer: Any, parts: list[bytes]) -> None:
        if peer == "agent":
            message = parse_message(parts[0])
            assert message is not None
            self.wishes.append(message)
        else:
            self.arriving.append(parts)

    def say(self) -> None:
        """What the client has to say arrives."""
        for parts in self.client.outgoing(self.now_ns):
            message = parse_message(parts[0])
            assert message is not None
            self.taps.on_tap("client", message, self.now_ns, self.now_ns)

    def hear(self) -> None:
        """What was sent to the client arrives."""
        for parts in self.arriving:
            self.found += self.client.on_message(parts, self.now_ns)
        self.arriving.clear()

    def fold(self, count: int = 1) -> None:
        """The aggregator folds the next frames of the agent."""
        for _ in range(count):
            payload = self.frames[self._number]
            self._number += 1
            message = Message(Type.ENTRY, AGENT, LIFE, self._number, self._number)
            self.receiver.folded(message, 0)
            frame = Frame(2, payload[6], AGENT, LIFE, self._number, 0, *[None] * 3)  # type: ignore[arg-type]
            self.taps.pass_on(message, payload, frame, self.now_ns)

    def second(self) -> None:
        """A second passes in which everybody does what is due."""
        self.now_ns += SECOND
        self.say()
        self.taps.step(self.now_ns, self.now_ns)
        self.hear()

    def numbers(self) -> list[int | str]:
        """What the client has been told: numbers of frames, and reasons of gaps."""
        return [
            f"{each.frames} {each.reason}" if isinstance(each, Lost) else each.message.first
            for each in self.found
        ]


def test_frames_come_as_they_were_folded() -> None:
    """Envelope, bytes and time of each frame are what the aggregator had, in its order."""
    world = World()
    world.say()
    world.now_ns = 5
    world.fold(3)
    world.hear()
    assert world.found == [
        Tapped(Message(Type.ENTRY, AGENT, LIFE, n, n), world.frames[n - 1], 5) for n in (1, 2, 3)
    ]


def test_a_tap_begins_at_a_keyframe_and_asks_for_one_with_names() -> None:
    """What builds on frames that the tap has not is not passed on; agents are asked, rarely."""
    world = World(keyframes=(1, 6))
    world.fold(2)
    world.say()
    for _ in range(3):
        world.fold()
        world.second()
    assert [(m.type, m.first, m.last) for m in world.wishes] == [
        (Type.KEYFRAME, 4, 1),
        (Type.KEYFRAME, 5, 1),
    ]
    assert world.client.about == {"lost": 0, "before_keyframe": 3, "following": 0}
    world.fold(3)
    world.hear()
    assert world.numbers() == [6, 7, 8]
    for _ in range(70):
        world.second()
    assert len(world.wishes) == 2


def test_a_slow_tap_loses_stretches_that_are_told() -> None:
    """Beyond what it has room for nothing is sent; it goes on at the next keyframe, told how much
    is missing in between."""
    world = World(count=200, keyframes=(1, 150))
    world.say()
    world.fold(140)
    assert len(world.arriving) - 1 == module.FRAMES_UNDER_WAY_MAX
    world.hear()
    world.second()
    world.fold(12)
    world.hear()
    numbers = world.numbers()
    assert numbers[:96] == list(range(1, 97))
    assert numbers[96:] == ["44 left_out", "9 left_out", 150, 151, 152]
    assert world.taps.document()["lost"] == 53


def test_bytes_under_way_are_bounded_too() -> None:
    """No more bytes are under way than the tap has room for, however large frames are."""
    world = World()
    world.say()
    large = world.frames[0] + bytes(2 << 20)
    for number in range(1, 11):
        message = Message(Type.ENTRY, AGENT, LIFE, number, number)
        frame = Frame(2, module.KEYFRAME, AGENT, LIFE, number, 0, *[None] * 3)  # type: ignore[arg-type]
        world.taps.pass_on(message, large, frame, 0)
    assert sum(len(part) for parts in world.arriving for part in parts) < 8 << 20
    assert world.taps.document()["lost"] == 7


def test_what_a_link_loses_is_noticed_and_mended() -> None:
    """A gap in the numbers is told, and frames come again from the agent's next keyframe."""
    world = World(count=12, keyframes=(1, 9))
    world.say()
    world.fold(3)
    del world.arriving[2]
    world.hear()
    world.say()
    world.fold(2)  # they build on what is lost
    world.second()
    assert world.wishes
    world.fold(5)
    world.hear()
    assert world.numbers() == [1, "1 link", 3, "2 left_out", "3 left_out", 9, 10]


def test_the_last_message_may_be_the_lost_one() -> None:
    """A heartbeat says how many there were."""
    world = World()
    world.say()
    world.fold(3)
    del world.arriving[-1]
    world.second()
    assert world.numbers() == [1, 2, "1 link"]


def test_a_tap_outlives_its_aggregator() -> None:
    """Another aggregator at the address is known for another; what was missed nobody can count."""
    world = World(keyframes=(1, 5))
    world.say()
    world.fold(3)
    world.hear()
    world.receiver.receiver_id += 1
    world.taps = Taps(world.receiver, world._send)
    world.second()
    world.fold(3)
    world.hear()
    assert world.numbers() == [1, 2, 3, "0 aggregator_restarted", 5, 6]


def test_silent_taps_end_and_are_counted() -> None:
    """A viewer that has gone is sent no more after a while; one that says goodbye at once."""
    world = World()
    world.say()
    world.now_ns += module.SILENCE_NS_MAX + 1
    world.taps.step(world.now_ns, world.now_ns)
    assert world.taps.document() == {
        "open": 0, "frames": 0, "bytes": 0, "lost": 0, "lapsed": 1, "refused": 0,
    }  # fmt: skip
    world.second()
    assert world.taps.document()["open"] == 1
    message = parse_message(world.client.bye()[0])
    assert message is not None
    world.taps.on_tap("client", message, 0, 0)
    assert world.taps.document()["open"] == 0


def test_there_are_only_so_many_taps() -> None:
    """One more is refused with the reason, and may come when another has ended."""
    world = World()
    for tap_id in range(1, module.TAPS_MAX + 1):
        world.taps.on_tap("other", Message(Type.TAP, tap_id, 0, 0, 0, 1), 0, 0)
    world.arriving.clear()
    world.say()
    world.hear()
    assert world.client.refusal == "there are 8 taps already, which is the most"
    world.taps.on_tap("other", Message(Type.TAP, 1, 0, 0, 0, 0), 0, 0)
    world.second()
    assert (world.client.refusal, world.client.is_live(world.now_ns)) == ("", True)


def test_nonsense_is_no_news() -> None:
    """Messages that are none of a tap's change nothing."""
    client = TapClient()
    header = Message(Type.TAPPED, 1, 0).pack()
    about = json.dumps({}).encode()
    for parts in (
        [],
        [b"x"],
        [header],
        [header, b"x", b"y"],
        [Message(Type.WHO, 1, 0).pack(), about],
    ):
        assert client.on_message(parts, 0) == []
    assert not client.is_live(0)
    assert client.on_message([header, b"{"], 0) == []
    assert client.is_live(0)
