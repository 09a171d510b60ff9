"""A neuron's ticks: the number of an activation, and the times at which it ended, in one step.

Threads share a neuron and its count. Were the number taken first and the clock read afterwards, a
thread could lose its turn in between: a later number would bear an earlier time, and whoever reads
`activation_count` in order of time would see it fall, which is a restart at zero. So number and
times are taken by one call into C, in which the interpreter's lock does not change hands (164 ns
where three calls take 150 ns); where there is no such lock, under one of our own.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from weakref import WeakKeyDictionary

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from rnts.producer import Producer

Tick = tuple[int, int, int]  # number, nanoseconds since the epoch, nanoseconds of perf_counter
_NEVER = -1  # no clock says it, so that their iterators do not end

# By producer and neuron, since all handles of a neuron count as one.
_known: WeakKeyDictionary[Producer, dict[int, Iterator[Tick]]] = WeakKeyDictionary()


class LockedTicks:
    """Ticks for an interpreter without a lock; a signal handler may tick in between."""

    def __init__(self, ticks: Iterator[Tick]) -> None:
        self._ticks = ticks
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[Tick]:
        return self

    def __next__(self) -> Tick:
        with self._lock:
            return next(self._ticks)


def new_ticks(is_locked: bool | None = None) -> Iterator[Tick]:
    """Ticks from 1; `is_locked` says whether the interpreter has its lock, by default it is asked.

    They are never exhausted.
    """
    ticks = zip(count(1), iter(time.time_ns, _NEVER), iter(time.perf_counter_ns, _NEVER))
    if is_locked is None:
        is_locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    return ticks if is_locked else LockedTicks(ticks)


def ticks_of(producer: Producer, neuron_id: int) -> Iterator[Tick]:
    """The ticks of a neuron, the same for all handles of it."""
    ticks = _known.get(producer)
    if ticks is None:
        ticks = _known.setdefault(producer, {})
    return ticks.setdefault(neuron_id, new_ticks())
