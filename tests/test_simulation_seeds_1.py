"""Delivery by seeds, a part of them: the parts run side by side, each in a process of its own."""

from collections.abc import Callable

import pytest
from simulation_runs import FATES, FIRED, PARTS, SEEDS, SEEDS_NIGHTLY, run_seeds

pytestmark = pytest.mark.usefixtures("played_time")
PART = 0


def test_every_record_has_one_fate(size: Callable[[int, int], int]) -> None:
    """Each is in one closed window or lost under one reason, and every fault has struck."""
    fired, fates = run_seeds(range(PART, size(SEEDS, SEEDS_NIGHTLY), PARTS))
    assert fired.keys() >= FIRED
    assert fates.keys() >= FATES
