"""Tells a receiver of many alerts of a rule from their columns: one notification a group."""

from collections.abc import Callable, Mapping, Sequence
from heapq import nsmallest
from itertools import groupby, repeat
from operator import itemgetter

from rnts.alerts.notification import (
    ALERTS_LISTED_MAX,
    Notice,
    Notification,
    build_alike,
    sum_of,
    weight_of,
)
from rnts.alerts.rule import Receiver
from rnts.reflex.change import Changes


def tell_many(
    receiver: Receiver, those: Changes, places: Sequence[int], notice: Callable[[int], Notice],
    abouts: Mapping[int, str] | None, wall_ns: int,
) -> list[Notification]:  # fmt: skip
    """What is told of those at these places, whose values are those of their alerts.

    notice: what is told of one; it is asked only for those that are listed.
    abouts: by place what is told, but for the labels; None where that is the same of all.
    """
    told = []
    for values, members in _groups(receiver, those, places).items():
        pick = itemgetter(*members, members[0])  # one more, since it gives one alone as it is
        entities, amounts = pick(those.entities)[:-1], pick(those.values)[:-1]
        first = list(map(notice, _worst(amounts, entities, members)))
        about = [(first[0].about, entities)]
        if abouts is not None:
            runs = groupby(zip(members, entities, strict=True), lambda one: abouts[one[0]])
            about = [(what, [entity for _, entity in run]) for what, run in runs]
        pairs = zip(receiver.group_by, values, strict=True)
        group = {name: value for name, value in pairs if value}
        sent = build_alike(receiver.name, first, about, group, wall_ns, sum_of(amounts))
        told.append(sent)
    return told


def _groups(
    receiver: Receiver, those: Changes, places: Sequence[int]
) -> dict[tuple[str, ...], list[int]]:
    """The places of those that are told together, by the values of the receiver's labels."""
    groups = dict[tuple[str, ...], list[int]]()
    columns = dict(zip(those.names, those.columns, strict=True))
    nothing = [""] * len(those)
    found = [columns.get(name, nothing) for name in receiver.group_by]
    if len(places) < len(those):
        found = [[column[place] for place in places] for column in found]
    rows = zip(*found, strict=True) if found else repeat(())
    for values, place in zip(rows, places, strict=False):
        if values in groups:
            groups[values].append(place)
        else:
            groups[values] = [place]
    return groups


def _worst(amounts: Sequence[float], entities: Sequence[str], places: Sequence[int]) -> list[int]:
    """The places of those that are listed; where values are equal the names decide."""
    if amounts.count(amounts[0]) == len(amounts):
        rows = zip(entities, places, strict=True)
        return [place for _, place in nsmallest(ALERTS_LISTED_MAX, rows)]
    weighed = zip(map(weight_of, amounts), entities, places, strict=True)
    return [place for _, _, place in nsmallest(ALERTS_LISTED_MAX, weighed)]
