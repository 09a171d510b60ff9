"""Compares what a test expects at a moment with what there is, one to one."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from rnts.alerts.life import Life
from rnts.alerts.notification import Notification
from rnts.settings_fields import Section
from rnts.settings_rehearsal import Check
from rnts.settings_tree import KeyPath

TOLERANCE = 1e-9  # of a value that is said as one number: sums of floats are rounded
_LISTED_MAX = 5  # in a message
Document = dict[str, Any]


class Difference(NamedTuple):
    """One thing that is not as expected; `path` is where that is said within the check."""

    path: KeyPath
    what: str
    expected: str
    got: str


class _Sort(NamedTuple):
    """What is compared: what tells which one is meant, and what that one has to be."""

    section: str
    identity: tuple[str, ...]
    details: tuple[str, ...]


_ALERTS = _Sort("alerts", ("rule", "labels"), ("state", "value", "without_data"))
_TOLD = _Sort("told", ("receiver", "rule", "group"), ("kind", "count"))


def compare(
    check: Check, lives: Iterable[Life], told: Iterable[Notification]
) -> Iterator[Difference]:
    """What differs; alerts or notifications of which the check says nothing may be any."""
    if "alerts" in check.model_fields_set:
        found = [_alert(life) for life in lives if life.is_active]
        yield from _match(_ALERTS, check.alerts, found)
    if "told" in check.model_fields_set:
        yield from _match(_TOLD, check.told, [_notification(each) for each in told])


def _alert(life: Life) -> Document:
    return {
        "rule": life.rule,
        "labels": dict(life.labels),
        "state": life.state,
        "value": life.value if math.isfinite(life.value) else None,
        "without_data": life.is_without_data,
    }


def _notification(said: Notification) -> Document:
    return {
        "receiver": said.receiver,
        "rule": said.rule,
        "group": said.group,
        "kind": said.kind,
        "count": said.count,
    }


def _match(
    sort: _Sort, expected: tuple[Section, ...], found: list[Document]
) -> Iterator[Difference]:
    """Give each expectation one that fits; what is left over on either side is a difference.

    Whoever says most chooses first, and what fits in all is taken before what only is meant.
    """
    wanted = [(index, _wanted(each)) for index, each in enumerate(expected)]
    wanted.sort(
        key=lambda pair: -sum(len(v) if isinstance(v, dict) else 1 for v in pair[1].values())
    )
    missing = []
    for index, each in wanted:
        fits = (one for one in found if _wrong(each, one, sort.identity + sort.details) is None)
        right = next(fits, None)
        if right is None:
            missing.append((index, each))
        else:
            found.remove(right)
    path: KeyPath
    for index, each in sorted(missing, key=lambda pair: pair[0]):
        meant = next((one for one in found if _wrong(each, one, sort.identity) is None), None)
        if meant is None:
            path = (sort.section, index)
            yield Difference(path, "", words(each), _listed(found))
            continue
        found.remove(meant)
        name = _wrong(each, meant, sort.details)
        assert name is not None, "else it would have fitted in all"
        what = words({part: meant[part] for part in sort.identity})
        path = (sort.section, index, name)
        yield Difference(path, f"{what}: {name}", words(each[name]), words(meant[name]))
    if found:
        more = "no other" if expected else "none"
        yield Difference((sort.section,), sort.section, more, _listed(found))


def _wanted(expected: Section) -> Document:
    """What an expectation says, without what it leaves open."""
    said = {name: getattr(expected, name) for name in type(expected).model_fields}
    return {name: value for name, value in said.items() if value not in (None, {})}


def _wrong(wanted: Document, found: Document, names: tuple[str, ...]) -> str | None:
    """The first of these in which a found one is not as wanted."""
    return next((n for n in names if n in wanted and not _fits(wanted[n], found[n])), None)


def _fits(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, dict):
        return bool(wanted.items() <= found.items())
    if isinstance(wanted, tuple):
        if found is None:
            return False
        low, high = wanted
        slack = TOLERANCE * max(abs(low), abs(high)) if low == high else 0.0
        return bool(low - slack <= found <= high + slack)
    return bool(wanted == found)


def words(said: Any) -> str:
    """Something as people read it on one line; what is empty or false is left out."""
    if isinstance(said, dict):
        return " ".join(filter(None, (_named(name, value) for name, value in said.items())))
    if isinstance(said, tuple):
        low, high = (f"{each:.12g}" for each in said)
        return low if low == high else f"{low} to {high}"
    if isinstance(said, bool):
        return "true" if said else "false"
    if isinstance(said, float):
        return f"{said:.12g}"
    return "nothing" if said is None else str(said)


def _named(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{label}={text}" for label, text in value.items() if text)
    if value is None or value is False:
        return ""
    return words(value) if isinstance(value, str) else f"{name} {words(value)}"


def _listed(found: list[Document]) -> str:
    """What there is, the first few."""
    if not found:
        return "none"
    more = f"; and {len(found) - _LISTED_MAX} more" if len(found) > _LISTED_MAX else ""
    return "; ".join(map(words, found[:_LISTED_MAX])) + more
