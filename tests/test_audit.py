"""The audit: what lanes say now against what the books say, and each difference named."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from capture_tools import Taker, producing
from hypothesis import given
from hypothesis import strategies as st

from rnts import layout
from rnts.accounting import LANE_DROPS, SOURCE_COLUMNS
from rnts.accounts import Accounts
from rnts.attached import source_key
from rnts.audit import Audit, LaneReading, examine, read_lanes
from rnts.handover import table_of
from rnts.kernels import lane as kernel

NO_DROPS = dict.fromkeys(LANE_DROPS, 0)
KEY = 42


def lane(**changes: Any) -> LaneReading:
    """A lane of which an agent has taken all but two of ten records."""
    made = LaneReading(
        segment="1-2-0.seg", lane=3, key=KEY, attempts=13, dropped={**NO_DROPS, "lane_full": 3},
        sampled_out=0, delivered=8, corrupt=0, occupied_slots=2,
    )  # fmt: skip
    return replace(made, **changes)


def books(balanced: bool = True, known: bool = True, **now: int) -> dict[str, Any]:
    """What the aggregator answers when it has the lane's first seven attempts and six records."""
    counters = {**dict.fromkeys(SOURCE_COLUMNS, 0), "attempts": 7, "delivered": 6, "lane_full": 1}
    counters |= now
    settled = counters["delivered"] + counters["lane_full"] + counters["corrupt"]
    in_flight = counters["attempts"] - settled
    totals = {
        "emitted": 7, "aggregated": 6, "sampled_out": 0, "dropped": {"lane_full": 1},
        "in_flight": in_flight, "balanced": balanced,
    }  # fmt: skip
    source = {"key": KEY, "now": counters, "in_flight": in_flight}
    return {"accounting": totals, "sources": [source] if known else []}


def test_what_moved_meanwhile_is_found() -> None:
    """Attempts since the last row are in the lane, with the agent, or dropped."""
    audit = examine([lane()], books())
    assert audit.is_balanced
    assert audit.document() == {
        "version": 1, "emitted": 13, "aggregated": 6, "sampled_out": 0,
        "dropped": {"lane_full": 3},
        "in_flight": {"in_lanes": 2, "with_agent": 2, "unattached": 0},
        "difference": 0, "balanced": True, "quarantined": [], "problems": [],
    }  # fmt: skip


def test_a_quiet_system_has_nothing_in_flight() -> None:
    """When lane and books agree all is aggregated or dropped."""
    quiet = lane(attempts=7, delivered=6, dropped={**NO_DROPS, "lane_full": 1}, occupied_slots=0)
    audit = examine([quiet], books())
    assert audit.is_balanced
    assert (audit.in_flight, audit.emitted, audit.dropped) == (0, 7, {"lane_full": 1})


def test_lanes_that_no_agent_reported_are_unattached() -> None:
    """Their records are in flight, and no problem."""
    audit = examine([lane(delivered=0, attempts=10)], books(known=False))
    assert audit.is_balanced
    assert (audit.unattached, audit.in_flight, audit.emitted) == (7, 7, 14)


@pytest.mark.parametrize(
    ("reading", "answer", "said"),
    [
        (lane(), books(balanced=False), "books do not agree with the rows"),
        (lane(delivered=11), books(), "1-2-0.seg lane 3: 1 more records came out than went in"),
        (lane(delivered=4, attempts=9), books(), "2 records arrived that were never taken"),
        (lane(occupied_slots=-1), books(), "its positions cannot be"),
        (lane(occupied_slots=1 << 34), books(), "its positions cannot be"),
        (lane(delivered=12, attempts=10), books(known=False), "5 more records came out"),
    ],
)
def test_each_kind_of_gap_is_named(reading: LaneReading, answer: dict[str, Any], said: str) -> None:
    """What cannot be is a problem with the lane's name, and the books do not balance."""
    audit = examine([reading], answer)
    assert not audit.is_balanced
    assert said in "\n".join(audit.problems)
    assert audit.document()["balanced"] is False


def test_totals_that_do_not_add_up_are_a_difference() -> None:
    """Records that are neither anywhere nor dropped are the difference."""
    answer = books()
    answer["accounting"]["aggregated"] = 4
    audit = examine([lane()], answer)
    assert (audit.difference, audit.is_balanced) == (2, False)
    assert not Audit(emitted=1).is_balanced


@given(
    before=st.lists(st.sampled_from(["record", "refuse", "take", "tell"]), max_size=30),
    after=st.lists(st.sampled_from(["record", "refuse", "take"]), max_size=10),
)
def test_real_lanes_and_books_balance_at_any_moment(before: list[str], after: list[str]) -> None:
    """Whatever was recorded, taken and told, and whatever happens after the books are read."""
    with producing(lanes=2, lane_slots=16) as (producer, segment):
        neuron, taker, accounts = producer.neuron("n"), Taker(segment.path.parent), Accounts()
        folded = in_memory = 0
        for step in [*before, "answer", *after]:
            if step == "record":
                neuron.record(queue_depth=1)
            elif step == "refuse":
                neuron.event(None)  # type: ignore[arg-type]
            elif step == "take":
                in_memory += len(taker.take())
            elif step == "tell":
                accounts.enter((1, 1), table_of(taker.collector.baselines))
                accounts.enter((1, 1), taker.collector.source_rows())
                taker.collector.baselines.clear()
                folded, in_memory = folded + in_memory, 0
            else:
                sources = accounts.sources()
                answer = {"accounting": accounts.document(folded, 0, 0), "sources": sources}
        lanes = read_lanes([segment.path.parent])
        audit = examine(lanes, answer)
        taker.collector.close()
    assert audit.is_balanced, audit
    made = sum(step in ("record", "refuse") for step in before + after)
    if sources:
        assert audit.emitted == made == sum(reading.attempts for reading in lanes)
        assert audit.with_agent == in_memory
    assert audit.aggregated == folded


def test_a_producer_that_goes_on_makes_no_false_alarm(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records made and taken while the audit reads never look as if more came out than went in."""
    original = os.pread

    def busy(descriptor: int, length: int, offset: int) -> bytes:
        for i in range(20):
            neuron.record(queue_depth=i)
        return original(descriptor, length, offset)

    with producing() as (producer, _):
        neuron = producer.neuron("n")
        neuron.record(queue_depth=1)
        monkeypatch.setattr(os, "pread", busy)
        [reading] = read_lanes([runtime_folder])
    assert (reading.attempts, reading.delivered, reading.in_lane) == (21, 0, 21)


def test_reading_takes_nothing_and_needs_no_lock(runtime_folder: Path) -> None:
    """All lanes of all segments are read beside their agent, under the keys of the books."""
    with producing() as (producer, segment), producing() as (other, _):
        neuron = producer.neuron("n")
        for value in (1, 2):
            neuron.record(queue_depth=value)
        neuron.event(None)  # type: ignore[arg-type]
        other.neuron("n").record(queue_depth=1)
        taker = Taker(runtime_folder)
        taker.take()
        neuron.record(queue_depth=1)
        before = segment.buffer[:]
        first, second = read_lanes([runtime_folder])
        assert segment.buffer[:] == before
        assert first == LaneReading(
            segment=segment.path.name, lane=0, key=source_key(segment.path, 0), attempts=4,
            dropped={**NO_DROPS, "invalid": 1}, sampled_out=0, delivered=2, corrupt=0,
            occupied_slots=1,
        )  # fmt: skip
        assert (first.in_lane, second.in_lane) == (1, 0)
        assert taker.collector.lanes[:, kernel.KEY].tolist() == [first.key, second.key]
    assert read_lanes([runtime_folder, runtime_folder / "none"]) == []


@given(
    words=st.lists(
        st.tuples(st.integers(0, 600), st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 70))),
        max_size=10,
    ),
    cut=st.one_of(st.just(1 << 20), st.integers(0, 6000)),
)
def test_no_bytes_of_a_segment_harm_the_audit(words: list[tuple[int, int]], cut: int) -> None:
    """Whatever stands in a file, reading it ends, and gives lanes or none."""
    with producing(lanes=2, lane_slots=8) as (producer, segment):
        producer.neuron("n").record(queue_depth=1)
        for index, value in words:
            segment.words[index] = value
        folder = segment.path.parent
        (folder / "copy.seg").write_bytes(segment.buffer[:cut])
        lanes = read_lanes([folder])
        assert len(lanes) <= 2 * layout.LANES_MAX
        examine(lanes, books()).document()
        (folder / "copy.seg").unlink()


def test_files_that_are_no_segments_are_passed_over(runtime_folder: Path) -> None:
    """Folders, links, pipes and text beside the segments neither fail nor hold the audit up."""
    (runtime_folder / "a.seg").mkdir()
    (runtime_folder / "b.seg").symlink_to("/dev/zero")
    os.mkfifo(runtime_folder / "c.seg")
    (runtime_folder / "d.seg").write_text("x" * 10_000)
    (runtime_folder / "e.seg").write_text("")
    with producing() as (producer, _):
        producer.neuron("n").record(queue_depth=1)
        assert len(read_lanes([runtime_folder])) == 1
