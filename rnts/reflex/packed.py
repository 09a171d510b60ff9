r"""Changes as JSON has them: columns, of which one that repeats itself is a single number.

    {"names": ["group"], "labels": ["a\nb"], "truths": 1.0, "values": [2.5, null],
     "certain": [[[2.47, 2.5, null, null, null], null], [0, 1]]}

The values of a label are one text, a line each, or a list where one of them has lines itself: JSON
reads and writes a text five times as fast as a list. A number that is not known is null, one that
is not finite is its name. Of thousands of values buckets are few: how certain values are is a list
of what there is, and for each which of these.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rnts.reflex.change import Certainty, Changes, Worst

Number = float | str | None


def pack_changes(changes: Changes) -> dict[str, Any]:
    """The document of changes, of which there is at least one."""
    document: dict[str, Any] = {
        "names": changes.names,
        "labels": [_pack_column(column) for column in changes.columns],
        "truths": _pack_numbers(changes.truths, bool(changes.names)),
        "values": _pack_numbers(changes.values, bool(changes.names)),
    }
    if changes.worst:
        document["worst"] = {
            place: [[each.neuron, _pack_number(each.value), each.share] for each in worst]
            for place, worst in changes.worst.items()
        }
    if changes.certainties:
        ids = list(map(id, changes.certainties))  # many are one: to compare them takes longer
        different = dict(zip(ids, changes.certainties, strict=True))
        numbers = dict(zip(different, range(len(different)), strict=True))
        document["certain"] = [list(different.values()), list(map(numbers.get, ids))]
    return document


def unpack_changes(document: Mapping[str, Any]) -> Changes:
    """Undo `pack_changes`; what is no such document raises ValueError, TypeError or LookupError."""
    columns = [_unpack_column(column) for column in document["labels"]]
    count = len(columns[0]) if columns else len(document["truths"])
    worst = {
        int(place): tuple(
            Worst(str(name), _unpack_number(much), float(share)) for name, much, share in named
        )
        for place, named in document.get("worst", {}).items()
    }
    names = tuple(map(str, document["names"]))
    truths, values = (_unpack_numbers(document[name], count) for name in ("truths", "values"))
    different, places = document.get("certain", ((), ()))
    found = [each and _unpack_certainty(each) for each in different]
    return Changes(names, columns, truths, values, worst, [found[place] for place in places])


def _unpack_certainty(parts: Sequence[Any]) -> Certainty:
    """A shorter list is of an older version, a longer one of a newer."""
    said = parts[: len(Certainty._fields)]
    return Certainty(*(None if part is None else float(part) for part in said))


def _pack_column(column: Sequence[str]) -> str | list[str]:
    text = "\n".join(column)
    return text if text.count("\n") == len(column) - 1 else list(column)


def _unpack_column(column: Any) -> list[str]:
    if isinstance(column, str):
        return column.split("\n")
    if not isinstance(column, list) or set(map(type, column)) != {str}:
        raise TypeError("a column of labels is neither a text nor a list of texts")
    return column


def _pack_numbers(values: Sequence[float], may_be_one: bool) -> Number | list[Number]:
    first = values[0]
    if may_be_one and values.count(first) == len(values):
        return _pack_number(first)
    if all(map(math.isfinite, values)):
        return list(values)
    return [_pack_number(value) for value in values]


def _unpack_numbers(values: Any, count: int) -> list[float]:
    if isinstance(values, list):
        return [_unpack_number(value) for value in values]
    return [_unpack_number(values)] * count


def _pack_number(value: float) -> Number:
    if math.isfinite(value):
        return float(value)
    return None if math.isnan(value) else str(float(value))


def _unpack_number(value: Number) -> float:
    return math.nan if value is None else float(value)
