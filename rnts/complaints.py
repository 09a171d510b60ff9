"""What the library says to an application about itself: each thing once, to the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rnts.model import METRIC_NAMES

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from logging import Logger


def _log() -> Logger | None:
    """The log; loaded here, since a program of which nothing is said need not pay its 5 ms.

    None while the program is in the middle of loading it, or ends: then it is said next time.
    """
    try:
        from logging import getLogger
    except ImportError:
        return None
    return getLogger("rnts")


class Complaints:
    """What was said already."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def once(self, what: str, message: str) -> None:
        """Say a message, unless something was said of this before."""
        if what not in self._said and (log := _log()):
            self._said.add(what)
            log.warning(message)

    def unknown(self, names: Iterable[str], known: Sequence[str] = METRIC_NAMES) -> None:
        """Say of each name that there is no metric of that name, and which may be meant."""
        from difflib import get_close_matches

        for name in names:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.once(f"metric {name}", f"unknown metric {name!r} is left out{hint}")
