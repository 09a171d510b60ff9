"""Sessions: what goes on from a keyframe, what has to wait for one, tables that grow, hostility."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import naive_columns as naive
import numpy as np
import pytest
import wire_fuzz
import wire_tools as tools
from wire_tools import NO_SOURCES, START_NS, sample

from rnts import codec_state
from rnts.errors import FrameError
from rnts.frame import DecoderSession, FrameDecoder, FrameEncoder, frame_header
from rnts.frame_header import EVENTS, KEYFRAME, NAMES
from rnts.kernels import columns
from rnts.model import Kind

DECODER = FrameDecoder()
TIMES: dict[str, Any] = {"watermark_ns": 0, "sources": NO_SOURCES}


def numbered(encoder: FrameEncoder, number: int, count: int = 3, *, key: bool = False) -> bytes:
    """A frame of `count` records; each neuron counts on from frame to frame."""
    records = [sample(i, START_NS + i, activation_count=1_000 * number + i) for i in range(count)]
    slots = tools.to_slots(records)
    return encoder.encode(slots, sequence=number, is_keyframe=key, **TIMES)


def refusal(frame: bytes, session: DecoderSession | None) -> str:
    """Why a frame cannot be opened with this session."""
    with pytest.raises(FrameError) as caught:
        DECODER.decode(frame, None, session)
    return caught.value.reason


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("compression", ["none", "lz4", "rice"])
def test_a_session_says_what_was_sent_and_both_decoders_agree(seed: int, compression: str) -> None:
    """Over several frames and a second keyframe, records come back as they were."""
    records = tools.random_records(seed, 150)
    batches = [records[:50], records[50:51], [], records[51:120], records[120:]]
    encoder, session, naively = (
        FrameEncoder(7, 1, compression),
        DecoderSession(),
        naive.NaiveSession(),
    )
    for number, batch in enumerate(batches, 1):
        frame = encoder.encode(
            tools.to_slots(batch) if batch else np.zeros((0, 16), np.int64),
            sequence=number,
            is_keyframe=number in (1, 5),
            **TIMES,
        )
        opened = DECODER.decode(frame, None, session)

        tools.assert_agree(batch, tools.from_records(opened.records))
        assert tools.naive_outcome(frame, naively) == tools.describe(opened)
        assert (session.base, session.next) == (1 if number < 5 else 5, number + 1)


def test_frames_that_go_on_are_smaller_than_keyframes() -> None:
    """What the reader knows is not said again: after the first frame a neuron costs little."""
    encoder = FrameEncoder(1, 1, "none")
    first, second = numbered(encoder, 1, 500), numbered(encoder, 2, 500)

    assert len(second) < len(first) / 3
    assert encoder.group_bytes == len(first) + len(second)
    assert (encoder.base, encoder.neurons) == (1, 500)
    again = numbered(encoder, 3, 500, key=True)
    assert (encoder.base, encoder.group_bytes) == (3, len(again))
    assert len(again) > len(first) - 100


def test_a_frame_without_those_before_it_is_refused_and_leaves_the_session() -> None:
    """Without a session, after a gap, twice, or of another group: the reason is `base`."""
    encoder, session = FrameEncoder(1, 1), DecoderSession()
    frames = [numbered(encoder, number, key=number == 4) for number in range(1, 7)]

    assert refusal(frames[1], None) == refusal(frames[1], DecoderSession()) == "base"
    DECODER.decode(frames[0], None, session)
    state = wire_fuzz.state_of(session)
    assert {refusal(frames[i], session) for i in (2, 4, 5)} == {"base"}
    assert wire_fuzz.state_of(session) == state
    DECODER.decode(frames[1], None, session)
    assert refusal(frames[1], session) == "base"
    DECODER.decode(frames[3], None, session)  # a keyframe comes when it likes
    assert refusal(frames[2], session) == "base"
    DECODER.decode(frames[4], None, session)
    DECODER.decode(frames[5], None, session)
    assert (session.base, session.next) == (4, 7)


def test_refused_keyframes_leave_the_session_as_it_was() -> None:
    """A damaged keyframe does not end the group that it should have ended."""
    encoder, session = FrameEncoder(1, 1, "none"), DecoderSession()
    frames = [numbered(encoder, number, key=number == 1) for number in (1, 2)]
    DECODER.decode(frames[0], None, session)
    bad = numbered(FrameEncoder(1, 1, "none"), 9, 7)
    shapes = dict(tools.split_columns(bad)) | {35: b"\x01\xff"}

    assert refusal(tools.join_columns(bad, list(shapes.items())), session) == "index"
    assert tools.from_records(DECODER.decode(frames[1], None, session).records)[2].values == {
        "activation_count": 2_002
    }


def test_empty_frames_need_no_session_and_only_count() -> None:
    """A heartbeat is opened whatever came before; in its turn it moves the number that is due."""
    encoder, session = FrameEncoder(1, 1), DecoderSession()
    first, heartbeat, third = (numbered(encoder, n, count) for n, count in ((1, 2), (2, 0), (3, 2)))

    assert frame_header(heartbeat).base == 1
    DECODER.decode(heartbeat, None, session)
    assert (session.base, session.next) == (0, 0)
    DECODER.decode(first, None, session)
    assert refusal(third, session) == "base"
    DECODER.decode(heartbeat, None, session)
    assert DECODER.decode(third, None, session).records.count == 2


def test_frames_beside_the_numbering_touch_nothing() -> None:
    """A greeting or the declaration of a loss, of number 0, changes neither end."""
    encoder, session = FrameEncoder(1, 1), DecoderSession()
    DECODER.decode(numbered(encoder, 1), None, session)
    state = wire_fuzz.state_of(session)
    beside = numbered(encoder, 0, 0, key=True)

    assert frame_header(beside)[5:7] == (0, 0)
    assert not frame_header(beside).is_keyframe
    assert DECODER.decode(beside).records.count == 0
    DECODER.decode(beside, None, session)
    assert wire_fuzz.state_of(session) == state
    assert DECODER.decode(numbered(encoder, 2), None, session).records.count == 3


def test_an_encoder_begins_a_group_when_it_cannot_go_on() -> None:
    """The first frame, one after a number that is missing, and one after misuse stand alone."""
    encoder = FrameEncoder(1, 1)
    wrong = tools.to_slots([sample(1, START_NS, queue_depth=1)])
    wrong[0, 0] = 0
    bases = [frame_header(numbered(encoder, number)).base for number in (5, 6, 8, 9)]
    with pytest.raises(ValueError, match="count of slots"):
        encoder.encode(wrong, sequence=10, is_keyframe=False, **TIMES)
    bases.append(frame_header(numbered(encoder, 10)).base)

    assert bases == [5, 5, 8, 8, 10]


def test_a_full_table_begins_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neurons that report no more give their rows back when there are none left."""
    monkeypatch.setattr(codec_state, "NEURONS_MAX", 1_000)
    encoder, session = FrameEncoder(1, 1), DecoderSession()
    for number in range(1, 12):
        records = [sample(300 * number + i, START_NS, queue_depth=i) for i in range(300)]
        slots = tools.to_slots(records)
        frame = encoder.encode(slots, sequence=number, is_keyframe=False, **TIMES)

        assert DECODER.decode(frame, None, session).records.count == 300
        assert encoder.neurons <= 1_000
        assert frame_header(frame).base == session.base == (number - 1) // 3 * 3 + 1


def test_a_decoder_refuses_more_neurons_than_a_session_may_have() -> None:
    """Keys beyond the limit of a group are refused before there is memory for them."""
    encoder, session = FrameEncoder(1, 1), DecoderSession()
    DECODER.decode(numbered(encoder, 1), None, session)
    session.neurons = columns.KEYS_MAX - 1
    more = encoder.encode(
        tools.to_slots([sample(i, START_NS, queue_depth=1) for i in (77, 78)]),
        sequence=2, is_keyframe=False, **TIMES,
    )  # fmt: skip

    assert refusal(more, session) == "dictionary"
    assert len(session.rows) <= 1_000


def test_memory_grows_with_the_neurons_that_occur() -> None:
    """Small sessions are small; many neurons, told over frames, come back from tables that grow."""
    encoder, session = FrameEncoder(1, 1), DecoderSession()
    DECODER.decode(numbered(encoder, 1), None, session)
    assert session.rows.nbytes < 64 << 10
    ids = np.random.default_rng(4).permutation(60_000)
    for turn in range(2):
        for number, start in enumerate(range(0, 60_000, 10_000), 2 + 6 * turn):
            slots = np.zeros((10_000, 16), np.int64)
            slots[:, 0], slots[:, 1] = 1 | 1 << 8 | 1 << 32, ids[start : start + 10_000] + 3
            slots[:, 3] = slots[:, 1] * 1_000 + turn
            frame = encoder.encode(slots, sequence=number, is_keyframe=False, **TIMES)
            records = DECODER.decode(frame, None, session).records

            assert (records.ids[:10_000] == slots[:, 1].view(np.uint64)).all()
            assert (records.values[:10_000, 0] == slots[:, 3]).all()
    assert session.neurons == encoder.neurons == 60_003
    assert session.rows.ctypes.data % 64 == 0
    DECODER.decode(numbered(encoder, 14, key=True), None, session)
    DECODER.decode(numbered(encoder, 15, key=True), None, session)
    assert (session.neurons, encoder.neurons) == (3, 3)


def test_groups_are_large_by_what_they_could_save() -> None:
    """A keyframe is due after 1 MiB, or later where many neurons make it dear."""
    encoder = FrameEncoder(1, 1)
    encoder.group_bytes = (1 << 20) + 1
    assert encoder.is_group_large(1 << 30)
    numbered(encoder, 1, 10_000, key=True)
    encoder.group_bytes = (1 << 20) + 1
    assert not encoder.is_group_large(1 << 30)
    assert encoder.is_group_large(1 << 20)
    encoder.group_bytes = 512 * 10_000 + 1
    assert encoder.is_group_large(1 << 30)


def test_flags_say_which_frames_have_events_and_names() -> None:
    """Who looks for events or names need not open every frame."""
    event = naive.NaiveRecord(7, START_NS, int(Kind.EVENT), 1 << 16, {"event_type": 1}, b"")
    name = naive.NaiveRecord(7, START_NS, int(Kind.NAME), 0, {}, b"\x01a\x00\x00\x00")
    both, neither = tools.encode([event, name]), tools.encode([sample(1, START_NS)])

    assert frame_header(both).flags == KEYFRAME | EVENTS | NAMES
    assert frame_header(tools.encode([event])).flags == KEYFRAME | EVENTS
    assert frame_header(neither).flags == KEYFRAME


def test_steps_of_the_writer_are_what_the_reader_goes_by() -> None:
    """A coarser grid, and none at all: the frame declares it, and the reader needs no model."""
    values = [0.123456789, -7e300, 3.3, 41.87654]
    records = [sample(1, START_NS, signal_strength=v, noise_ratio=v) for v in values]
    steps = {"signal_strength": 0.0, "noise_ratio": 0.5}
    encoder = FrameEncoder(7, 1, "none", steps)

    frame = encoder.encode(tools.to_slots(records), sequence=3, **TIMES)

    found = [record.values for record in tools.from_records(DECODER.decode(frame).records)]
    assert [record["signal_strength"] for record in found] == values
    assert [record["noise_ratio"] for record in found] == [0.0, -7e300, 3.5, 42.0]
    assert [record.values for record in naive.decode(frame).records] == found


def test_damaged_frames_of_a_session_change_nothing(size: Callable[[int, int], int]) -> None:
    """Of 16,000 damaged frames (ten million at night) refused ones leave no trace, others open."""
    counts = [wire_fuzz.try_mutants(seed, size(16_000, 10_000_000) // 8) for seed in range(8)]

    assert all(refused > 0 and opened > 0 for refused, opened in counts)


def test_damage_that_reaches_new_lines_ends_the_same_compiled(
    size: Callable[[int, int], int],
) -> None:
    """A search guided by the lines of the plain kernels finds faults of all sorts, none a crash."""
    here = Path(__file__).parent
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": f"{here}:{here.parent}"}
    seed = 1
    command = [sys.executable, "-m", "wire_fuzz", str(seed), str(size(120, 20_000))]
    found = subprocess.run(
        command, env=environment, cwd=here, capture_output=True, text=True, check=False
    )

    assert found.stderr == ""
    lines, kept, outcomes = json.loads(found.stdout)
    assert lines > 250
    assert len({outcome for outcome in outcomes if outcome.isalpha()}) >= 3
    assert wire_fuzz.replay(seed, [bytes.fromhex(data) for data in kept]) == outcomes
