"""What an aggregator tells a client: pieces of updates, and which expressions are wrong."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from rnts.reflex.change import Change, Changes, Labels, Update, join_changes
from rnts.reflex.packed import pack_changes, unpack_changes
from rnts.rules.faults import Fault

Faults = tuple[Fault, ...]
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Part(NamedTuple):
    """A piece of an update.

    merged:  updates that it stands for beside itself, since the client did not keep up
    more:    the next piece goes on with the same update
    """

    update: Update
    merged: int
    more: bool


class Push(NamedTuple):
    """One message of an aggregator; `refused` says why it has no place for the client."""

    parts: tuple[Part, ...] = ()
    wrong: Mapping[str, Faults] = {}
    refused: str = ""


def pack_push(parts: Sequence[Part], wrong: Mapping[str, Faults], refused: str = "") -> bytes:
    """The document of a message."""
    document: dict[str, Any] = {"updates": [_of_part(part) for part in parts]}
    if wrong:
        document["wrong"] = wrong
    if refused:
        document["refused"] = refused
    return _encode(document).encode()


def unpack_push(payload: bytes) -> Push:
    """The message of a document; raises ValueError where it is none."""
    try:
        document = json.loads(payload)
        wrong = {
            str(key): tuple(Fault(int(position), str(message)) for position, message in faults)
            for key, faults in document.get("wrong", {}).items()
        }
        parts = tuple(_part(each) for each in document["updates"])
        return Push(parts, wrong, str(document.get("refused", "")))
    except (TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"no message of standing queries: {error!r}") from error


def _of_part(part: Part) -> dict[str, Any]:
    update = part.update
    return {
        "key": update.key,
        "at_ns": update.at_ns,
        "full": update.is_full,
        "changes": [pack_changes(each) for each in _in_columns(update.changes)],
        "gone": [dict(labels) for labels in update.gone],
        "omitted": update.omitted,
        "merged": part.merged,
        "more": part.more,
    }


def _part(document: Mapping[str, Any]) -> Part:
    update = Update(
        str(document["key"]),
        int(document["at_ns"]),
        bool(document["full"]),
        join_changes([unpack_changes(each) for each in document["changes"]]),
        tuple(_labels(each) for each in document["gone"]),
        int(document["omitted"]),
    )
    return Part(update, int(document["merged"]), bool(document["more"]))


def _in_columns(changes: Sequence[Change]) -> Iterable[Changes]:
    """Changes as columns, a piece for each stretch of entities with the same labels."""
    if isinstance(changes, Changes):
        yield from [changes] if changes else []
        return
    for names, stretch in groupby(changes, lambda change: tuple(name for name, _ in change.labels)):
        found = list(stretch)
        columns = [[change.labels[place][1] for change in found] for place in range(len(names))]
        truths, values = [change.truth for change in found], [change.value for change in found]
        worst = {place: change.worst for place, change in enumerate(found) if change.worst}
        certain = [change.certainty for change in found]
        known = certain if any(each is not None for each in certain) else ()
        yield Changes(names, columns, truths, values, worst, known)


def _labels(document: Mapping[str, str]) -> Labels:
    return tuple((str(name), str(value)) for name, value in document.items())
