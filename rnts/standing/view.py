"""What a client knows of one expression, from the updates that it was sent."""

import math
from typing import NamedTuple

from rnts.reflex.change import Change, Labels, Update


class News(NamedTuple):
    """What an update has changed in a view: entities that are otherwise now, and that left."""

    changes: tuple[Change, ...]
    gone: tuple[Labels, ...]


class View:
    """Entities by their labels.

    A condition's are those that it is true of, or unknown; a quantity's those that have a value.
    """

    def __init__(self, is_condition: bool) -> None:
        self._is_condition = is_condition
        self.entities: dict[Labels, Change] = {}
        self.at_ns = self.omitted = 0

    def apply(self, update: Update) -> News:
        """Take in an update; of an entity that is as it was, nothing is news."""
        before = self.entities
        if update.is_full:
            self.entities = {}
        changes = tuple(
            change for change in update.changes if not _is_same(before.get(change.labels), change)
        )
        gone = [labels for labels in update.gone if self.entities.pop(labels, None) is not None]
        for change in update.changes:
            if self._is_listed(change):
                self.entities[change.labels] = change
            else:  # told once
                self.entities.pop(change.labels, None)
        told = {change.labels for change in update.changes}
        gone = [labels for labels in (before if update.is_full else gone) if labels not in told]
        self.at_ns, self.omitted = update.at_ns, update.omitted
        return News(changes, tuple(gone))

    def _is_listed(self, change: Change) -> bool:
        return change.truth != 0 if self._is_condition else not math.isnan(change.value)


def _is_same(before: Change | None, now: Change) -> bool:
    """Whether an entity is as it was; what is not known is the same as itself."""
    if before is None:
        return False
    pairs = ((before.truth, now.truth), (before.value, now.value))
    return all(was == is_ or (math.isnan(was) and math.isnan(is_)) for was, is_ in pairs)
