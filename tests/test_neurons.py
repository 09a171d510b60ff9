"""The table of neurons knows each id by one row, and gives rows of the departed to others."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_windows import Item, to_records

from rnts.kernels import neurons as table
from rnts.model import Kind
from rnts.population import Population
from rnts.windows import Windows

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND

# The index of four neurons has 16 cells. These begin their search in few of them, next to each
# other and at its end; and they lie at both ends of the numbers.
CELLS = 16
CROWDED = [n for n in range(2_000) if table.home_of(np.uint64(n), CELLS) in (0, 1, CELLS - 1)]
IDS = (*CROWDED[:12], 2**63, 2**64 - 1)
steps = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "retire"]), st.sampled_from(IDS), st.integers(1, 50)
    ),
    max_size=30,
)


def take(population: Population, neuron_id: int, time_ns: int) -> int:
    """The row of a neuron that is heard of at a time."""
    found = np.zeros(1, np.int64)
    one = np.array([neuron_id], np.uint64)
    table.take_rows(one, np.array([time_ns], np.int64), population.arrays, found)
    population.welcome()
    return int(found[0])


@given(steps)
def test_rows_are_those_of_a_dictionary(script: list[tuple[str, int, int]]) -> None:
    """Each known id has a row of its own, ids beyond the limit have row 0, others have none."""
    population = Population(max_neurons=4, max_groups=2)
    known: dict[int, tuple[int, int]] = {}  # id -> (row, latest)
    for action, neuron_id, time_ns in script:
        if action == "take":
            row = take(population, neuron_id, time_ns)
            if neuron_id not in known and len(known) == 4:
                assert row == table.OVERFLOW_ROW
            else:
                before = known.get(neuron_id, (row, 0))
                known[neuron_id] = (row, max(time_ns, before[1]))
                assert row == before[0] != table.OVERFLOW_ROW
        else:
            population.retire(left_before_ns=0, silent_since_ns=time_ns)
            known = {key: seen for key, seen in known.items() if seen[1] >= time_ns}

        rows = [row for row, _ in known.values()]
        assert len(set(rows)) == len(rows) == population.known
        assert {key: population.row_of(key) for key in known} == {k: v[0] for k, v in known.items()}
        assert not any(population.row_of(key) for key in set(IDS) - set(known))
        assert population.health.sum() == len(known)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(1, 9))))
def test_health_is_the_latest_by_timestamp_and_counted_by_state(
    reports: list[tuple[int, int, int]],
) -> None:
    """Whatever order reports come in, the newest counts; who never said is unknown."""
    windows = Windows(SECOND, [50])
    latest: dict[int, tuple[int, int]] = {}
    items = []
    for neuron_id, state, age in reports:
        items.append(Item(neuron_id, NOW - age, values={"health": state}))
        if NOW - age >= latest.get(neuron_id, (0, 3))[0]:
            latest[neuron_id] = (NOW - age, state)

    windows.fold(to_records(items), NOW)

    expected = Counter(state for _, state in latest.values())
    assert windows.population.health.sum(axis=0).tolist() == [expected[s] for s in range(4)]


def names(first: int, count: int, group: str = "g") -> list[Item]:
    """So many name records."""
    return [
        Item(n, NOW, Kind.NAME, text=(f"neuron-{n}", group, "role", "host"))
        for n in range(first, first + count)
    ]


def test_two_hundred_thousand_names_stay_within_the_limit() -> None:
    """Names of neurons beyond the limit are counted and not kept."""
    windows = Windows(SECOND, [50], max_neurons=1_000)
    for first in range(1, 200_001, 20_000):
        windows.fold(to_records(names(first, 20_000)), NOW)

    population = windows.population
    assert population.known == 1_000
    assert population.names_refused == 199_000
    assert population.find("neuron-1000") == population.row_of(1_000) != 0
    assert population.find("neuron-1001") == 0
    assert population.identity_of(1_001) is None


def test_hosts_beyond_the_limit_share_one_with_whoever_is_called_like_it() -> None:
    """A host that is named `other` is told by that name, and there is one entity of the name."""
    windows = Windows(SECOND, [50])
    for n, host in enumerate(("other", "", "a", "other"), 1):
        windows.fold(to_records([Item(n, NOW, Kind.NAME, text=(f"n{n}", "", "", host))]), NOW)
    population = windows.population
    assert population.host_names == ["", "other", "a"]
    rows = [population.row_of(n) for n in range(1, 5)]
    assert population.hosts[rows].tolist() == [1, 0, 2, 1]


def test_groups_beyond_the_limit_share_one() -> None:
    """The first `max_groups` groups have a place; later ones count for `other`."""
    windows = Windows(SECOND, [50], max_groups=2)
    for n in range(1, 5):
        windows.fold(to_records(names(n, 1, group=f"g{n}")), NOW)
    windows.fold(to_records(names(5, 1, group="")), NOW)

    groups = [windows.population.group_of(windows.population.row_of(n)) for n in range(1, 6)]
    assert groups == ["g1", "g2", "other", "other", "default"]
    assert windows.population.group_names == ["default", "other", "g1", "g2"]


def test_a_neuron_that_left_makes_room_and_finds_its_group_again() -> None:
    """Its row goes to the next; coming back, it has its name and group without saying so."""
    windows = Windows(SECOND, [50], max_neurons=2, retire_after_ns=3600 * SECOND)
    windows.fold(to_records(names(1, 1, group="spiking")), NOW)
    left = Item(1, NOW, Kind.EVENT, {"event_type": 1}, ("done",))
    windows.fold(to_records([left, Item(2, NOW)]), NOW)
    windows.advance(NOW + SECOND, complete=True)
    assert windows.population.row_of(1) == 0
    assert windows.population.known == 1

    later = NOW + 2 * SECOND
    windows.fold(to_records([Item(1, later)]), later)

    row = windows.population.row_of(1)
    assert windows.population.group_of(row) == "spiking"
    assert windows.population.find("neuron-1") == row
    assert windows.population.health.sum(axis=1).tolist() == [1, 0, 1] + [0] * 63


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("kind", [Kind.SAMPLE, Kind.NAME])
def test_whoever_reports_after_leaving_has_not_left(order: int, kind: Kind) -> None:
    """The newest record says whether a neuron is gone, not what arrives last.

    A name is none: agents tell it when they come to it, and again to each new aggregator.
    """
    windows = Windows(SECOND, [50])
    left = Item(1, NOW, Kind.EVENT, {"event_type": 1}, ("done",))
    back = Item(1, NOW + 5, kind, text=("one", "", "", "") if kind is Kind.NAME else ())
    for item in [left, back][::order]:
        windows.fold(to_records([item]), NOW + 5)

    windows.advance(NOW + 2 * SECOND, complete=True)

    assert windows.population.known == (kind is Kind.SAMPLE)


def test_a_name_that_is_told_again_brings_nobody_back() -> None:
    """Who left stays away until a record or another identity comes; its old name is no hint."""
    windows = Windows(SECOND, [50])
    windows.fold(to_records(names(1, 1)), NOW)
    name = windows.population.identity_of(1).name
    windows.fold(to_records([Item(1, NOW, Kind.EVENT, {"event_type": 1}, ("done",))]), NOW)
    windows.advance(NOW + 2 * SECOND, complete=True)
    windows.fold(to_records(names(1, 1)), NOW + 2 * SECOND)
    assert windows.population.known == 0
    assert windows.population.near(name) == []
    renamed = Item(1, NOW + 2 * SECOND, Kind.NAME, text=("other", "group", "", ""))
    windows.fold(to_records([renamed]), NOW + 2 * SECOND)
    assert windows.population.near("others") == ["other"]


def test_silent_neurons_are_forgotten_and_their_names_kept_as_long_as_there_is_room() -> None:
    """Retirement is by event time; the oldest name makes room for a new one."""
    windows = Windows(SECOND, [50], max_neurons=3, retire_after_ns=10 * SECOND)
    windows.fold(to_records(names(1, 3)), NOW)
    windows.advance(NOW + 10 * SECOND, complete=True)
    assert windows.population.known == 3

    windows.advance(NOW + 12 * SECOND, complete=True)
    population = windows.population
    assert (population.known, population.retired) == (0, 3)
    assert population.identity_of(1) is not None

    windows.fold(to_records(names(4, 1)), NOW + 12 * SECOND)
    assert population.identity_of(1) is None
    assert [population.identity_of(n) is not None for n in (2, 3, 4)] == [True] * 3


def test_rows_are_called_as_their_neurons_are_now() -> None:
    """By name or id, also where a row changes hands, a name changes, or is forgotten meanwhile."""
    windows = Windows(SECOND, [50], max_neurons=3, retire_after_ns=10 * SECOND)
    population = windows.population

    def called(*ids: int) -> list[str]:
        return population.row_names.of([population.row_of(one) for one in ids])

    unnamed = Item(9, NOW, Kind.SAMPLE, {"queue_depth": 1})
    windows.fold(to_records([unnamed, *names(1, 1)]), NOW)
    assert called(9, 1) == ["9", population.identity_of(1).name]
    told = [
        Item(one, NOW, Kind.NAME, text=(name, "", "", "")) for one, name in ((9, "x"), (1, "y"))
    ]
    windows.fold(to_records(told), NOW)
    assert called(1, 9) == ["y", "x"]

    windows.advance(NOW + 12 * SECOND, complete=True)
    later = NOW + 12 * SECOND
    windows.fold(to_records([*names(4, 3)]), later)  # whose names take the room of the others
    assert called(4, 5, 6) == [population.identity_of(one).name for one in (4, 5, 6)]
    windows.advance(later + 12 * SECOND, complete=True)
    back = [Item(one, later + 12 * SECOND, Kind.SAMPLE, {"queue_depth": 1}) for one in (9, 1)]
    windows.fold(to_records(back), later + 12 * SECOND)
    assert called(9, 1) == ["9", "1"]


def test_no_more_than_a_limited_number_is_retired_at_once() -> None:
    """What one sweep leaves over, the next finds."""
    population = Population(max_neurons=20_000, max_groups=1)
    found = np.zeros(20_000, np.int64)
    everyone = np.arange(20_000, dtype=np.uint64)
    table.take_rows(everyone, np.zeros(20_000, np.int64), population.arrays, found)

    population.retire(0, 1)
    assert population.known == 20_000 - 16_384
    population.retire(0, 1)
    assert population.known == 0


def test_near_names_are_offered_for_a_mistyped_one() -> None:
    """A name that is much like the wanted one comes first."""
    windows = Windows(SECOND, [50])
    windows.fold(to_records(names(1, 30)), NOW)

    assert windows.population.near("neurn-12")[0] == "neuron-12"
