"""Replay: a recording makes the same windows each time, by frames that say what they said."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from recording_tools import (
    AGENT,
    SECOND,
    START_NS,
    InProcess,
    batches,
    entries,
    frames,
    name_of,
    record_to,
)
from wire_tools import from_records

from rnts.delivery import Message, Type
from rnts.digest import Digest
from rnts.errors import ConnectError
from rnts.frame import DecoderSession, FrameDecoder, frame_header
from rnts.kernels.neurons import COLUMNS
from rnts.panes import LATENCY_COLUMN
from rnts.recordings import player as module
from rnts.recordings.player import Played, Player
from rnts.recordings.reader import Reader
from rnts.recordings.retelling import Identity, record_count, retell


class Never:
    """A stop that is never set."""

    def is_set(self) -> bool:
        """Whether to end."""
        return False


def play(path: Path, **options: Any) -> tuple[Played, dict[str, Any], InProcess]:
    """Play a recording to an aggregator of its own: what became of it, and what that one says."""
    place = InProcess()
    place.aggregator.windows.digests.is_on = True
    player = Player(Reader(path), place, **({"speed": 0.0} | options))
    played = player.play(Never())
    place.aggregator.step(0)
    return played, place.aggregator.snapshot(), place


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A recording of two agents in turn, over several windows, one of them with names."""
    first = frames([[name_of(1, "one", "left")], *batches(14)], keyframes=(1, 8))
    second = frames(batches(9), agent=AGENT + 1, compression="lz4", steps={"signal_strength": 0})
    told = [*entries(first), *entries(second, agent=AGENT + 1)]
    path = tmp_path / "file"
    record_to(path, sorted(told, key=lambda each: each.at_ns))
    return path


def test_the_same_recording_makes_the_same_windows(path: Path) -> None:
    """Played twice, at different speeds, all statistics of windows agree, and the books balance."""
    found = []
    for speed in (0.0, 1_000.0):
        played, snapshot, place = play(path, speed=speed)
        assert played.is_whole and not played.skipped
        assert (played.frames, played.records, played.lives) == (24, 69, 2)
        account = snapshot["accounting"]
        assert account["balanced"] and account["aggregated"] == 69 and not account["dropped"]
        found.append([comparable(each) for each in place.aggregator.windows.digests.fetch()])
    assert found[0] == found[1]
    assert sum(head["records"] for head, *_ in found[0]) == 69
    assert all("left" in head["groups"] for head, *_ in found[0])


def comparable(digest: Digest) -> tuple[Any, ...]:
    """All statistics of a window but those of how old its records were."""
    kept = [column for column in range(COLUMNS) if column != LATENCY_COLUMN]
    is_kept = digest.cells % COLUMNS != LATENCY_COLUMN
    moments = digest.moments.reshape(len(digest.groups), -1, COLUMNS)[:, :, kept]
    buckets = [each[is_kept].tolist() for each in (digest.cells, digest.indices, digest.counts)]
    return digest.head(), digest.words.tolist(), moments.tolist(), buckets


@pytest.mark.parametrize("compression", ["none", "lz4", "rice"])
def test_a_frame_told_again_says_the_same(compression: str) -> None:
    """Its records are bit for bit those of the recorded frame, at times that are moved alike."""
    shift_ns = 5 * SECOND
    teller, number = Identity(99, 100, 101), 40
    decoder, other = FrameDecoder(), FrameDecoder()
    session, retold_session = DecoderSession(), DecoderSession()
    made = frames(
        batches(9, 7), keyframes=(1, 5), compression=compression, steps={"cpu_usage_percent": 0.3}
    )
    for frame in made:
        header = frame_header(frame)
        was = decoder.decode(frame, header, session)
        retold = retell(frame, header, teller, number, record_count(was.sources), shift_ns)
        said = other.decode(retold, None, retold_session)
        assert (said.agent_id, said.incarnation, said.sequence) == (99, 100, number)
        assert said.watermark_ns == was.watermark_ns + shift_ns
        moved = [vars(r) | {"time_ns": r.time_ns + shift_ns} for r in from_records(was.records)]
        assert [vars(r) for r in from_records(said.records)] == moved
        number += 1
    assert teller.rows(0)[0, :6].tolist() == [101, 0, 0, 27, 0, 27]


def test_times_move_by_whole_seconds_and_not_into_the_future(path: Path) -> None:
    """With --shift-to-now nothing is late or of the future, also where it is played at once."""
    for speed in (0.0, 1_000.0):
        played, snapshot, place = play(path, speed=speed, shifts_to_now=True)
        assert snapshot["accounting"]["dropped"] == {}
        told = [frame_header(parts[1]) for parts in place.sent if len(parts) == 2]
        first = next(header for header in told if header.sequence == 1)
        moved_ns = first.watermark_ns - START_NS
        assert moved_ns > SECOND and moved_ns % SECOND == 0
        assert played.is_whole


def test_what_has_no_keyframe_is_left_out_and_counted(tmp_path: Path) -> None:
    """After a gap a life goes on at its next keyframe; the books of what was told balance."""
    path = tmp_path / "file"
    told = entries(frames(batches(10), keyframes=(1, 7)))
    record_to(path, [*told[:3], *told[4:]])
    played, snapshot, _ = play(path)
    assert played.skipped == {"base": 2}
    assert (played.frames, played.records) == (7, 21)
    account = snapshot["accounting"]
    assert account["balanced"] and account["aggregated"] == 21


def test_an_aggregator_that_wishes_a_keyframe_gets_none_it_cannot_have(path: Path) -> None:
    """The wish of a tap does not make a recording leave anything out."""
    place = InProcess()
    place.aggregator.taps.on_tap("viewer", Message(Type.TAP, 5, 0, 0, 0, 1), 0, 0)
    played = Player(Reader(path), place, speed=0.0).play(Never())
    assert (played.records, played.skipped) == (69, Counter())


def test_without_an_aggregator_it_ends(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers for some seconds, that is said."""
    monkeypatch.setattr(module, "SILENCE_NS_MAX", 50_000_000)

    class Deaf(InProcess):
        def receive(self, *timeout_ms: int) -> Any:
            return []

    with pytest.raises(ConnectError, match="no aggregator answers"):
        Player(Reader(path), Deaf()).play(Never())
