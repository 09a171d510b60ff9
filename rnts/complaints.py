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
    """What was said already, and what is to be said.

    A handler of the application may take its time over a message, or report by this library. So
    nothing is said while a lock is held: there it is noted, and said when that is over.
    """

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._noted: dict[str, str] = {}

    def note(self, what: str, message: str) -> None:
        """Have a message said by `say`, unless something was said of this before."""
        if what not in self._said:
            self._noted[what] = message

    def say(self) -> None:
        """Say what was noted, by the calling thread or another."""
        if not self._noted or not (log := _log()):
            return
        for what in list(self._noted):
            message = self._noted.pop(what, None)
            if message is not None:  # else another thread says it
                self._said.add(what)
                log.warning(message)

    def once(self, what: str, message: str) -> None:
        """Say a message now, unless something was said of this before."""
        self.note(what, message)
        self.say()

    def unknown(self, names: Iterable[str], known: Sequence[str] = METRIC_NAMES) -> None:
        """Say of each name that there is no metric of that name, and which may be meant."""
        from difflib import get_close_matches

        for name in names:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.once(f"metric {name}", f"unknown metric {name!r} is left out{hint}")
