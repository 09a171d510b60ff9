"""Lives as documents, of which those that differ in labels, values and certainties only are one.

After a storm there are ten thousand of them: as one document each they took 200 ms of each second.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from rnts.alerts.cohorts import alike
from rnts.alerts.life import Life, Told
from rnts.alerts.rule import fingerprint
from rnts.reflex.change import Certainty, Changes
from rnts.reflex.packed import pack_changes, unpack_changes

LIFE, ALIKE = "life/", "alike/"  # what names of documents begin with
ALIKE_MIN = 8  # fewer have a document each
log = logging.getLogger("rnts.alerts")
_OF_EACH = ("labels", "value", "certainty")

# With the values that need not be written down.
_FIELDS: dict[str, Any] = {
    each.name: each.default_factory() if callable(each.default_factory) else each.default
    for each in fields(Life)
    if each.name != "noted"
}


def document_of(life: Life) -> dict[str, Any]:
    """All of a life that is not as at the beginning, as JSON keeps it."""
    said = vars(life)
    document = {name: said[name] for name, usual in _FIELDS.items() if said[name] != usual}
    document["told"] = {name: told._asdict() for name, told in life.told.items()}
    return document


def read_life(document: dict[str, Any], shift_ns: int) -> Life:
    """Undo `document_of` after a restart; its steady times go on by `shift_ns`."""
    life = Life(**document)
    life.labels = tuple((str(name), str(value)) for name, value in document["labels"])
    life.certainty = life.certainty and Certainty(*life.certainty)
    life.worst = tuple((str(n), float(v), float(s)) for n, v, s in life.worst)
    told = {name: Told(**each) for name, each in document["told"].items()}
    life.told = {name: t._replace(at_ns=t.at_ns + shift_ns) for name, t in told.items()}
    life.flips = tuple(flip + shift_ns for flip in life.flips)
    life.heard_ns += shift_ns
    life.quiet_ns += shift_ns
    life.changed_ns += shift_ns
    life.event_ns = None
    life.newest = None if life.newest is None else (life.newest[0], life.newest[1])
    return life


def documents_of(lives: Iterable[Life]) -> dict[str, Any]:
    """What is remembered of lives, by name."""
    all_lives = list(lives)
    groups: dict[tuple[object, ...], list[Life]] = {}
    for same, places in alike(all_lives).items():
        for place in places:
            life = all_lives[place]
            groups.setdefault((same, *[name for name, _ in life.labels]), []).append(life)
    found: dict[str, Any] = {}
    for number, those in enumerate(groups.values()):
        if len(those) < ALIKE_MIN or not those[0].labels:
            found.update(_single(those))
        else:
            found[f"{ALIKE}{number}"] = document_of_alike(those[0], _columns(those))
    return found


def documents_of_alike(name: str, first: Life, those: Changes) -> dict[str, Any]:
    """The same of lives of which `those` has what is of each, and which are as the first."""
    if len(those) >= ALIKE_MIN and those.names:
        return {ALIKE + name: document_of_alike(first, those)}
    return dict(_single(first.copy(c.labels, c.value, c.certainty) for c in those))


def _single(lives: Iterable[Life]) -> Iterator[tuple[str, Any]]:
    return ((LIFE + life.fingerprint, document_of(life)) for life in lives)


def _columns(lives: list[Life]) -> Changes:
    names = tuple(name for name, _ in lives[0].labels)
    columns = zip(*([value for _, value in life.labels] for life in lives), strict=True)
    values = [life.value for life in lives]
    certain = [life.certainty for life in lives]
    known = certain if any(certain) else ()
    return Changes(names, list(columns), [1.0] * len(lives), values, {}, known)


def document_of_alike(first: Life, those: Changes) -> dict[str, Any]:
    """The document of lives of which `those` has what is of each, and which are as the first."""
    alike = {name: each for name, each in document_of(first).items() if name not in _OF_EACH}
    return {"alike": alike, "those": pack_changes(those)}


def read_documents(documents: dict[str, Any], counts: Counter[str]) -> dict[str, Any]:
    """The documents with one of each life in place of those of several.

    Those of another version are left out, and counted as `unreadable`.
    """
    found: dict[str, Any] = {}
    for name, document in documents.items():
        if not name.startswith(ALIKE):
            found[name] = document
            continue
        try:
            found.update(_each_of(document))
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            counts["unreadable"] += 1
            log.warning("alerts that were remembered together cannot be read: %r", error)
    return found


def _each_of(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    alike, those = document["alike"], unpack_changes(document["those"])
    for labels, _, value, _, certainty in those:
        of_each: dict[str, Any] = {"labels": labels, "value": value}
        if certainty is not None:
            of_each["certainty"] = certainty
        yield LIFE + fingerprint(alike["rule"], labels), alike | of_each
