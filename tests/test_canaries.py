"""Canaries are counted like all records, and nobody who looks at a population sees them."""

import random
from typing import Any

import pytest
from naive_windows import Item, to_records
from recording_tools import frames, name_of
from wire_tools import START_NS
from wire_tools import sample as wire_sample

from rnts import windows as module
from rnts.canaries import CANARIES_MAX
from rnts.canary_ids import CONDITION, GROUP, NEURONS_MAX, PROCESSES, first_id, is_canary
from rnts.frame import FrameDecoder
from rnts.identities import identity_of
from rnts.kernels.window import fold
from rnts.model import Kind
from rnts.processors.batch import Batching
from rnts.rules.condition import parse_condition, parse_quantity
from rnts.snapshot import snapshot
from rnts.standing.engines import Engines
from rnts.text import name_to_id
from rnts.windows import Windows

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
CANARY = first_id(5)
OF_USERS, OF_CANARIES = (1, "mine"), (1, GROUP)


def windows() -> Windows:
    """Empty ones, of which one that is closed may be revised."""
    return Windows(SECOND, (50, 99), 100, unsealed=1)


def sample(neuron_id: int, time_ns: int, depth: int) -> Item:
    """A record of how deep a queue is."""
    return Item(neuron_id, time_ns, values={"queue_depth": depth})


def told(found: Windows) -> dict[str, Any]:
    """What a snapshot says of a population."""
    return snapshot(found, time_ns=START, accounting={}, agents=[], aggregator={})


def test_ids_of_canaries_are_theirs_alone() -> None:
    """Processes have different ones, all are canaries', and hashes of names are not."""
    first, last = first_id(0), first_id(PROCESSES - 1) + NEURONS_MAX - 1
    assert is_canary(first) and is_canary(last) and 0 < first < last < 1 << 64
    assert not is_canary(first - 1) and not is_canary(last + 1)
    assert first_id(1) == first + NEURONS_MAX and first_id(PROCESSES) == first
    assert not any(is_canary(name_to_id(f"worker-{n}")) for n in range(10_000))


def test_nobody_gets_the_id_of_a_canary_unseen() -> None:
    """A program that chooses one is told so, since its neuron would not be seen."""
    with pytest.raises(ValueError, match="is kept for canaries"):
        identity_of("mine", "g", "", "", CANARY)
    assert identity_of("canary", GROUP, "", "", CANARY)[0] == CANARY
    assert identity_of("mine", GROUP, "", "", None)[0] == name_to_id("mine")


def test_a_population_is_the_same_with_canaries_and_without() -> None:
    """However they lie in batches; but their records are counted with their windows."""
    chance = random.Random(1)
    some = [sample(chance.randrange(1, 9), START + i * 50_000_000, i % 7) for i in range(60)]
    plain, mixed, aggregated = windows(), windows(), 0
    for begin in range(0, 60, 6):
        batch = list(some[begin : begin + 6])
        now_ns = batch[-1].time_ns
        plain.fold(to_records(batch), now_ns)
        for _ in range(chance.randrange(4)):
            canary = sample(CANARY + chance.randrange(3), now_ns, chance.randrange(5))
            batch.insert(chance.randrange(len(batch) + 1), canary)
        batch.insert(0, Item(CANARY, now_ns, Kind.NAME, text=("canary", GROUP)))
        folded = mixed.fold(to_records(batch), now_ns)
        assert folded.aggregated == sum(folded.windows.values()) == len(batch) - 1
        assert folded.window_last == now_ns // SECOND
        aggregated += folded.aggregated
    for each in (plain, mixed):
        each.advance(START + 2 * SECOND, complete=True)
    assert aggregated - 60 == mixed.canaries.records > 0
    assert told(mixed) == told(plain)


def test_canaries_have_fates_like_all_records() -> None:
    """Late, of the future, counted before or aggregated, by the same borders; revised unseen."""
    found = windows()
    found.fold(to_records([sample(1, START + SECOND, 1)]), START + SECOND)
    found.advance(START + 3 * SECOND, complete=True)
    now_ns = START + 3 * SECOND
    times_ns = [START, START + 2 * SECOND, now_ns, now_ns + 2 * SECOND]
    folded = found.fold(to_records([sample(CANARY, time_ns, 1) for time_ns in times_ns]), now_ns)
    assert (folded.late, folded.future, folded.aggregated) == (1, 1, 2)
    assert folded.windows == {START // SECOND + 2: 1, START // SECOND + 3: 1}
    assert found.digests.unlisted == 1  # that of the window that is closed already
    found.advance(now_ns + SECOND, complete=True)
    assert found.digests.unlisted == 2
    again = found.fold(to_records([sample(CANARY, now_ns, 1)]), now_ns, now_ns // SECOND + 1)
    assert (again.late, again.future, again.aggregated) == (0, 0, 0)


def test_standing_queries_see_canaries_only_where_they_ask_of_them() -> None:
    """No scope and no reading of others; the query under the key of canaries sees nobody else."""
    found = windows()
    engines = Engines(found.reflex, found.canaries)
    conditions = (
        CONDITION, "neurons > 1", "records over 1s > 2", "max(queue_depth) > 6 by group",
        "neurons > 1 by host", "active_neurons over 1s > 1",
    )  # fmt: skip
    for text in conditions:
        engines.register((1, text), parse_condition(text))
    engines.register(OF_CANARIES, parse_condition(CONDITION))
    engines.evaluate(START, SECOND)
    batch = [sample(1, START, 3), sample(CANARY, START, 7), sample(CANARY + 1, START, 9)]
    found.fold(to_records(batch), START)
    engines.evaluate(START, 2 * SECOND)

    update = engines.take((1, CONDITION), START)
    assert update is not None
    assert [change.value for change in update.changes] == [3.0]
    assert [engines.take((1, text), START) for text in conditions[1:]] == [None] * 5
    update = engines.take(OF_CANARIES, START)
    assert update is not None
    assert [(change.truth, change.value) for change in update.changes] == [(1, 7), (1, 9)]

    found.fold(to_records([sample(CANARY, START + 1, 0)]), START + 1)
    engines.evaluate(START + 1, 3 * SECOND)
    update = engines.take(OF_CANARIES, START)
    assert update is not None
    assert [(change.truth, change.value) for change in update.changes] == [(0, 0)]
    engines.remove(OF_CANARIES)
    assert engines.take(OF_CANARIES, START) is None


def test_canaries_that_are_silent_are_forgotten() -> None:
    """So those of processes that are over leave room; more than there is room for do no harm."""
    found = windows()
    engines = Engines(found.reflex, found.canaries)
    engines.register(OF_CANARIES, parse_quantity("queue_depth"), limit=10_000)
    count = CANARIES_MAX + 10
    found.fold(to_records([sample(CANARY + i, START, 1) for i in range(count)]), START)
    engines.evaluate(START, SECOND)
    assert len(engines.full(OF_CANARIES, START).changes) == CANARIES_MAX == found.canaries.known
    assert found.canaries.document() == {"known": CANARIES_MAX, "records": count}

    found.advance(START + 100 * SECOND, complete=True)
    found.advance(START + 102 * SECOND, complete=True)
    engines.evaluate(START, 2 * SECOND)
    assert found.canaries.known == 0
    assert len(engines.full(OF_CANARIES, START).changes) == 0


def test_processors_are_given_no_canaries() -> None:
    """Neither their records nor their names or groups."""
    records = [
        name_of(7, "first", "left"),
        name_of(CANARY, "canary", GROUP),
        wire_sample(CANARY, START_NS, queue_depth=1),
        wire_sample(7, START_NS, queue_depth=2),
    ]
    (frame,) = frames([records])
    batch = Batching().batch([(FrameDecoder().decode(frame), START_NS)])
    assert batch.ids.tolist() == [7] and batch.column("queue_depth").tolist() == [2]
    assert GROUP not in batch.group_names and batch.names == {7: "first"}


def test_a_batch_is_folded_in_one_go_however_many_of_it_are_canaries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that is a canary at each second record is no burden, and hides nobody else."""
    found, calls = windows(), []

    def counted(*arguments: Any) -> int:
        calls.append(arguments)
        return fold(*arguments)

    monkeypatch.setattr(module, "fold", counted)
    found.fold(to_records([sample(1, START, 0)]), START)  # opens the window
    records = to_records([sample(CANARY if i % 2 else 1, START, i) for i in range(1_000)])
    kinds = records.kinds.copy()
    calls.clear()
    folded = found.fold(records, START)
    assert (len(calls), folded.aggregated, found.canaries.records) == (1, 1_000, 500)
    assert (records.kinds == kinds).all()
