"""What is told of many entities of a rule at once, as batches that alerts may take in whole."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import repeat

from rnts.alerts.handed import Batch
from rnts.alerts.rule import ALERT
from rnts.alerts.storm import STORM_MIN, may_storm
from rnts.alerts.watched import Watched
from rnts.reflex.change import Changes, Labels, Update


def found_of_many(watched: Watched, update: Update) -> list[Batch]:
    """What an update tells of a condition of many, which is listed now; nothing if they are few."""
    changes = update.changes
    if not isinstance(changes, Changes):
        return []
    if may_storm(watched.rule, changes):
        return [_true(watched, changes, update.at_ns)]
    if not _are_many(changes) or watched.unheard or watched.early:
        return []
    parts = _by_truth(changes)
    batches = [_true(watched, part, update.at_ns) for part in parts if part.truths[0]]
    for part in parts:
        if not part.truths[0]:
            watched.list_late(part)
            batches += _false(watched, part, update.at_ns)
    return batches


def found_resolved(watched: Watched, update: Update) -> Batch | None:
    """The recovery that `resolve_when` tells of many who are false; None where there is no such.

    Of whoever is true there is nothing new yet.
    """
    changes = update.changes
    if not isinstance(changes, Changes) or not _are_many(changes):
        return None
    is_all_told = watched.is_told and watched.is_resolve_told
    if not is_all_told or watched.unheard or watched.early:
        return None
    parts = _by_truth(changes)
    if len(parts) != 1 or watched.rule.no_data == ALERT:  # whose silence would become an alert
        return None
    truth = changes.truths[0]
    if truth:
        watched.resolved.update(zip(changes.labels, repeat(truth)))
    else:
        deque(map(watched.resolved.pop, changes.labels, repeat(None)), maxlen=0)
    listed = watched.listed
    if listed:
        places = [place for place, one in enumerate(changes.labels) if one not in listed]
        changes = changes.pick(places)
    return Batch(changes.valued(changes.values, 0.0), update.at_ns, truth)


def found_again(watched: Watched, wanted: Iterable[Labels], at_ns: int) -> list[Batch]:
    """What still is so of these, who are listed or have alerts; nothing where they are few."""
    labels = list(wanted)
    if not _are_many(labels) or watched.unheard or watched.early:
        return []
    if not watched.is_told or watched.rule.no_data == ALERT:
        return []
    listed = watched.listed
    is_true = [one for one in labels if (change := listed.get(one)) and change.truth == 1]
    if any(listed[one].worst for one in is_true):
        return []
    batches = []
    if is_true:
        found = [listed[one] for one in is_true]
        certain = [each.certainty for each in found]
        changes = _changes_of(is_true, 1.0, [each.value for each in found])
        changes.certainties = certain if any(certain) else ()
        batches.append(Batch(changes, at_ns))
    is_false = labels if not listed else [one for one in labels if one not in listed]
    if is_false:
        changes = _changes_of(is_false, 0.0, [math.nan] * len(is_false))
        batches += _false(watched, changes, at_ns)
    return batches


def _are_many(those: Sequence[object]) -> bool:
    return len(those) >= STORM_MIN


def _by_truth(changes: Changes) -> list[Changes]:
    """Those that are true and those that are false; nothing where one is unknown, or twice."""
    if changes.worst or not set(changes.truths) <= {0.0, 1.0}:
        return []
    if changes.truths.count(changes.truths[0]) == len(changes):
        return [changes]
    if len(changes.different) < len(changes):
        return []
    places: dict[float, list[int]] = {}
    for place, truth in enumerate(changes.truths):
        places.setdefault(truth, []).append(place)
    return [changes.pick(those) for those in places.values()]


def _true(watched: Watched, changes: Changes, at_ns: int) -> Batch:
    if watched.unheard:
        watched.unheard.difference_update(changes.labels)
    if watched.early:
        watched.early.difference_update(changes.labels)
    watched.list_late(changes)
    return Batch(changes, at_ns)


def _false(watched: Watched, changes: Changes, at_ns: int) -> list[Batch]:
    """Batches of entities that are false, by what `resolve_when` is of them."""
    if not watched.rule.has_resolve_when or not watched.is_resolve_told:
        return [Batch(changes, at_ns)]
    by_truth: dict[float, list[int]] = {}
    for place, labels in enumerate(changes.labels):
        by_truth.setdefault(watched.resolved.get(labels, 0.0), []).append(place)
    if len(by_truth) == 1:
        return [Batch(changes, at_ns, *by_truth)]
    return [Batch(changes.pick(places), at_ns, truth) for truth, places in by_truth.items()]


def _changes_of(labels: list[Labels], truth: float, values: list[float]) -> Changes:
    """What a rule is of entities that are given by their labels; those of a rule have one scope."""
    names = tuple(name for name, _ in labels[0])
    columns = [[one[place][1] for one in labels] for place in range(len(names))]
    return Changes(names, columns, [truth] * len(labels), values, {}).labelled(labels)
