"""Opening frames that may come again: what is known of an agent is as it was before each."""

import random
from collections import Counter

import pytest
from wire_tools import NO_SOURCES, NaiveRecord, describe, sample, to_slots

from rnts.delivery import Message, Type
from rnts.frame import DecoderSession, FrameDecoder, FrameEncoder
from rnts.model import FIELDS, Kind, Storage
from rnts.opening import Opening

AGENT, LIFE = 7, 1_790_000_000_000_000_000
FRAMES, COMMON = 10, 4
SHOWN = [f.name for f in FIELDS if f.kind is Kind.SAMPLE and f.storage is not Storage.F64][:14]


def batches(way: int = 0) -> list[list[NaiveRecord]]:
    """Records of the same neurons; each frame has a field more, a new neuron, a new shape.

    From frame 5 on there are two ways to go on.
    """
    chance, made = random.Random(1), []
    for number in range(FRAMES):
        if number == COMMON:
            chance = random.Random(2 + way)
        shown = SHOWN[: 1 + number] if number < COMMON else chance.sample(SHOWN, 3 + number)
        neurons = [1, 2, 3, 10 + number + 100 * way * (number >= COMMON)]
        items = []
        for neuron in neurons:
            for names in (shown, shown[1:] or shown):
                values = {name: chance.randrange(9) for name in names}
                items.append(sample(neuron, LIFE + chance.randrange(10**9), **values))
        made.append(items)
    return made


def group(compression: str = "none", way: int = 0) -> list[bytes]:
    """A keyframe, and frames that go on from it."""
    encoder = FrameEncoder(AGENT, LIFE, compression)
    return [
        encoder.encode(
            to_slots(records), sequence=number, watermark_ns=LIFE, sources=NO_SOURCES,
            is_keyframe=number == 1,
        )
        for number, records in enumerate(batches(way), 1)
    ]  # fmt: skip


def entry(number: int, agent_id: int = AGENT) -> Message:
    """The envelope of a frame."""
    return Message(Type.ENTRY, agent_id, LIFE, number, number)


def opened(opening: Opening, frame: bytes, number: int, may_wait: bool = False) -> str:
    """What a frame says, as text."""
    found, reason = opening.open(frame, entry(number), lambda _: may_wait)
    return reason if found is None else describe(found)


@pytest.mark.parametrize("compression", ["none", "rice"])
def test_a_frame_that_was_put_off_is_opened_again(compression: str) -> None:
    """Each frame is opened, undone and opened again, as often as one likes: it says the same."""
    frames = group(compression)
    once, again = Opening(Counter()), Opening(Counter())
    once.begin(AGENT)
    again.begin(AGENT)
    for number, frame in enumerate(frames, 1):
        expected = opened(once, frame, number)
        for _ in range(3):
            assert opened(again, frame, number, may_wait=True) == expected
            again.undo(AGENT)
        assert opened(again, frame, number) == expected


def test_an_undone_frame_does_not_go_on() -> None:
    """The frame after one that was undone lacks its base, and is refused without a trace."""
    frames, refused = group(), Counter[str]()
    opening = Opening(refused)
    opening.begin(AGENT)
    opened(opening, frames[0], 1)
    opened(opening, frames[1], 2, may_wait=True)
    opening.undo(AGENT)
    assert opened(opening, frames[2], 3) == "base"
    assert refused == {"base": 1}
    assert "NaiveRecord" in opened(opening, frames[1], 2)
    assert "NaiveRecord" in opened(opening, frames[2], 3)


def test_what_cannot_come_again_is_not_undone() -> None:
    """`undo` after a frame that may not wait changes nothing, and costs no copy before."""
    frames, opening = group(), Opening(Counter())
    opening.begin(AGENT)
    opened(opening, frames[0], 1, may_wait=True)
    opened(opening, frames[1], 2)
    opening.undo(AGENT)
    assert "NaiveRecord" in opened(opening, frames[2], 3)


def test_a_copy_shares_nothing_with_its_original() -> None:
    """Both go on in ways of their own, in turn, and each is as if it had been alone."""
    decoder = FrameDecoder()
    session, alone = DecoderSession(), [DecoderSession(), DecoderSession()]
    ways = [group(way=0), group(way=1)]
    for frame in ways[0][:COMMON]:
        decoder.decode(frame, None, session)
    both = [session, session.copy()]
    for way in range(2):
        for frame in ways[way][:COMMON]:
            decoder.decode(frame, None, alone[way])
    for number in range(COMMON, FRAMES):
        for way in range(2):
            said = describe(decoder.decode(ways[way][number], None, both[way]))
            assert said == describe(decoder.decode(ways[way][number], None, alone[way]))
        for way in range(2):
            assert told(both[way]) == told(alone[way])


def test_a_copy_keeps_the_steps_of_its_floats() -> None:
    """Keyframes with other steps, which the original is given, do not change how it reads."""
    decoder, session, alone = FrameDecoder(), DecoderSession(), DecoderSession()
    frames = group()
    for frame in frames[:COMMON]:
        decoder.decode(frame, None, session)
        decoder.decode(frame, None, alone)
    copy = session.copy()
    floats = {field.name: 0.0 for field in FIELDS if field.storage.is_float}
    for _ in range(2):  # the tables of the last group are those of the one after the next
        other = FrameEncoder(AGENT, LIFE, "none", floats)
        slots = to_slots(batches()[COMMON])
        keyframe = other.encode(slots, sequence=1, watermark_ns=LIFE, sources=NO_SOURCES)
        decoder.decode(keyframe, None, session)
    assert told(copy) == told(alone)
    for frame in frames[COMMON:]:
        said = describe(decoder.decode(frame, None, copy))
        assert said == describe(decoder.decode(frame, None, alone))


def told(session: DecoderSession) -> tuple[object, ...]:
    """All that a session knows."""
    return (
        session.base, session.next, session.neurons, session.shape_count,
        session.rows[: session.neurons].tobytes(), session.scales.tobytes(),
        session.shapes[: session.shape_count].tobytes(),
    )  # fmt: skip
