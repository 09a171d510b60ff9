"""Finds the place in a file of a character of a scalar, however YAML lets the scalar be written."""

import re

from rnts.settings_tree import Place

_BLOCKS = ("|", ">")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")  # an anchor, a tag


def place_within(place: Place, position: int) -> Place | None:
    """The place of the character at `position` of the scalar at `place`.

    None where that cannot be said: the scalar is in no file, or has escapes. White space is folded
    and cut by YAML, all other characters stand there as they are: so those are counted.
    """
    if not place.line or place.text is None or not place.raw:
        return None
    solid = [at for at, character in enumerate(place.text) if not character.isspace()]
    found = _solid(place.raw)
    if len(found) != len(solid) or not solid:
        return None
    before = sum(at < position for at in solid)
    if before == len(solid):  # behind the last one: the end of the text
        before, extra = before - 1, 1
    else:
        extra = 0
    return _at(place, found[before] + extra)


def _solid(raw: str) -> list[int]:
    """Where in the spelling each character stands that is no white space; [] if it has escapes."""
    start, end = _PROPERTIES.match(raw).end(), len(raw)  # type: ignore[union-attr]
    quote = raw[start : start + 1]
    if quote in _BLOCKS:
        start = raw.find("\n") + 1 or end
    elif quote in ("'", '"'):
        start, end = start + 1, end - 1
        if quote == '"' and "\\" in raw:
            return []
    found, at = [], start
    while at < end:
        if not raw[at].isspace():
            found.append(at)
        at += 2 if quote == "'" and raw[at : at + 2] == "''" else 1
    return found


def _at(place: Place, offset: int) -> Place:
    """The place of a character of the spelling."""
    before = place.raw[:offset]
    lines = before.count("\n")
    if not lines:
        return Place(place.source, place.line, place.column + offset)
    return Place(place.source, place.line + lines, offset - before.rfind("\n"))
