"""Each rule of delivery and of the ledger is needed: the simulation notices where one is broken."""

import pytest
from simulation import FAULTS, World
from simulation_mutants import OF_DELIVERY, OF_THE_LEDGER, Patch
from simulation_patient import be_patient, run_patiently
from simulation_runs import base_refusals

pytestmark = pytest.mark.usefixtures("played_time")
SEEDS_MAX = 200


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is damaged, so that no frame may lack its base."""
    for what in ("damage", "torn spool"):
        monkeypatch.setitem(FAULTS, what, 0)


@pytest.mark.usefixtures("whole")
def test_without_damage_no_frame_lacks_its_base() -> None:
    """No delta is ever tried without its keyframe, unless something between them was destroyed."""
    for seed in range(30):
        assert not base_refusals(World(seed)), f"seed {seed}"


def is_caught(seed: int, is_patient: bool) -> bool:
    """Whether a seed shows that something is wrong."""
    try:
        if is_patient:
            run_patiently(seed)
            return False
        return base_refusals(World(seed)) > 0
    except (AssertionError, LookupError, StopIteration):
        return True


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("break_it", OF_DELIVERY, ids=lambda mutant: mutant.__name__)
def test_a_broken_protocol_is_caught(break_it: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it records are lost or doubled, or a delta has no base."""
    break_it(monkeypatch)
    first = OF_DELIVERY[break_it]
    assert any(is_caught(seed, False) for seed in range(first, first + SEEDS_MAX))


@pytest.mark.parametrize("break_it", OF_THE_LEDGER, ids=lambda mutant: mutant.__name__)
def test_a_broken_joint_is_caught(break_it: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it records are doubled, or lost with an aggregator though agents have kept them."""
    be_patient(monkeypatch)
    break_it(monkeypatch)
    first = OF_THE_LEDGER[break_it]
    assert any(is_caught(seed, True) for seed in range(first, first + SEEDS_MAX))
