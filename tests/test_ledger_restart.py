"""Aggregators die at any moment; windows, books and ledger are those of one that never died."""

import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_tools import NUMBER, SECOND, START, Agent, Aggregate, described, digests_of
from naive_windows import Item

from rnts.canary_ids import first_id
from rnts.digest import Digest
from rnts.ledger_audit import audit_ledger
from rnts.model import EVENT, Kind

Story = Callable[[random.Random, list[Agent]], None]
SECONDS = 8
RUNS = 300 if os.environ.get("RNTS_TEST_SIZE") == "nightly" else 15
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where nothing waits for a disk


def story(chance: random.Random, agents: list[Agent]) -> None:
    """Frames of neurons with counters and levels, and canaries, about in the order of time."""
    for agent in agents:
        grown = [0, 0, 0]
        for tick in range(4 * SECONDS):
            items = []
            for _ in range(chance.randrange(5)):
                which = chance.randrange(3)
                grown[which] += chance.randrange(9)
                time_ns = START + tick * SECOND // 4 + chance.randrange(SECOND // 4)
                values = {"messages_sent": grown[which], "queue_depth": chance.randrange(5)}
                items.append(Item(agent.agent_id * 10 + which, time_ns, values=values))
            if chance.random() < 0.3:
                items.append(Item(first_id(agent.agent_id), START + tick * SECOND // 4))
            agent.cut(items, START + (tick + 1) * SECOND // 4)
        agent.cut([], START + (SECONDS + 9) * SECOND)


def churn(chance: random.Random, agents: list[Agent]) -> None:
    """Each half second another group, of neurons that leave a second later."""
    for agent in agents:
        for tick in range(4 * SECONDS):
            start_ns, group = START + tick * SECOND // 4, tick // 2
            which = agent.agent_id * 1_000 + group
            items = [Item(which, start_ns, Kind.NAME, {}, (f"n{which}", f"g{group}", "", "h"))]
            for older in range(max(0, group - 3), group + 1):
                time_ns, number = start_ns + chance.randrange(SECOND // 4), which - group + older
                items.append(Item(number, time_ns, values={"queue_depth": older}))
            if tick % 2 and group > 3:
                left = {"event_type": EVENT["Deactivated"].code}
                items.append(Item(which - 4, start_ns, Kind.EVENT, left, ("", "")))
            agent.cut(items, start_ns + SECOND // 4)
        agent.cut([], START + (SECONDS + 9) * SECOND)


def tardy(chance: random.Random, agents: list[Agent]) -> None:
    """Frames of which many records are late, but of no window that is sealed."""
    for agent in agents:
        for tick in range(4 * SECONDS):
            start_ns = START + tick * SECOND // 4
            items = []
            for number in range(chance.randrange(5)):
                time_ns = max(START, start_ns - chance.randrange(3 * SECOND // 2))
                group = (tick + number) // 9
                which = group * 100 + agent.agent_id * 10 + number
                names = (f"n{which}", f"g{group}", "", "h")
                items.append(Item(which, time_ns, Kind.NAME, {}, names))
                items.append(Item(which, time_ns, values={"queue_depth": chance.randrange(5)}))
            agent.cut(items, start_ns + SECOND // 4)
        agent.cut([], START + (SECONDS + 9) * SECOND)


def play(path: Path, seed: int, deaths: set[int], tell: Story = story, **windows: Any) -> Aggregate:
    """Deliver a story to its end, with an aggregator that dies before these steps."""
    agents = [Agent(1), Agent(2)]
    tell(random.Random(seed), agents)
    chance = random.Random(seed + 1)
    aggregate = Aggregate(path, agents, **windows)
    step = 0
    while True:
        if step in deaths:
            aggregate.die()
            aggregate = Aggregate(path, agents, **windows)
            aggregate.account()
        # Whoever is behind delivers, more or less: no window is pushed out.
        behind = min(agents, key=lambda agent: (agent.watermark_ns, chance.random()))
        for _ in range(chance.randrange(1, 3)):
            aggregate.deliver(behind)
        if chance.random() < 0.5:
            aggregate.close(is_written=chance.random() < 0.7)
        aggregate.account()
        if all(agent.next > len(agent.frames) for agent in agents):
            break
        step += 1
    for _ in range(2):  # one record may be under way
        aggregate.close()
    aggregate.die()
    return aggregate


@settings(max_examples=RUNS)
@given(seed=st.integers(0, 1000), deaths=st.sets(st.integers(1, 60), min_size=1, max_size=6))
def test_restarts_change_nothing(seed: int, deaths: set[int]) -> None:
    """Whenever aggregators die, each window's statistics are those of a run without a death."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        compare(Path(folder), seed, deaths)


@settings(max_examples=RUNS // 3)
@given(seed=st.integers(0, 1000), deaths=st.sets(st.integers(1, 60), max_size=4))
def test_restarts_change_nothing_of_groups_that_come_and_go(seed: int, deaths: set[int]) -> None:
    """Places of groups are used again; each window's digest names whose its statistics are."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder, windows = Path(name), {"retire_after_ns": SECOND // 2}
        broken = compare(folder, seed, deaths, churn, **windows)
        assert broken.state.windows.population.groups.given_up or deaths
        for number, digest in digests_of(folder / "broken").items():
            second = number - NUMBER
            groups = described(digest)[2]
            expected = {f"g{each}" for each in range(max(0, 2 * second - 4), 2 * second + 2)}
            assert groups.keys() == (expected if second < SECONDS else set())


@settings(max_examples=RUNS // 3)
@given(seed=st.integers(0, 1000), deaths=st.sets(st.integers(1, 60), min_size=1, max_size=4))
def test_restarts_change_nothing_of_what_comes_late(seed: int, deaths: set[int]) -> None:
    """Windows of one aggregator are revised by the next, until they are sealed.

    Only how many neurons were active is not told exactly then.
    """
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        broken = compare(Path(folder), seed, deaths, tardy, without_active)
        assert "late" not in broken.account()["dropped"]


def without_active(digest: Digest) -> Any:
    """All that a window says but how many neurons were active."""
    records, _, groups = described(digest)
    return records, {name: (words[1:], *rest) for name, (words, *rest) in groups.items()}


def compare(
    folder: Path,
    seed: int,
    deaths: set[int],
    tell: Story = story,
    says: Callable[[Digest], Any] = described,
    **windows: Any,
) -> Aggregate:
    """Play the same story with deaths and without."""
    whole = play(folder / "whole", seed, set(), tell, **windows)
    broken = play(folder / "broken", seed, deaths, tell, **windows)

    told = {name: digests_of(folder / name) for name in ("whole", "broken")}
    assert {w: says(d) for w, d in told["broken"].items()} == {
        w: says(d) for w, d in told["whole"].items()
    }
    account = broken.account()
    assert account == whole.account()
    assert (
        account["emitted"]
        == account["aggregated"]
        == sum(agent.delivered for agent in broken.agents.values())
    )
    assert [audit.problems for audit in audit_ledger(folder / "broken")] == [[]]
    return broken


def test_an_agent_that_died_with_the_aggregator_is_declared(tmp_path: Path) -> None:
    """What lay in open windows and never comes again is lost as `aggregator_died`, exactly."""
    agent, other = Agent(1), Agent(2)
    agent.cut([Item(1, START + i, values={"queue_depth": 1}) for i in range(5)], START)
    agent.cut([Item(1, START + SECOND + i, values={"queue_depth": 1}) for i in range(3)], START)
    for second in (1, 2, 9):
        other.cut([], START + second * SECOND)
    aggregate = Aggregate(tmp_path / "ledger", [agent, other])
    while aggregate.deliver(agent) or aggregate.deliver(other):
        pass
    aggregate.close(START + SECOND)
    aggregate.die()

    after = Aggregate(tmp_path / "ledger", [other])
    assert after.account()["in_flight"] == 3
    after.meet(Agent(1, START + SECOND))
    account = after.account()
    assert (account["aggregated"], account["dropped"]) == (5, {"aggregator_died": 3})
    after.die()


def test_late_records_revise_a_window_until_it_is_sealed(tmp_path: Path) -> None:
    """They add up in the ledger, one revision after the other; then they are late, by the agent."""
    agent = Agent(1)
    for second in (0, 1, 0, 0, 9, 0):
        agent.cut([Item(1, START + second * SECOND, values={"queue_depth": second})], START)
    aggregate = Aggregate(tmp_path / "ledger", [agent], unsealed=2)
    for watermark_ns in (1, 2, 2, 3, 3, 9):
        aggregate.deliver(agent)
        aggregate.close(START + watermark_ns * SECOND)
    aggregate.deliver(agent)
    aggregate.close(START + 12 * SECOND)

    digest = digests_of(tmp_path / "ledger")[NUMBER]
    assert (digest.records, digest.revision) == (3, 1)
    account = aggregate.account()
    assert (account["aggregated"], account["dropped"]) == (5, {"late": 1})
    [late] = aggregate.intake.late.document()
    assert late == {"start_ns": START, "agent_id": "1", "records": 1}
    assert agent.committed == 7
    [audit] = audit_ledger(tmp_path / "ledger")
    assert (audit.problems, audit.revisions, audit.epochs) == ([], 1, 1)
    aggregate.die()


def test_what_the_next_agent_finds_is_folded_although_both_were_replaced(tmp_path: Path) -> None:
    """The window was closed, as nobody was heard; an aggregator that starts then can revise it."""
    agent = Agent(1)
    agent.cut([Item(1, START + i, values={"queue_depth": i}) for i in range(5)], START)
    aggregate = Aggregate(tmp_path / "ledger", [agent])
    aggregate.deliver(agent)
    aggregate.close(START + SECOND)
    aggregate.die()

    later = Agent(1, START + SECOND)
    later.cut([Item(1, START + i, values={"queue_depth": i}) for i in range(5, 12)], START)
    after = Aggregate(tmp_path / "ledger", [later])
    after.deliver(later)
    after.close(START + 2 * SECOND)
    account = after.account()
    assert (account["aggregated"], account["dropped"]) == (12, {})
    digest = digests_of(tmp_path / "ledger")[NUMBER]
    assert (digest.records, digest.revision, digest.active) == (12, 1, 1)
    after.die()
    assert [audit.problems for audit in audit_ledger(tmp_path / "ledger")] == [[]]


def test_a_later_life_is_overheard_once_while_an_earlier_one_is_expected(tmp_path: Path) -> None:
    """It may have records of the earlier one to deliver first, which its HELLO would end."""
    agent = Agent(1)
    for second in range(3):
        item = Item(1, START + second * SECOND, values={"queue_depth": 1})
        agent.cut([item], START + second * SECOND)
    aggregate = Aggregate(tmp_path / "ledger", [agent])
    while aggregate.deliver(agent):
        aggregate.close()
    aggregate.die()

    after = Aggregate(tmp_path / "ledger", [])
    later, early = (1, START + SECOND), after.intake.is_early
    assert not early((1, START), after.receiver)
    assert not early((2, START + SECOND), after.receiver)
    assert early(later, after.receiver)
    assert not early(later, after.receiver)  # so it has no earlier life to tell of
    after.die()

    met = Aggregate(tmp_path / "ledger", [agent])
    assert not met.intake.is_early(later, met.receiver)
    met.die()
