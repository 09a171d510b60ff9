"""Windows of the simulation: they keep which records they hold, and nothing else about them.

Boundaries, revisions and digests are kept as `rnts/windows.py` and `rnts/digest.py` do.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from simulation_frames import numbered

from rnts.digest import Digest
from rnts.digests import Digests
from rnts.kernels.neurons import OPEN_WINDOWS
from rnts.windows import Folded

Named = tuple[int, int]  # a record: its agent, and its number


class Told(list[Digest]):
    """Digests for a record of the ledger, with the records that they and the late ones name."""

    def __init__(self, digests: Iterable[Digest] = ()) -> None:
        super().__init__(digests)
        self.windows: dict[int, list[Named]] = {}  # what is new in each
        self.late: list[Named] = []
        self.future: list[Named] = []


class PlayedPanes:
    """The records of each window that is kept."""

    def __init__(self) -> None:
        self.held: dict[int, list[Named]] = {}

    def records(self) -> dict[int, int]:
        """The records of each window that has a pane."""
        return {window: len(named) for window, named in self.held.items()}

    def head(self, window: int, _: int) -> int:
        """The records of a window, which stand for its active neurons, too."""
        return len(self.held.get(window, ()))


class PlayedDigests(Digests):
    """Real digests without statistics; what is fetched names its records."""

    def __init__(self, panes: PlayedPanes) -> None:
        super().__init__(panes, None)  # type: ignore[arg-type]
        self.late: list[Named] = []
        self.future: list[Named] = []
        self._told: Counter[int] = Counter()  # records of each window that were fetched
        self._named = panes.held

    def _fill(self, digest: Digest) -> None:
        """There are no statistics."""

    def fetch(self, everything: bool = False) -> Told:
        """The digests that are to be written, with what they name."""
        told = Told(super().fetch(everything))
        told.late, told.future = self.late, self.future
        self.late, self.future = [], []
        for digest in told:
            known, named = self._told[digest.window], self._named.get(digest.window, [])
            assert len(named) - known >= digest.added
            told.windows.setdefault(digest.window, []).extend(named[known : known + digest.added])
            self._told[digest.window] = known + digest.added
        return told


class PlayedEngine:
    """Nobody asks for standing expressions here."""

    def arrive(self, now_ns: int, steady_ns: int) -> None:
        """No window slides."""

    def evaluate(self, now_ns: int, steady_ns: int) -> None:
        """Nothing is evaluated."""


class PlayedWindows:
    """Stands for `rnts.windows.Windows`."""

    def __init__(self, window_ns: int, unsealed: int) -> None:
        self.reflex = self.canaries = PlayedEngine()
        self.window_ns, self._unsealed = window_ns, unsealed
        self.boundary = self.sealed_before = 0
        self.panes = PlayedPanes()
        self.digests = PlayedDigests(self.panes)

    def resume(self, boundary: int, sealed_before: int) -> None:
        """Go on from a ledger: which windows are closed, and which of them sealed."""
        self.boundary = boundary
        self.sealed_before = max(sealed_before, boundary - self._unsealed)

    def fold(self, records: Any, now_ns: int, counted_before: int = 0) -> Folded:
        """Put records into windows, each by its fate."""
        agent_id, items = numbered(records)
        late, future = len(self.digests.late), len(self.digests.future)
        filled: Counter[int] = Counter()
        for number, time_ns in items:
            window = time_ns // self.window_ns
            if time_ns > now_ns + self.window_ns:
                self.digests.future.append((agent_id, number))
            elif window < counted_before:
                continue
            elif window < self.sealed_before:
                self.digests.late.append((agent_id, number))
            else:
                self._close_before(window - OPEN_WINDOWS + 1, complete=False)
                self.panes.held.setdefault(window, []).append((agent_id, number))
                filled[window] += 1
                if window < self.boundary:
                    self.digests.revise(window)
        late, future = len(self.digests.late) - late, len(self.digests.future) - future
        newest = max(filled, default=-1)
        return Folded(sum(filled.values()), late, future, newest, {}, dict(filled))

    def advance(self, watermark_ns: int, complete: bool) -> int:
        """Close the windows that end at or before the watermark; returns `boundary`."""
        self._close_before(watermark_ns // self.window_ns, complete)
        return self.boundary

    def show_silence(self, until_ns: int) -> None:
        """Nothing is shown here."""

    def _close_before(self, boundary: int, complete: bool) -> None:
        if boundary <= self.boundary:
            return
        sealed_before = max(boundary - self._unsealed, self.sealed_before)
        self.digests.close(self.boundary, boundary, sealed_before, complete)
        self.boundary, self.sealed_before = boundary, sealed_before
