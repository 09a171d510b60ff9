"""Tells a receiver of many alerts of a rule from their columns: one notification a group."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

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

Value = TypeVar("Value", bound=Hashable)


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
        ranked = sorted(members, key=those.entities.__getitem__)
        amounts = [those.values[place] for place in ranked]
        entities = [those.entities[place] for place in ranked]
        first = [notice(ranked[rank]) for rank in _worst(amounts)]
        about = [(first[0].about, entities)]
        if abouts is not None:
            pairs_of = zip(map(abouts.__getitem__, ranked), entities, strict=True)
            runs = groupby(pairs_of, itemgetter(0))
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
    columns = dict(zip(those.names, those.columns, strict=True))
    nothing = [""] * len(those)
    found = [columns.get(name, nothing) for name in receiver.group_by]
    if not found:
        return {(): list(places)}
    if len(places) < len(those):
        found = [[column[place] for place in places] for column in found]
    if len(found) == 1:  # as nearly always
        return {(value,): members for value, members in _by(found[0], places).items()}
    return _by(zip(*found, strict=True), places)


def _by(values: Iterable[Value], places: Sequence[int]) -> dict[Value, list[int]]:
    """The places of equal values."""
    groups = defaultdict[Value, list[int]](list)
    for value, place in zip(values, places, strict=True):
        groups[value].append(place)
    return groups


def _worst(amounts: Sequence[float]) -> Sequence[int]:
    """The ranks of those that are listed; where amounts are equal the ranks decide."""
    if amounts.count(amounts[0]) == len(amounts):
        return range(min(len(amounts), ALERTS_LISTED_MAX))
    weights = list(map(weight_of, amounts))
    least = sorted(weights)[:ALERTS_LISTED_MAX][-1]  # all of that in C: a heap takes four times it
    weighed = [(weight, rank) for rank, weight in enumerate(weights) if weight <= least]
    return [rank for _, rank in sorted(weighed)[:ALERTS_LISTED_MAX]]
