"""Producers and agents killed after every single machine instruction leave whole records and true
accounts, at every wrap phase of a lane.

What a SIGKILL leaves behind is the shared memory as it is at that moment. So each sweep steps
through one call and gives a copy of the segment to a new agent whenever an instruction has changed
a byte of it; between two changes every kill leaves the same. That kills do leave just this is shown
by real ones, after some of the instructions (nightly: of compiled emitters after each, in the first
phase): each needs a child of its own that steps there, so n of them take n * n steps.
Everyday, what comes before the first store to the lane is not looked at one by one (nightly it is).
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from capture_tools import Counters, Taker, read_lane
from kill_tools import EMITTERS, Prepared, drain_remains, is_under_way, prepared
from single_step import SteppedChild, can_watch, reason_not_to_step

from rnts import layout

Size = Callable[[int, int], int]
Check = Callable[[bytes], bool]  # of what is left: whether something was under way

SWEEPS = [(name, slots) for name in EMITTERS for slots in (2, 4) if EMITTERS[name].slots <= slots]


@pytest.fixture(autouse=True)
def stepping() -> None:
    """Skip where nobody may trace."""
    if reason := reason_not_to_step():
        pytest.skip(reason)


@pytest.fixture
def folder(runtime_folder: Path) -> Path:
    """Where remains are drained, away from the segment of the test."""
    made = runtime_folder / "remains"
    made.mkdir()
    return made


def phases(name: str, lane_slots: int, size: Size) -> Iterator[tuple[int, int]]:
    """Records taken before and waiting now: each place of the tail with each fill of the lane.

    Everyday the plain emitters, of ten thousand instructions, have the last slot and a full lane,
    as have those whose record goes nowhere.
    """
    fits = lane_slots // EMITTERS[name].slots
    is_brief = EMITTERS[name].is_refused or not EMITTERS[name].is_compiled
    if size(1, 0) and is_brief:
        yield from [(lane_slots - 1, 0), (1, fits)] if lane_slots == 2 else [(lane_slots - 1, 0)]
        return
    for taken in range(0, lane_slots + 1, size(lane_slots // 2, 1)):
        for waiting in range(fits + 1):
            yield taken, waiting


def up_to_attempt(phase: Prepared, child: SteppedChild) -> Iterator[int]:
    """Go at once to the store of the attempt, before which nothing may have changed.

    What comes before it is some thousand instructions of the interpreter.
    """
    before = np.frombuffer(phase.lanes(), np.int64)
    if child.run_to_store(phase.attempts_address()):
        changed = np.flatnonzero(np.frombuffer(phase.lanes(), np.int64) != before)
        assert changed.tolist() == [(layout.lane_offset(0) + layout.LANE_ATTEMPTS) // 8]
        yield child.steps


def sweep(
    phase: Prepared, child: SteppedChild, check: Check, skipped: Iterable[int] = ()
) -> tuple[int, int]:
    """Check what is left after every instruction: from the first that changes it, how many do
    matter, and after how many something was under way."""
    last, image, is_open, first, latest, open_count = phase.lanes(), phase.image(), False, 0, 0, 0
    for step in chain(skipped, child.every_step()):
        if (lanes := phase.lanes()) != last:
            last, image, latest = lanes, phase.image(), step
            is_open = check(image)
            first = first or step
        open_count += is_open
    assert first, "the call has changed nothing"
    assert phase.image() == image, "the call has changed what is not looked at after each step"
    assert not is_open, "the call was not made to its end"
    return latest - first + 2, open_count


def kill_after(
    phase: Prepared, child: SteppedChild, count: int, skipped: Iterable[int] = ()
) -> bytes:
    """Kill a child `count` instructions after its first change; what it leaves."""
    before, lanes = phase.image(), phase.lanes()
    for _ in chain(skipped, child.every_step()):
        if phase.lanes() != lanes:
            break
    while count > 0 and child.step():
        count -= 1
    child.kill()
    image = phase.image()
    phase.restore(before)
    return image


def check_record(phase: Prepared, before: bytes, image: bytes) -> bool:
    """What was there arrives, and the new record whole or not at all; whether it was torn."""
    remains = drain_remains(image, phase.folder)
    values = [seen.time_ns for seen in remains.records]
    assert values in (phase.waiting, [*phase.waiting, phase.value])
    assert all(phase.emitter.is_whole(seen, seen.time_ns) for seen in remains.records)
    is_torn = remains.row["torn"] == 1
    assert is_torn == is_under_way(image, before)
    return is_torn


def emit_once(phase: Prepared) -> SteppedChild:
    """A child that is about to make the record."""
    return SteppedChild(lambda: phase.emit(phase.value))


@pytest.mark.parametrize(("name", "lane_slots"), SWEEPS)
def test_a_producer_killed_after_any_instruction_leaves_whole_records(
    name: str, lane_slots: int, folder: Path, size: Size
) -> None:
    """Records before it arrive; the one under way does so whole, or is dropped, or is torn."""
    emitter = EMITTERS[name]
    skip = up_to_attempt if size(1, 0) and can_watch() else lambda phase, child: iter(())
    kills = size(3, 1 << 20) if emitter.is_compiled else size(1, 5)
    for taken, waiting in phases(name, lane_slots, size):
        with prepared(emitter, lane_slots, taken, waiting, folder) as phase:
            before = phase.image()
            check = partial(check_record, phase, before)
            with emit_once(phase) as child:
                span, torn = sweep(phase, child, check, skip(phase, child))
                check_end(phase, read_lane(phase.segment))
                phase.restore(before)
            assert torn > 0, "no instruction lay between the attempt and its end"
            for count in range(0, span, max(1, span // kills)) if kills else ():
                with emit_once(phase) as child:
                    is_torn = check(kill_after(phase, child, count, skip(phase, child)))
                assert is_torn or count > 0, "the attempt is not what is stored first"
        kills = size(0, 3)  # everyday in one phase only


def check_end(phase: Prepared, counters: Counters) -> None:
    """Nobody killed it: the record was published, or dropped where that had to be."""
    emitter = phase.emitter
    is_full = (len(phase.waiting) + 1) * emitter.slots > phase.segment.lane_slots
    reason = "invalid" if emitter.is_refused else "lane_full"
    assert counters.attempts == phase.value
    assert (reason in counters.drops) == (is_full or emitter.is_refused)


AGENT_PHASES = [("njit", 2, 0, 2), ("njit", 4, 3, 2), ("struct, 2 slots", 4, 1, 2)]


def agent_of(phase: Prepared) -> SteppedChild:
    """A child that is an agent, and is about to take one slot's worth, and then the rest."""
    agents: list[Taker] = []

    def attach() -> None:
        agents.append(Taker(phase.segment.path.parent))
        agents[0].collector.discover()
        agents[0].collector.source_rows()

    def work() -> None:
        collector, room = agents[0].collector, agents[0].room
        filled = collector.drain(room, 0, 1)
        collector.drain(room, filled, 1 << 20)
        collector.source_rows()

    return SteppedChild(work, attach)


def check_handover(phase: Prepared, image: bytes) -> bool:
    """The next agent takes what the note does not count as taken; whether a note was under way."""
    words = np.frombuffer(image, np.int64, layout.LANE_BYTES // 8, layout.lane_offset(0))
    head = int(words[layout.LANE_HEAD // 8])
    notes = [words[start // 8 :][:3].tolist() for start in layout.LANE_NOTES]
    [counts] = {tuple(note[1:]) for note in notes if note[0] == head} or {(0, 0)}
    delivered = head // phase.emitter.slots
    assert counts == (delivered, 0)

    remains = drain_remains(image, phase.folder)
    rest = phase.waiting[delivered - phase.value + 1 :] if delivered < phase.value - 1 else []
    assert [seen.time_ns for seen in remains.records] == rest
    assert all(phase.emitter.is_whole(seen, seen.time_ns) for seen in remains.records)
    assert (remains.row["delivered"], remains.row["torn"]) == (phase.value - 1, 0)
    return any(note[0] > head for note in notes)


@pytest.mark.parametrize(("name", "lane_slots", "taken", "waiting"), AGENT_PHASES)
def test_an_agent_killed_after_any_instruction_hands_each_record_over_once(
    name: str, lane_slots: int, taken: int, waiting: int, folder: Path, size: Size
) -> None:
    """Head and counts stay together: the next agent goes on exactly where the note says."""
    with prepared(EMITTERS[name], lane_slots, taken, waiting, folder) as phase:
        before = phase.image()
        with agent_of(phase) as child:
            span, under_way = sweep(phase, child, partial(check_handover, phase))
        assert under_way > 0, "no instruction lay between a note and its head"
        phase.restore(before)
        for count in range(0, span, max(1, span // size(2, 200))):
            with agent_of(phase) as child:
                image = kill_after(phase, child, count)
            check_handover(phase, image)
