"""What an aggregator tells a client: pieces of updates, and which expressions are wrong.

A number that is not known is null; one that is not finite is its name as a text.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rnts.reflex.change import Change, Labels, Update, Worst
from rnts.rules.faults import Fault

Faults = tuple[Fault, ...]


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
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


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
    except (TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"no message of standing queries: {error!r}") from error


def _of_part(part: Part) -> dict[str, Any]:
    update = part.update
    return {
        "key": update.key,
        "at_ns": update.at_ns,
        "full": update.is_full,
        "changes": [_of_change(change) for change in update.changes],
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
        tuple(_change(*each) for each in document["changes"]),
        tuple(_labels(each) for each in document["gone"]),
        int(document["omitted"]),
    )
    return Part(update, int(document["merged"]), bool(document["more"]))


def _of_change(change: Change) -> list[Any]:
    fields = [dict(change.labels), _of_number(change.truth), _of_number(change.value)]
    worst = [[each.neuron, _of_number(each.value), each.share] for each in change.worst]
    return [*fields, worst] if worst else fields


def _change(labels: Any, truth: Any, value: Any, worst: Any = ()) -> Change:
    found = tuple(Worst(str(name), _number(much), float(share)) for name, much, share in worst)
    return Change(_labels(labels), _number(truth), _number(value), found)


def _labels(document: Mapping[str, str]) -> Labels:
    return tuple((str(name), str(value)) for name, value in document.items())


def _of_number(value: float) -> float | str | None:
    if math.isfinite(value):
        return float(value)
    return None if math.isnan(value) else str(float(value))


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)
