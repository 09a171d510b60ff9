"""Runs of many seeds, and what has to have happened in them."""

from collections import Counter
from collections.abc import Iterable

from simulation import FAULTS, World

SEEDS, SEEDS_NIGHTLY, PARTS = 400, 100_000, 2
FATES = {"aggregated", "backlog_full", "agent_died", "aggregator_died", "late", "future"}
FIRED = {
    *FAULTS, "lives", "holes", "unknown", "fenced", "ledger full", "ledger back",
    "died in replay", "died before append", "died before COMMITTED", "returned",
}  # fmt: skip


def run_seeds(
    seeds: Iterable[int], has_real_frames: bool = False
) -> tuple[Counter[str], Counter[str]]:
    """What has struck in all of them, and what became of their records."""
    fired: Counter[str] = Counter()
    fates: Counter[str] = Counter()
    for seed in seeds:
        world = World(seed, has_real_frames)
        try:
            fates.update(world.run())
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        fired += world.fired
        for agent in world.agents.values():
            fired += agent.spooled
    return fired, fates


def base_refusals(world: World) -> int:
    """Run a world; the frames that its aggregators could not open for want of their base."""
    world.run()
    there = (aggregator.real.refused for aggregator in world.aggregators if aggregator is not None)
    return sum((refused["base"] for refused in there), world.refused["base"])
