"""Times of many short batches of calls, and what their distribution says.

A batch is timed by the CPU clock of the thread. That clock and the loop have their own price, which
is measured by batches of nothing in the same turns; its median is taken off each batch. What the
machine does in the middle of a batch (a timer, a page that is touched for the first time) is in it:
that is what the tails are about.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np

LOOP = "pass"
_LOOP_CALLS = 50
_PERCENTILES = {"": 50, "_p99": 99, "_p999": 99.9}
_SOURCE = """
def measure(times, batches, {names}):
    for _ in repeat(None, batches):
        start_ns = clock()
        for _ in repeat(None, {loops}):
            {statement}
        end_ns = clock()
        times.append(end_ns - start_ns)
"""


def _nothing() -> None:
    """What happens after a turn unless there is something to tidy up."""


@dataclass
class Contender:
    """A statement that is timed as it stands in a program, in a loop of 50 calls.

    A statement that makes so many calls itself, from compiled code, has their number as `calls`;
    `nothing` is then the statement that makes none of them.
    """

    statement: str
    calls: int = 0
    nothing: str = LOOP
    times: list[int] = field(default_factory=list)

    @property
    def loops(self) -> int:
        """How often the statement is executed in one batch."""
        return 1 if self.calls else _LOOP_CALLS


@dataclass
class Group:
    """Contenders that share a process: what they are, what names they use, how to tidy up."""

    contenders: dict[str, Contender]
    names: Mapping[str, Any]
    tidy: Callable[[], object] = _nothing  # runs after each contender's turn, untimed
    finish: Callable[[], dict[str, Any]] = dict  # ends the group; figures besides the times


class Course:
    """A group in its process: each turn is some batches of each contender, one after another."""

    def __init__(self, group: Group, batches: int) -> None:
        self._group, self._batches = group, batches
        self._nothing: dict[tuple[str, int], Contender] = {}
        for contender in group.contenders.values():
            key = (contender.nothing, contender.loops)
            self._nothing[key] = Contender(contender.nothing, calls=contender.calls)
        self._timed = [
            (contender, self._compile(contender))
            for contender in (*self._nothing.values(), *group.contenders.values())
        ]
        self.turn()  # warms up
        for contender, _ in self._timed:
            contender.times.clear()

    def _compile(self, contender: Contender) -> Callable[[list[int], int], None]:
        """The loop around a statement, in which all names are local."""
        names = {"repeat": repeat, "clock": time.thread_time_ns, **self._group.names}
        text = _SOURCE.format(
            names=", ".join(names), loops=contender.loops, statement=contender.statement
        )
        scope: dict[str, Any] = {}
        exec(text, scope)  # noqa: S102 - the text is made of statements of this package only
        return partial(scope["measure"], **names)

    def turn(self) -> None:
        """Time some batches of each contender."""
        for contender, measure in self._timed:
            measure(contender.times, self._batches)
            self._group.tidy()

    def figures(self) -> dict[str, Any]:
        """Nanoseconds of a call, by contender: the median, p99 and p99.9 of all batches."""
        found: dict[str, Any] = {}
        for name, contender in self._group.contenders.items():
            nothing = self._nothing[contender.nothing, contender.loops]
            price_ns = statistics.median(nothing.times)
            calls = contender.calls or contender.loops
            per_call = (np.array(contender.times) - price_ns) / calls
            values = np.percentile(per_call, list(_PERCENTILES.values())).tolist()
            for suffix, value in zip(_PERCENTILES, values, strict=True):
                found[name + suffix] = max(0.0, value)
        return found | self._group.finish()
