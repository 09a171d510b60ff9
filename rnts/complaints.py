"""What the library says to an application about itself: each thing once, to the log."""

import logging
from collections.abc import Iterable, Sequence

from rnts.model import METRIC_NAMES

log = logging.getLogger("rnts")


class Complaints:
    """What was said already."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def once(self, what: str, message: str) -> None:
        """Say a message, unless something was said of this before."""
        if what not in self._said:
            self._said.add(what)
            log.warning(message)

    def unknown(self, names: Iterable[str], known: Sequence[str] = METRIC_NAMES) -> None:
        """Say of each name that there is no metric of that name, and which may be meant."""
        from difflib import get_close_matches

        for name in names:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.once(f"metric {name}", f"unknown metric {name!r} is left out{hint}")
