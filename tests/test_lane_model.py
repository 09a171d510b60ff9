"""The protocol of a lane keeps its promises on any machine, and needs each of its orders."""

from collections.abc import Callable

import pytest
from lane_model import Lane, Violation, explore

ORDERS = ("sc", "tso", "relaxed")
# How the code could be weaker: the sizes that show it, and the machines that do.
WEAKENED = {
    "plain tail store": ((2, 2), ("relaxed",), "gave"),
    "plain tail load": ((2, 2), ("relaxed",), "gave"),
    "plain notes and head": ((1, 2), ("relaxed",), "gave"),
    "head before note": ((2, 2), ORDERS, "do not belong together"),
    "one note": ((2, 2), ORDERS, "do not belong together"),
    "attempt after publication": ((2, 2), ORDERS, "more records came out|neither"),
    "attempts read before drops": ((1, 3), ORDERS, "more records came out"),
    "one record too many": ((1, 2), ORDERS, "gave"),
    "drops not counted": ((1, 2), ORDERS, "neither delivered nor dropped"),
    "producer waits for room": ((1, 2), ORDERS, "the producer waits"),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("capacity", "records"), [(1, 2), (2, 2), (1, 3), (2, 3)])
def test_lanes_keep_their_promises(capacity: int, records: int, order: str) -> None:
    """Through every interleaving and kill: whole records, in order, once; sums right; no wedge."""
    assert explore(Lane(capacity, records, order)) > 300


@pytest.mark.parametrize("order", ORDERS)
def test_larger_lanes_keep_their_promises(order: str, size: Callable[[int, int], int]) -> None:
    """So do two wraps, and an agent that dies twice (three times and a third wrap at night)."""
    lane = Lane(1, size(3, 4), order, consumer_kills=2)
    assert explore(lane) > explore(lane._replace(consumer_kills=1))
    assert explore(Lane(2, size(3, 5), order, consumer_kills=size(1, 3))) > 1000


@pytest.mark.parametrize("weakened", WEAKENED)
@pytest.mark.parametrize("order", ORDERS)
def test_every_order_is_needed(weakened: str, order: str) -> None:
    """Without any one of them some machine shows a torn record, a wrong sum or a wedge."""
    (capacity, records), machines, message = WEAKENED[weakened]
    lane = Lane(capacity, records, order, weakened)
    if order in machines:
        with pytest.raises(Violation, match=message):
            explore(lane)
    else:
        assert explore(lane) > 100


def test_more_orders_allow_more() -> None:
    """Each machine can do what the stricter one can, and something besides."""
    counts = [explore(Lane(2, 2, order)) for order in ORDERS]
    assert counts == sorted(set(counts))
