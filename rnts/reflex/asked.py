"""Entities that a client believes in and asks about: what is known of them, or that they are gone.

Of a condition only those are told that it is true of, or was. Who is not told may be false, or be
nobody that this aggregator has heard of, since it has just begun. A client that has an alert of an
entity has to know which: so it names it, and is told as soon as anything is known of it.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.kernels.flips import UNSAID

Values = tuple[str, ...]  # of an entity's labels


class Answer(NamedTuple):
    """Entities of which something is known, by their indices, and those that are taken for gone."""

    known: dict[int, Values]
    gone: list[Values]


class Asked:
    """Each is answered once; who is not there for `patience_ns` is gone, as if it had retired."""

    def __init__(self, patience_ns: int) -> None:
        self._patience_ns = patience_ns
        self._since_ns: dict[Values, int] = {}

    def ask(self, entities: Iterable[Values], steady_ns: int) -> None:
        """Ask about these, and about no others any more."""
        self._since_ns = dict.fromkeys(entities, steady_ns)

    def answer(
        self,
        find: Callable[[Values], int | None],
        codes: NDArray[np.uint8],
        steady_ns: int,
        most: int | None = None,
    ) -> Answer:
        """What can be said now; `find` has the entity that has these labels, if there is one.

        Of at most `most` entities, the others when their turn comes.
        """
        answer = Answer({}, [])
        for values in [*islice(self._since_ns, most)]:
            since_ns, entity = self._since_ns.pop(values), find(values)
            if entity is None and steady_ns - since_ns >= self._patience_ns:
                answer.gone.append(values)
            elif entity is not None and entity < codes.size and codes[entity] != UNSAID:
                answer.known[entity] = values
            else:
                self._since_ns[values] = since_ns
        return answer
