"""Delivery in a world where all goes wrong: nothing is lost unseen, and nothing counted twice."""

from collections import Counter
from collections.abc import Callable

import pytest
import simulation
from simulation import FAULTS, World
from simulation_patient import be_patient, run_patiently
from simulation_runs import run_seeds

pytestmark = pytest.mark.usefixtures("played_time")
REAL_SEEDS, REAL_SEEDS_NIGHTLY = 8, 2_000
PATIENT_SEEDS, PATIENT_SEEDS_NIGHTLY = 60, 20_000


def test_real_frames_have_the_same_fates(size: Callable[[int, int], int]) -> None:
    """The same worlds with frames as agents make them, opened as the aggregator does."""
    fired, fates = run_seeds(range(size(REAL_SEEDS, REAL_SEEDS_NIGHTLY)), has_real_frames=True)
    assert fired["aggregator crash"]
    assert fates["aggregated"]


def test_whoever_forgets_nothing_loses_nothing(
    size: Callable[[int, int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where agents have memory and disk, no death of an aggregator, in a replay or not, loses."""
    be_patient(monkeypatch)
    fired: Counter[str] = Counter()
    for seed in range(size(PATIENT_SEEDS, PATIENT_SEEDS_NIGHTLY)):
        try:
            fired += run_patiently(seed).fired
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    deaths = {"died in replay", "died before append", "died before COMMITTED"}
    assert fired.keys() >= deaths | {"ledger full", "fenced"}


def test_a_perfect_world_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no fault strikes, every record is in its window."""
    for what in FAULTS:
        monkeypatch.setitem(FAULTS, what, 0)
    monkeypatch.setattr(simulation, "SKEWS", (0,))
    for seed in range(5):
        assert World(seed).run().keys() == {"aggregated"}


def test_what_the_spool_has_outlives_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was in memory is lost with an agent, exactly, and comes as what it was before."""
    for what in FAULTS:
        monkeypatch.setitem(FAULTS, what, 0)
    lost = 0
    for seed in range(20):
        world = World(seed)
        agent = world.agents[1]
        for _ in range(15):
            world.tick()
        world.cut_off[agent.agent_id] = "both"
        for _ in range(60):
            world.tick()
        kept = [*agent.sender.retained.sent, *agent.sender.retained.waiting]
        there = world.aggregators[0]
        assert there is not None
        received = there.real.receiver.sessions[agent.agent_id].expected
        in_memory = sum(e.records for e in kept if e.payload is not None and e.last >= received)
        has_spooled = bool(agent.spool.segments)
        agent.crash(torn=False)
        world.cut_off.clear()
        fates = world.run()
        lost += in_memory
        assert fates.get("agent_died", 0) == in_memory, f"seed {seed}"
        assert agent.spooled["lives"] == has_spooled
    assert lost
