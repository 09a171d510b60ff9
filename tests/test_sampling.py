"""Sampling in programs: what is new is kept, chances are kept to, each emitter does alike."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampling_tools import KINDS, NEURON, Bench, lane_block, record_sample

import rnts
from rnts import layout
from rnts.events import ErrorOccurred
from rnts.kernels import sampling as kernel
from rnts.model import Kind
from rnts.plain_sampling import BUSY_SAMPLES, TROUBLE_EPOCHS, PlainSampler
from rnts.sampling import Rates, SamplingOptions

CRITICAL, DEGRADED, HEALTHY = int(rnts.CRITICAL), int(rnts.DEGRADED), int(rnts.HEALTHY)
ALL, NEVER = 1.0, 0.0


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, runtime_folder: Path) -> Iterator[Bench]:
    """A lane with each kind of emitter."""
    made = Bench(runtime_folder, request.param)
    yield made
    made.close()


def test_offsets_are_those_of_the_layout() -> None:
    """The kernel's constants say what the layout says."""
    assert (kernel.RATES, kernel.SWITCH) == (layout.LANE_RATES, layout.LANE_SWITCH)
    assert kernel.TABLE_DELTA == layout.LANE_TABLE_DELTA
    assert (kernel.ATTEMPTS, kernel.RANDOM) == (layout.LANE_ATTEMPTS, layout.LANE_RANDOM)
    assert kernel.SAMPLED_OUT == layout.LANE_SAMPLED_OUT
    assert kernel.TABLE_BYTES == layout.TABLE_BYTES
    assert (kernel.BUSY_SAMPLES, kernel.TROUBLE_EPOCHS) == (BUSY_SAMPLES, TROUBLE_EPOCHS)


def test_a_share_is_kept_and_weighs_more(bench: Bench) -> None:
    """Of 4,000 samples a quarter is kept, each weighs four, and every one is accounted for."""
    before = bench.word(layout.LANE_ATTEMPTS)
    bench.set(0.25, 0.25, 0.25)
    assert all(bench.emit(i) for i in range(4_000))
    kept = bench.take()
    assert abs(len(kept) - 1_000) < 4 * (4_000 * 0.25 * 0.75) ** 0.5
    assert kept[0].values["queue_depth"] == 0  # the first sample of a neuron is always kept
    assert {record.values.get("weight") for record in kept[1:]} == {4.0}
    assert kept[0].values.get("weight", 1.0) == 1.0
    left_out = bench.word(layout.LANE_SAMPLED_OUT)
    assert bench.word(layout.LANE_ATTEMPTS) - before == 4_000 == len(kept) + left_out


def test_a_weight_of_the_programs_own_is_multiplied(bench: Bench) -> None:
    """A sample that stands for three already stands for twelve where a quarter is kept."""
    bench.set(0.25, 0.25, 0.25)
    for i in range(400):
        bench.emit(i, weight=3.0)
    weights = [record.values["weight"] for record in bench.take()]
    assert (weights[0], set(weights[1:])) == (3.0, {12.0})


@pytest.mark.parametrize("own", [0.0, -2.0, float("nan"), float("inf"), 1e38])
def test_a_weight_stays_a_number(bench: Bench, own: float) -> None:
    """What is no weight counts as one, a product that no float32 holds is the largest of them; and
    whatever a program thinks of such floats, nothing is raised."""
    bench.set(0.25, 0.25, 0.25)
    with np.errstate(all="raise"):
        for i in range(60):
            assert bench.emit(i, weight=own)
    weights = {record.values["weight"] for record in bench.take()[1:]}
    assert weights == {float(np.finfo(np.float32).max) if own == 1e38 else 4.0}


def test_an_importance_that_is_none_is_normal(runtime_folder: Path) -> None:
    """Compiled code may pass any number: it never chooses another word of the lane for a rate."""
    bench = Bench(runtime_folder, "njit")
    bench.set(ALL, ALL, NEVER)
    lane = int(bench.words.ctypes.data) + layout.lane_offset(0)
    for importance in (-1, 3, 4, 7, 1 << 40):
        neuron_id = 1_000 + importance
        for _ in range(50):
            assert record_sample(lane, neuron_id, 0, importance)
        assert len(bench.take()) == 1, importance
    bench.close()


def test_chance_is_not_the_programs(bench: Bench) -> None:
    """A program that seeds its random numbers gets those it expects, and chooses no samples."""
    bench.set(0.5, 0.5, 0.5)
    expected = random.Random(5).random()
    for i in range(100):
        random.seed(5)
        assert bench.emit(i)
        assert random.random() == expected
    assert 20 < len(bench.take()) < 80


def test_changes_of_health_are_kept(bench: Bench) -> None:
    """Each change arrives, unweighted; what says the same again may be left out."""
    bench.set(NEVER, NEVER, NEVER)
    states = [HEALTHY, HEALTHY, DEGRADED, DEGRADED, DEGRADED, CRITICAL, HEALTHY, HEALTHY]
    for state in states:
        assert bench.emit(health=state)
    seen = bench.take()
    assert [r.values["health"] for r in seen] == [HEALTHY, DEGRADED, CRITICAL, HEALTHY]
    assert all(r.values.get("weight", 1.0) == 1.0 for r in seen)


def test_a_change_that_was_dropped_is_not_thought_to_be_told(runtime_folder: Path) -> None:
    """Where a full lane drops a change of health, the next sample with it is kept again."""
    for kind in KINDS:
        bench = Bench(runtime_folder, kind, lane_slots=64)
        bench.set(ALL, ALL, NEVER)
        bench.emit(health=HEALTHY)
        bench.set(ALL, ALL, ALL)
        while bench.emit():
            pass
        assert not bench.emit(health=CRITICAL)
        bench.take()
        bench.set(NEVER, NEVER, NEVER)
        assert bench.emit(health=CRITICAL)
        assert [r.values.get("health") for r in bench.take()] == [CRITICAL]
        bench.close()


def test_a_first_sample_that_was_dropped_is_still_to_come(runtime_folder: Path) -> None:
    """Where a full lane drops a neuron's first sample, or more of them, the next one is kept."""
    for kind in KINDS:
        bench = Bench(runtime_folder, kind, lane_slots=64)
        bench.set(ALL, ALL, ALL)
        while bench.emit():
            pass
        for _ in range(2):
            assert not bench.emit(neuron_id=99)
        bench.take()
        bench.set(NEVER, NEVER, NEVER)
        for _ in range(3):
            assert bench.emit(neuron_id=99)
        assert [r.neuron_id for r in bench.take()] == [99], kind
        bench.close()


def test_states_with_a_reason_are_told_as_well(runtime_folder: Path) -> None:
    """After one a neuron is as important as after one without, and the way back is kept."""
    for kind in ("builtin", "python"):
        bench = Bench(runtime_folder, kind)
        bench.set(ALL, NEVER, NEVER)
        neuron = bench.neuron(NEURON)
        bench.emit(health=HEALTHY)
        for reason in ("the disk is full", ""):
            assert neuron.health(rnts.CRITICAL, reason)
            bench.emit()
            bench.emit(health=HEALTHY)
            bench.emit(health=HEALTHY)
        states = [record.values.get("health") for record in bench.take()]
        assert states == [HEALTHY, *[CRITICAL, None, HEALTHY] * 2], kind
        bench.close()


def test_an_error_takes_nothing_from_the_first_sample(runtime_folder: Path) -> None:
    """A neuron whose first record is an error has its first sample kept all the same."""
    for kind in ("builtin", "python"):
        bench = Bench(runtime_folder, kind)
        bench.set(NEVER, NEVER, NEVER)
        assert bench.neuron(99).event(ErrorOccurred(error_type="Timeout"))
        for _ in range(3):
            assert bench.emit(neuron_id=99)
        kinds = [record.kind for record in bench.take()]
        assert kinds == [Kind.EVENT, Kind.SAMPLE], kind
        bench.close()


def test_importance_chooses_the_rate(runtime_folder: Path) -> None:
    """A neuron of the critical path keeps what another one loses."""
    for kind in ("builtin", "njit", "python"):
        bench = Bench(runtime_folder, kind)
        bench.set(ALL, NEVER, NEVER)
        for i in range(50):
            bench.emit(i, neuron_id=1, importance="critical_path")
            bench.emit(i, neuron_id=2, importance="high_activity")
            bench.emit(i, neuron_id=3)
        ids = [record.neuron_id for record in bench.take()]
        assert [ids.count(i) for i in (1, 2, 3)] == [50, 1, 1], kind
        bench.close()


def test_busy_neurons_become_more_important(bench: Bench) -> None:
    """Beyond 100 samples in an epoch a neuron is one of high activity, in the next one, too."""
    bench.set(NEVER, ALL, NEVER)
    for _ in range(BUSY_SAMPLES + 20):
        bench.emit()
    assert len(bench.take()) == 1 + 20
    bench.set(NEVER, ALL, NEVER, epoch=1)
    assert bench.emit()
    assert len(bench.take()) == 1
    bench.set(NEVER, ALL, NEVER, epoch=2)
    assert bench.emit()
    assert bench.take() == []


def test_errors_and_bad_health_raise_importance(bench: Bench) -> None:
    """A neuron with an error is critical for three epochs, an unwell one until it is well."""
    told = bench.neuron(NEURON)
    bench.set(ALL, NEVER, NEVER)
    bench.emit()
    bench.emit()
    assert len(bench.take()) == 1
    if bench.kind != "njit":
        assert told.event(ErrorOccurred(error_type="Timeout"))
        for epoch, count in ((0, 2), (2, 1), (3, 0)):
            bench.set(ALL, NEVER, NEVER, epoch=epoch)
            bench.emit()
            assert len(bench.take()) == count
    bench.emit(health=DEGRADED)
    bench.emit(health=DEGRADED)
    bench.emit(health=HEALTHY)
    bench.emit(health=HEALTHY)
    assert [r.values["health"] for r in bench.take()] == [DEGRADED, DEGRADED, HEALTHY]


def test_events_links_and_texts_are_never_left_out(runtime_folder: Path) -> None:
    """Whatever the rates, what happened and who spoke to whom arrives."""
    for kind in ("builtin", "python"):
        bench = Bench(runtime_folder, kind)
        bench.set(NEVER, NEVER, NEVER)
        neuron = bench.neuron(NEURON)
        for _ in range(20):
            assert neuron.event(ErrorOccurred(error_type="Timeout"))
            assert neuron.link(9).sent()
            assert neuron.health(rnts.CRITICAL, "the disk is full")
        kinds = [record.kind for record in bench.take()]
        assert [kinds.count(k) for k in (Kind.EVENT, Kind.LINK, Kind.SAMPLE)] == [20, 20, 20]
        bench.close()


def test_activations_are_counted_though_left_out(runtime_folder: Path) -> None:
    """The number of an activation goes on, so that the counter loses nothing."""
    for kind in ("builtin", "python"):
        bench = Bench(runtime_folder, kind)
        neuron = bench.neuron(NEURON)
        bench.set(NEVER, NEVER, NEVER)
        for _ in range(30):
            with neuron.activation():
                pass
        bench.set(ALL, ALL, ALL)
        with neuron.activation():
            pass
        numbers = [record.values["activation_count"] for record in bench.take()]
        assert numbers == [1, 31]
        bench.close()


def test_when_sampling_begins_anew_nothing_is_known(bench: Bench) -> None:
    """What was told before another generation does not count: meanwhile all was kept."""
    bench.set(NEVER, NEVER, NEVER)
    bench.emit(health=HEALTHY)
    bench.emit(health=HEALTHY)
    assert len(bench.take()) == 1
    bench.put(layout.LANE_SWITCH, 0)
    bench.emit(health=CRITICAL)
    assert len(bench.take()) == 1
    bench.set(NEVER, NEVER, NEVER, generation=2)
    bench.emit(health=HEALTHY)
    assert [r.values["health"] for r in bench.take()] == [HEALTHY]


def test_what_was_known_long_ago_is_not_known_now() -> None:
    """A neuron that was silent while sampling began 63 times is new."""
    rates = Rates(SamplingOptions(0.5), 0)
    lane, words = lane_block()
    ids = [1 + (number << 13) for number in range(3)]  # which share a set of the table
    for _ in range(64):
        rates._was_on = False
        _, words[layout.LANE_SWITCH // 8] = rates.words(0)
        for neuron_id in ids:
            _, place = kernel.admit(lane, neuron_id, kernel.NORMAL, DEGRADED)
            kernel.told(place, DEGRADED)
        ids = ids[:2]
    words[layout.LANE_RATES // 8 : layout.LANE_SWITCH // 8] = 1
    assert kernel.admit(lane, 1 + (2 << 13), kernel.NORMAL, DEGRADED)[0] == 0


def test_neurons_are_told_apart(bench: Bench) -> None:
    """Of thousands of neurons the first sample of each arrives, and no second one."""
    bench.set(NEVER, NEVER, NEVER)
    ids = [i * 2_654_435_761 % 2**64 or 1 for i in range(1, 3_001)]
    for _ in range(2):
        for neuron_id in ids:
            bench.emit(neuron_id=neuron_id)
    assert sorted(record.neuron_id for record in bench.take()) == sorted(ids)


@pytest.mark.parametrize("kind", ["builtin", "njit", "packed"])
def test_a_seed_decides(runtime_folder: Path, kind: str) -> None:
    """With the same state of the generator the same samples are kept."""
    found = []
    for seed in (1, 1, 2):
        bench = Bench(runtime_folder, kind)
        bench.set(0.5, 0.5, 0.5)
        bench.put(layout.LANE_RANDOM, seed)
        for i in range(200):
            bench.emit(i)
        found.append([record.values["queue_depth"] for record in bench.take()])
        bench.close()
    assert found[0] == found[1] != found[2]


ACTIONS = st.one_of(
    st.tuples(
        st.just("sample"), st.integers(1, 3), st.sampled_from([0, 1, 2]),
        st.sampled_from([-1, 0, 1, 2, 3]),
    ),
    st.tuples(st.just("error"), st.integers(1, 3), st.just(0), st.just(0)),
    st.tuples(st.just("epochs"), st.integers(1, 70), st.just(0), st.just(0)),
    st.tuples(st.just("burst"), st.integers(1, 3), st.just(2), st.integers(90, 120)),
)  # fmt: skip


@given(actions=st.lists(ACTIONS, max_size=60), kept=st.lists(st.booleans(), min_size=3, max_size=3))
def test_compiled_and_plain_rules_are_the_same(
    actions: list[tuple[str, int, int, int]], kept: list[bool]
) -> None:
    """With rates of all or nothing both decide alike, whatever happens in whatever order."""
    lane, words = lane_block()
    for i, is_kept in enumerate(kept):
        words[layout.LANE_RATES // 8 + i] = 0 if is_kept else 1
    epoch = 0
    words[layout.LANE_SWITCH // 8] = 1 << 6
    first, last = layout.LANE_RATES // 8, layout.LANE_TAIL // 8
    plain = PlainSampler(memoryview(words[first:last].view(np.uint64)))
    for what, number, importance, health in actions:
        if what == "epochs":
            epoch = (epoch + number) % 64
            words[layout.LANE_SWITCH // 8] = 1 << 6 | epoch
        elif what == "error":
            kernel.note_error(lane, number)
            plain.note_error(number)
        else:
            times, told = (health, -1) if what == "burst" else (1, health)
            for _ in range(times):
                decision, place = kernel.admit(lane, number, importance, told)
                weight = plain.admit(number, importance, None if told < 0 else told)
                assert (decision == kernel.LEFT_OUT) == (weight is None)
                if weight is not None:
                    kernel.told(place, told)
                    plain.told(number, None if told < 0 else told)
