"""Names on their way from the logs of segments into frames, and again for whoever needs them."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from capture_tools import producing
from hypothesis import given
from hypothesis import strategies as st

from rnts import attached, layout
from rnts.collector import Collector
from rnts.model import SLOT_BYTES, SLOTS_MAX, Kind
from rnts.names import NameFeed
from rnts.producer import Producer
from rnts.segment import Segment, parse_names
from rnts.text import join_strings, split_strings

ROOM = 1 << 16


@pytest.fixture
def program() -> Iterator[tuple[Producer, Segment]]:
    """A producer of the test's own, with its segment."""
    with producing() as made:
        yield made


def feed_of(folder: Path) -> tuple[Collector, NameFeed]:
    """A new reader of the segments of a folder."""
    collector = Collector(lambda: [folder])
    collector.discover()
    return collector, NameFeed(collector)


def read_all(feed: NameFeed, room: int = ROOM) -> list[tuple[int, list[str]]]:
    """Ids and strings of all names that the feed gives until it has none."""
    found: list[tuple[int, list[str]]] = []
    while len(slots := feed.next_slots(room)):
        assert len(slots) <= room
        raw = slots.tobytes()
        position = 0
        while position < len(raw):
            kind, count = raw[position], raw[position + 1]
            text_bytes = int.from_bytes(raw[position + 2 : position + 4], "little")
            neuron_id = int.from_bytes(raw[position + 8 : position + 16], "little")
            text = raw[position + SLOT_BYTES : position + SLOT_BYTES + text_bytes]
            assert kind == Kind.NAME
            assert count == 1 + -(-text_bytes // SLOT_BYTES) <= SLOTS_MAX
            found.append((neuron_id, split_strings(text)))
            position += count * SLOT_BYTES
    return found


def test_names_become_records(program: tuple[Producer, Segment], runtime_folder: Path) -> None:
    """Each name arrives with group, role and host, under the neuron's id, once."""
    producer, _ = program
    one = producer.neuron("a", group="g", role="r", host="h")
    other = producer.neuron("ä" * 127, group="x" * 255, role="y" * 255, host="z" * 255)
    _, feed = feed_of(runtime_folder)
    assert read_all(feed) == [
        (one.id, ["a", "g", "r", "h"]),
        (other.id, ["ä" * 127, "x" * 255, "y" * 255, "z" * 255]),
    ]
    assert read_all(feed) == []
    producer.neuron("b", host="h")
    assert [strings[0] for _, strings in read_all(feed)] == ["b"]


def test_names_outlive_their_readers(
    program: tuple[Producer, Segment], runtime_folder: Path
) -> None:
    """A new agent reads the whole log; an aggregator that starts anew is told all again."""
    producer, _ = program
    ids = [producer.neuron(f"name-{i}").id for i in range(10)]
    first, feed = feed_of(runtime_folder)
    assert [neuron_id for neuron_id, _ in read_all(feed)] == ids
    first.close()
    _, feed = feed_of(runtime_folder)
    assert [neuron_id for neuron_id, _ in read_all(feed)] == ids
    ids.append(producer.neuron("later").id)
    feed.start_over()
    assert [neuron_id for neuron_id, _ in read_all(feed)] == ids


def test_many_names_pass_in_pieces(program: tuple[Producer, Segment], runtime_folder: Path) -> None:
    """A log larger than a chunk and than a frame's room arrives in order, without a gap."""
    producer, _ = program
    count = 20_000
    producer.announce(range(1, count + 1), [f"name-{i}" for i in range(count)], "g")
    _, feed = feed_of(runtime_folder)
    slots = feed.next_slots(100)
    assert 0 < len(slots) <= 100
    assert feed.has_more
    first = slots[slots[:, 0] & 0xFF == int(Kind.NAME), 1].tolist()
    rest = [neuron_id for neuron_id, _ in read_all(feed)]
    assert [i for i in first if i < 2**32] + rest == list(range(1, count + 1))
    assert not feed.has_more


def test_without_room_names_wait(program: tuple[Producer, Segment], runtime_folder: Path) -> None:
    """Where a frame has no room for the longest name, none is taken and none is lost."""
    program[0].neuron("a")
    _, feed = feed_of(runtime_folder)
    assert len(feed.next_slots(SLOTS_MAX - 1)) == 0
    assert len(read_all(feed)) == 1


def test_a_torn_tail_is_not_read(program: tuple[Producer, Segment], runtime_folder: Path) -> None:
    """What a program wrote and died before publishing is no name, and harms no later one."""
    producer, segment = program
    producer.neuron("a")
    length = segment.words[layout.HEADER_NAMES_BYTES // 8]
    os.pwrite(segment.descriptor, b"\x20\x00torn", segment.size + length)
    _, feed = feed_of(runtime_folder)
    assert [strings[0] for _, strings in read_all(feed)] == ["a"]
    producer.neuron("b")
    assert [strings[0] for _, strings in read_all(feed)] == ["b"]


@pytest.mark.parametrize("published", [2**63, 2**64 - 1, 10**12, 30, 11])
def test_a_length_that_cannot_be_ends_the_log(
    published: int, program: tuple[Producer, Segment], runtime_folder: Path
) -> None:
    """A published length beyond the file, or in the middle of a name, gives what is whole."""
    producer, segment = program
    producer.neuron("a", host="h")
    producer.neuron("b", host="h")
    segment.words[layout.HEADER_NAMES_BYTES // 8] = published
    _, feed = feed_of(runtime_folder)
    names = [strings[0] for _, strings in read_all(feed)]
    assert names == ["a", "b"][: len(names)]
    assert read_all(feed) == []


def test_entries_that_no_producer_writes_are_counted(
    program: tuple[Producer, Segment], runtime_folder: Path
) -> None:
    """Texts that are too long and ids that are nobody's are left out, under `name`."""
    producer, segment = program
    producer.neuron("a", host="h")
    texts = {1: b"x" * 1025, 2: b"x" * 65_535, 0: b"\x01x", 3: join_strings("b")}
    segment.append_names(texts)
    collector, feed = feed_of(runtime_folder)
    assert [strings[0] for _, strings in read_all(feed)] == ["a", "b"]
    assert collector.refused == {"name": 3}


@given(
    log=st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1), st.one_of(st.binary(max_size=40), st.just(b"x" * 3000))
        )
    ),
    cut=st.integers(0, 200),
)
def test_a_log_is_read_as_far_as_it_is_whole(log: list[tuple[int, bytes]], cut: int) -> None:
    """Cut anywhere, the entries before the cut are read, and the bytes that they took are told."""
    entries = [
        len(text).to_bytes(2, "little") + key.to_bytes(8, "little") + text for key, text in log
    ]
    raw = b"".join(entries)
    names, used = parse_names(raw[: max(0, len(raw) - cut)])
    assert names == log[: len(names)]
    assert used == sum(len(entry) for entry in entries[: len(names)])
    assert len(names) == len(log) or used + len(entries[len(names)]) > len(raw) - cut


@given(raw=st.binary(max_size=400), published=st.integers(0, 500))
def test_any_bytes_in_the_log_end(raw: bytes, published: int) -> None:
    """Whatever a log holds, reading comes to its end, and every record that it gives is sound."""
    with producing() as (_, segment):
        os.pwrite(segment.descriptor, raw, segment.size)
        segment.words[layout.HEADER_NAMES_BYTES // 8] = published
        collector, feed = feed_of(segment.path.parent)
        names = read_all(feed)
        assert len(names) <= len(raw) // 10
        assert collector.segments[0].names_position == published
        collector.close()


def test_chunks_hold_the_longest_entry() -> None:
    """So that bytes without a whole entry are known to be none."""
    assert layout.NAME_HEADER_BYTES + np.iinfo(np.uint16).max < attached._NAMES_CHUNK_BYTES
