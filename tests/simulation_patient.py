"""Worlds in which agents live on and forget nothing: so no aggregator's death may lose a record."""

import pytest
import simulation
import simulation_agent
from simulation import World
from simulation_ledger import Wrong

_HARMLESS = {"aggregated", "late"}  # what comes after its window has closed is late with any
_LOSING = ("agent crash", "damage", "torn spool", "night", "disk refuses")
_FREQUENT = {
    "aggregator crash": 0.03,
    "agent restart": 0.01,
    "ledger disk full": 0.02,
    "quick ledger": 0.6,
}


def be_patient(patch: pytest.MonkeyPatch) -> None:
    """Agents have memory and disk, and end in peace; clocks are right; aggregators die often."""
    for what in _LOSING:
        patch.setitem(simulation.FAULTS, what, 0)
    for what, rate in _FREQUENT.items():
        patch.setitem(simulation.FAULTS, what, rate)
    patch.setattr(simulation_agent, "MEMORY", (1 << 20,))
    patch.setattr(simulation_agent, "DISK", (1 << 20,))
    patch.setattr(simulation, "SKEWS", (0,))
    # A HELLO of an agent's own life that overtakes the one of a life before would end that.
    patch.setattr(simulation, "HAS_STREAMS", True)


def run_patiently(seed: int) -> World:
    """Play a seed; nothing may be lost in it."""
    world = World(seed)
    lost = world.run().keys() - _HARMLESS
    if lost:
        raise Wrong(f"records are lost that every agent has kept: {lost}")
    return world
