"""What a neuron reports: samples, events, health, links, and work that it times."""

import asyncio
import copy
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from capture_tools import Seen, Taker, producing, read_lane
from hypothesis import given
from hypothesis import strategies as st

import rnts
from rnts import layout
from rnts.model import EVENT, METRIC_NAMES, Kind
from rnts.producer import Producer
from rnts.segment import Segment, parse_names
from rnts.text import join_strings, split_strings

EVENTS: list[tuple[Any, dict[str, Any], list[str]]] = [
    (rnts.Activated(strength=0.5, trigger="timer"), {"event_value": 0.5}, ["timer"]),
    (rnts.Deactivated(reason="done"), {}, ["done"]),
    (rnts.ConnectionEstablished(peer_id=2**64 - 1), {"event_peer_id": 2**64 - 1}, []),
    (rnts.ConnectionLost(peer_id=3, reason="reset"), {"event_peer_id": 3}, ["reset"]),
    (rnts.ThresholdExceeded(metric="queue_depth", value=9), {"event_value": 9.0}, ["queue_depth"]),
    (rnts.ErrorOccurred(error_type="Timeout", details=""), {}, ["Timeout", ""]),
]


def names_of(segment: Segment) -> dict[int, list[str]]:
    """What the log of a segment says of each neuron."""
    length = segment.words[layout.HEADER_NAMES_BYTES // 8]
    entries, _ = parse_names(os.pread(segment.descriptor, length, segment.size))
    return {neuron_id: split_strings(raw) for neuron_id, raw in entries}


@pytest.fixture
def producer() -> Iterator[Producer]:
    """A producer of the test's own."""
    with producing() as (made, _):
        yield made


@pytest.fixture
def taker(producer: Producer, runtime_folder: Path) -> Taker:
    """Who takes what it records."""
    return Taker(runtime_folder)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still until the test moves it."""
    hands = SimpleNamespace(now_ns=1000)
    clocks = SimpleNamespace(perf_counter_ns=lambda: hands.now_ns, time_ns=lambda: hands.now_ns)
    for module in ("rnts.neuron", "rnts.ticks"):  # `rnts.neuron` is the function
        monkeypatch.setattr(sys.modules[module], "time", clocks)
    return hands


def test_samples_by_position_and_by_name(producer: Producer, taker: Taker) -> None:
    """Values go by the model's order or by name, and arrive as they were given."""
    neuron = producer.neuron("n", neuron_id=5)
    numbers = list(range(1, len(METRIC_NAMES) + 1))
    assert neuron.record(*numbers, 2, 0.5, timestamp_ns=77) is True
    assert neuron.record(health=2, activation_count=9, timestamp_ns=78) is True
    everything = dict(zip(METRIC_NAMES, numbers, strict=True)) | {"health": 2, "weight": 0.5}
    assert taker.take() == [
        Seen(Kind.SAMPLE, 5, 77, everything, []),
        Seen(Kind.SAMPLE, 5, 78, {"health": 2, "activation_count": 9}, []),
    ]


@pytest.mark.parametrize(("event", "values", "strings"), EVENTS, ids=lambda e: type(e).__name__)
def test_events_carry_their_fields(
    producer: Producer, taker: Taker, event: Any, values: dict[str, Any], strings: list[str]
) -> None:
    """Numbers of an event become fields, its texts strings, in the order of its class."""
    neuron = producer.neuron("n", neuron_id=5)
    assert neuron.event(event, timestamp_ns=77) is True
    values = {"event_type": EVENT[type(event).__name__].code, **values}
    assert taker.take() == [Seen(Kind.EVENT, 5, 77, values, strings)]


def test_every_event_of_the_model_is_tried_here() -> None:
    """The list above has them all."""
    assert [type(event).__name__ for event, _, _ in EVENTS] == list(EVENT)


def test_health_has_a_reason_or_none(producer: Producer, taker: Taker) -> None:
    """The state is a field of a sample, the reason its text."""
    neuron = producer.neuron("n", neuron_id=5)
    assert neuron.health(rnts.DEGRADED, "queue is growing", timestamp_ns=1) is True
    assert neuron.health(rnts.HEALTHY, timestamp_ns=2) is True
    assert taker.take() == [
        Seen(Kind.SAMPLE, 5, 1, {"health": 1}, ["queue is growing"]),
        Seen(Kind.SAMPLE, 5, 2, {"health": 0}, []),
    ]


def test_links_go_to_a_neuron_or_an_id(producer: Producer, taker: Taker) -> None:
    """What was sent names the peer; a latency that is not known is absent."""
    here, there = producer.neuron("a", neuron_id=5), producer.neuron("b", neuron_id=6)
    assert here.link(there).sent(3, bytes=100, latency_ns=50, timestamp_ns=1) is True
    assert here.link(7).sent(timestamp_ns=2) is True
    full = {"link_peer_id": 6, "link_messages": 3, "link_bytes": 100, "link_latency_ns": 50}
    bare = {"link_peer_id": 7, "link_messages": 1, "link_bytes": 0}
    assert taker.take() == [
        Seen(Kind.LINK, 5, 1, full, []),
        Seen(Kind.LINK, 5, 2, bare, []),
    ]


def test_links_are_kept_within_limits(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link to a peer is one object, however it is asked for; beyond a limit it is made anew."""
    monkeypatch.setattr(sys.modules["rnts.neuron"], "_LINKS_KEPT_MAX", 2)
    here, there = producer.neuron("a", neuron_id=5), producer.neuron("b", neuron_id=6)
    assert here.link(there) is here.link(6) is here.link(there)
    assert here.link(7) is here.link(7)
    assert here.link(8) is not here.link(8)
    assert [here.link(peer).peer_id for peer in (6, 7, 8)] == [6, 7, 8]


@pytest.mark.parametrize(
    ("peer", "error", "says"),
    [
        ("b", TypeError, "goes to a neuron or to an id, not to 'b'"),
        (None, TypeError, "not to None"),
        (6.0, TypeError, "not to 6.0"),
        (True, TypeError, "not to True"),
        ([6], TypeError, r"not to \[6\]"),
        (-6, ValueError, "is in 1 … 2.64 - 1, not -6"),
        (0, ValueError, "is in 1 … 2.64 - 1, not 0"),
        (2**64, ValueError, "not 18446744073709551616"),
    ],
)
def test_a_link_to_nobody_is_misuse(
    producer: Producer, peer: Any, error: type[Exception], says: str
) -> None:
    """What can be no peer is told when the link is made."""
    here = producer.neuron("a", neuron_id=5)
    here.link(1)
    with pytest.raises(error, match=says):
        here.link(peer)


class Undecided:
    """Is neither true nor false, as an array is."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


@pytest.mark.parametrize(
    "wrong", [-1, 1.5, "1", 2**64, Undecided()], ids=lambda w: type(w).__name__
)
@pytest.mark.parametrize("name", ["messages", "bytes", "latency_ns"])
def test_wrong_values_of_links_are_counted(producer: Producer, name: str, wrong: Any) -> None:
    """A value of a wrong type or range drops the record as `invalid`, and nothing is raised."""
    segment = producer.segment()
    assert segment is not None
    assert producer.neuron("a").link(7).sent(**{name: wrong}) is False
    assert read_lane(segment).drops == {"invalid": 1}


def test_unknown_keywords_of_links_are_left_out(
    producer: Producer, taker: Taker, caplog: pytest.LogCaptureFixture
) -> None:
    """They are warned about once, with what may be meant, and the rest is reported."""
    link: Any = producer.neuron("a", neuron_id=5).link(7)
    for _ in range(2):
        assert link.sent(bytes=100, latency=50, timestamp_ns=1) is True
    values = {"link_peer_id": 7, "link_messages": 1, "link_bytes": 100}
    assert [seen.values for seen in taker.take()] == [values, values]
    (warning,) = caplog.messages
    assert "did you mean latency_ns?" in warning


@given(strings=st.lists(st.text(max_size=300), max_size=4))
def test_strings_survive_or_end_in_an_ellipsis(strings: list[str]) -> None:
    """What fits comes back; what does not is cut between characters and says so."""
    back = split_strings(join_strings(*strings))

    assert len(back) == len(strings)
    for before, after in zip(strings, back, strict=True):
        before = before.encode("utf-8", "replace").decode()
        if len(before.encode()) <= 255:
            assert after == before
        else:
            assert after.endswith("…")
            assert before.startswith(after[:-1])
            assert 249 <= len(after.encode()) <= 255


@given(raw=st.binary(max_size=600))
def test_any_bytes_are_strings(raw: bytes) -> None:
    """Text that others wrote is taken apart without complaint, and none of it twice."""
    strings = split_strings(raw)

    assert len(strings) <= len(raw)
    assert sum(len(s) for s in strings) <= len(raw)


def test_activations_are_counted_and_timed(
    producer: Producer, taker: Taker, clock: SimpleNamespace
) -> None:
    """Each block is one activation with its duration, also one that fails."""
    neuron = producer.neuron("n")
    with neuron.activation():
        clock.now_ns += 30
    with pytest.raises(KeyError), neuron.activation():
        clock.now_ns += 5
        raise KeyError
    assert [s.values for s in taker.take()] == [
        {"activation_count": 1, "processing_time_ns": 30},
        {"activation_count": 2, "processing_time_ns": 5},
    ]


def test_an_activation_may_be_finished_by_hand(
    producer: Producer, taker: Taker, clock: SimpleNamespace
) -> None:
    """Where no block holds it, as between callbacks, what counts is when it began."""
    neuron = producer.neuron("n")
    start_ns = clock.now_ns
    clock.now_ns += 40
    assert neuron.finish(start_ns) is True
    with neuron.activation():
        pass
    assert [s.values for s in taker.take()] == [
        {"activation_count": 1, "processing_time_ns": 40},
        {"activation_count": 2, "processing_time_ns": 0},
    ]


def test_activations_of_coroutines_may_overlap(
    producer: Producer, taker: Taker, clock: SimpleNamespace
) -> None:
    """Each `with` and `async with` has its own beginning, whichever ends first."""
    neuron = producer.neuron("n")
    turns = [asyncio.Event() for _ in range(4)]

    async def plain(start: int, end: int) -> None:
        await turns[start].wait()
        with neuron.activation():
            await turns[end].wait()

    async def awaited(start: int, end: int) -> None:
        await turns[start].wait()
        async with neuron.activation():
            await turns[end].wait()

    async def everything() -> None:
        tasks = [asyncio.create_task(c) for c in (plain(0, 3), awaited(1, 2), plain(1, 3))]
        for turn in turns:
            clock.now_ns += 100
            turn.set()
            for _ in range(5):
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(everything())
    seen = [s.values for s in taker.take()]
    assert sorted(values["processing_time_ns"] for values in seen) == [100, 200, 300]
    assert [values["activation_count"] for values in seen] == [1, 2, 3]


def test_a_neuron_says_who_it_is(producer: Producer) -> None:
    """The handle shows name and id, and the id of a name is the same everywhere."""
    neuron = producer.neuron("worker-7", group="ingest", role="parser")
    assert neuron.id == rnts.name_to_id("worker-7") == 12535709372031546042
    assert repr(neuron) == "<rnts.Neuron 'worker-7' id=12535709372031546042>"
    assert (neuron.name, neuron.group, neuron.role) == ("worker-7", "ingest", "parser")


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))]
)
def test_a_copy_is_a_handle_of_the_same_neuron(
    again: Any, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects that hold a neuron can be copied, and sent to another process, with their links."""
    with producing() as (producer, segment):
        monkeypatch.setattr("rnts.PROCESS", producer)
        neuron = producer.neuron(
            "n", group="g", role="r", host="far", neuron_id=5, importance="critical_path"
        )
        link = again(neuron.link(9))
        made = link._neuron
        assert made.record(queue_depth=1)
        assert link.sent()
        assert (made.id, made.name, made.group, made.role) == (5, "n", "g", "r")
        assert made.importance == neuron.importance != rnts.neuron("m").importance
        assert names_of(segment)[5] == ["n", "g", "r", "far"]
        assert [seen.neuron_id for seen in Taker(runtime_folder).take()] == [5, 5]


def test_ids_of_numpy_are_ids(producer: Producer) -> None:
    """What counts as an int counts as an id."""
    neuron = producer.neuron("n", neuron_id=np.uint64(7))  # type: ignore[arg-type]
    assert (neuron.id, neuron.link(np.int64(8)).peer_id) == (7, 8)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [-1, 0, 2**64])
def test_an_id_that_cannot_be_is_told_and_spoils_no_name(wrong: int) -> None:
    """`announce` refuses it before any name is taken: later ones and those of a child get through.

    It once stayed among the names, and raised from the first record after a fork.
    """
    with producing() as (producer, segment):
        with pytest.raises(ValueError, match=f"not {wrong}"):
            producer.announce([1, wrong], ["a", "b"], "g")
        producer.neuron("n", neuron_id=2)
        assert list(names_of(segment)) == list(producer._names) == [2]


def test_handles_hold_no_more_than_they_need(producer: Producer) -> None:
    """A misspelt attribute is an error and not a new attribute."""
    neuron: Any = producer.neuron("n")
    with pytest.raises(AttributeError):
        neuron.nmae = "x"


@pytest.mark.parametrize("state", [4, 9, -1, 1.5, "critical", None, [1]])
def test_what_is_no_state_of_health_is_counted(state: Any, runtime_folder: Path) -> None:
    """Nothing is reported of it, and the record is `invalid`."""
    with producing() as (producer, segment):
        neuron = producer.neuron("n")
        assert neuron.health(state) is False
        assert neuron.health(rnts.CRITICAL) is True
        assert len(Taker(runtime_folder).take()) == 1
        assert read_lane(segment).drops == {"invalid": 1}
