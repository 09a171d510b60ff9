"""Groups, or hosts, by name and index: an index is used again when nobody has meant it for long."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

OTHER = 1  # the index of those for whom there is no room
_IN_USE = -1


class Places:
    """At most `most` names, of which the first ones, "other" among them, always have their places.

    A name that is given up keeps its index until another one needs it; so who comes back before
    that is what it was.
    """

    def __init__(self, always: Sequence[str], most: int) -> None:
        self.names = list(always)
        self.given_up = 0
        self._always, self._most = len(always), most
        self._indices = {name: index for index, name in enumerate(always)}
        self._vacant: dict[int, None] = {}  # the one that was given up first comes first
        self._idle_since = np.full(most, _IN_USE, np.int64)

    @property
    def has_room(self) -> bool:
        """Whether another name has a place."""
        return bool(self._vacant) or len(self.names) < self._most

    def take(self, name: str) -> int:
        """The index of a name; that of OTHER where there is no room for one more."""
        index = self._indices.get(name)
        if index is not None:
            self._vacant.pop(index, None)
            self._idle_since[index] = _IN_USE
            return index
        if self._vacant:
            index = next(iter(self._vacant))
            del self._vacant[index], self._indices[self.names[index]]
            self.names[index] = name
        elif len(self.names) < self._most:
            index = len(self.names)
            self.names.append(name)
        else:
            return OTHER
        self._idle_since[index] = _IN_USE
        self._indices[name] = index
        return index

    def find(self, name: str) -> int | None:
        """The index of a name; None where it has none, or no longer."""
        return self._indices.get(name)

    def give_up(
        self, is_used: NDArray[np.bool_], now_ns: int, before_ns: int, may_go: Callable[[int], bool]
    ) -> int:
        """Give up those that nobody has used since a time, where they may go; how many these are.

        is_used: by index, whether anybody uses it now.
        """
        idle_since = self._idle_since[: len(self.names)]
        used = is_used[: len(self.names)]
        idle_since[used] = _IN_USE
        idle_since[~used & (idle_since == _IN_USE)] = now_ns
        is_due = ~used & (idle_since <= before_ns)
        is_due[: self._always] = False
        due = [index for index in is_due.nonzero()[0].tolist() if index not in self._vacant]
        gone = [index for index in due if may_go(index)]
        self._vacant.update(dict.fromkeys(gone))
        self.given_up += len(gone)
        return len(gone)
