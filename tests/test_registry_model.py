"""A segment keeps its promises from its making to its end, and needs each guard on the way."""

from collections.abc import Callable
from typing import Any

import pytest
from lane_model import Violation, explore
from registry_model import Registry

ORDERS = ("sc", "tso", "relaxed")
ONE: dict[str, Any] = {"records": (1, 0)}
TWO: dict[str, Any] = {"records": (1, 1), "agent_kills": 0}
RIVALS: dict[str, Any] = {"records": (1, 0), "agents": 2}
LOST, TWICE, STUCK = "the books know", "delivered twice", "never come to an end"
UNREADY = "taken in before it is ready"
# How the code could be weaker: what shows it, on which machines, and how.
WEAKENED: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "magic before the owner": (ONE, ORDERS, "read before it is written"),
    "plain magic store": (ONE, ("relaxed",), "read before it is written"),
    "unready file given up": (ONE, ORDERS, STUCK),
    "unready file removed at once": (ONE, ORDERS, LOST),
    "unready file not looked at again": (ONE, ORDERS, LOST),
    "counted before it is ready": (ONE, ORDERS, UNREADY),
    "plain count of lanes": (ONE, ("relaxed",), UNREADY),
    "counted after its first record": (ONE, ORDERS, LOST),
    "claimed without a lock": (TWO, ORDERS, f"{LOST}|{TWICE}|gave|are torn|{UNREADY}"),
    "lane reset at reuse": (TWO, ORDERS, f"{LOST}|{TWICE}|gave"),
    "passed on without a lock": (TWO, ("tso", "relaxed"), f"{LOST}|gave"),
    "a child goes on in its parent's lane": (TWO, ORDERS, f"{LOST}|{TWICE}|gave|are torn"),
    "no lock": (RIVALS, ORDERS, TWICE),
    "position read before the lock": (RIVALS, ORDERS, TWICE),
    "begun where no agent was": (ONE, ORDERS, TWICE),
    "death by time-out": (ONE, ORDERS, LOST),
    "lanes looked at before the death": (ONE, ORDERS, LOST),
    "new lanes not looked for after the death": (ONE, ORDERS, LOST),
    "reclaimed before the last drain": (ONE, ORDERS, f"{LOST}|are torn"),
    "removed before its last row is known": (ONE, ORDERS, LOST),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sizes", [RIVALS, TWO, {"records": (1, 2), "agent_kills": 0}])
def test_segments_keep_their_promises(sizes: dict[str, Any], order: str) -> None:
    """Through every interleaving and death: nothing torn, lost, told twice or left behind."""
    assert explore(Registry(order=order, **sizes)) > 1000


@pytest.mark.parametrize("order", ORDERS)
def test_larger_histories_keep_their_promises(order: str, size: Callable[[int, int], int]) -> None:
    """So do two threads while agents are killed and followed (at night more of everything)."""
    explored = explore(Registry((1, 1), order, agent_kills=size(1, 2)))
    assert explored > explore(Registry((1, 1), order, agent_kills=0))
    if size(0, 1):
        assert explore(Registry((2, 2), order)) > explored
        assert explore(Registry((1, 1), order, agents=2)) > explored


@pytest.mark.parametrize("weakened", WEAKENED)
@pytest.mark.parametrize("order", ORDERS)
def test_every_guard_is_needed(weakened: str, order: str) -> None:
    """Without any one of them some machine shows a lost record, one told twice, or a wedge."""
    sizes, machines, message = WEAKENED[weakened]
    registry = Registry(order=order, weakened=weakened, **sizes)
    if order in machines:
        with pytest.raises(Violation, match=message):
            explore(registry)
    else:
        assert explore(registry) > 100


def test_more_orders_allow_more() -> None:
    """Each machine can do what the stricter one can, and something besides."""
    counts = [explore(Registry((1, 1), order, agent_kills=0)) for order in ORDERS]
    assert counts == sorted(set(counts))
