"""The end of a message about an unknown name: the known one that is nearest."""

import difflib
from collections.abc import Iterable

SUGGESTIONS_MAX = 8


def suggest(name: str, known: Iterable[str]) -> str:
    """The known name that is nearest, as the end of a message, a few if none is near."""
    names = list(known)
    if not names:
        return "; there is none"
    if near := difflib.get_close_matches(name, names, n=1):
        return f"; did you mean {near[0]}?"
    more = ", …" if len(names) > SUGGESTIONS_MAX else ""
    return f"; known here: {', '.join(names[:SUGGESTIONS_MAX])}{more}"
