"""Whose records are canaries': ids that no other neuron has, so that a record says it by itself.

A canary is a neuron of RNTS' own, by which an alert process measures how long the road takes
(`rnts/alerts/canary.py`). Its records travel as all others do, and are counted as all others are,
but whoever tells of a population leaves them out. Their names would not do: those are told late and
again. An id that is the hash of a name begins with these letters once in 2^40 times.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from typing import TypeVar

    Ids = TypeVar("Ids")

GROUP = (
    "rnts.canary"  # also the key under which a standing query asks of canaries, and of them only
)
CONDITION = "queue_depth > 0"
METRIC = "queue_depth"
NEURONS_MAX = 64  # of one process
PROCESSES = 1 << 18  # whose canaries have ids of their own

_MARK = int.from_bytes(b"canar", "big")
_BITS_BELOW = 24
assert NEURONS_MAX * PROCESSES == 1 << _BITS_BELOW


def first_id(process: int) -> int:
    """The id of the first canary of a process, which is a number below `PROCESSES`."""
    return _MARK << _BITS_BELOW | process % PROCESSES * NEURONS_MAX


def is_canary(ids: Ids) -> Ids:
    """Whether ids, one or an array of uint64, are canaries'."""
    return (ids >> _BITS_BELOW) == _MARK  # type: ignore[operator, return-value]
