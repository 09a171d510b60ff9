"""Lives that are alike: what becomes of one of a cohort becomes of all of it.

Where thousands fired, were resolved or are true again, it is the same few histories that they have.
So what becomes of each is computed once for all that have the same, and each is like one of these.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, repeat
from operator import attrgetter
from typing import NamedTuple, cast

from rnts.alerts.flapping import Flapping
from rnts.alerts.life import RESOLVED, Key, Life, Moment
from rnts.alerts.notification import entity_of
from rnts.alerts.rule import Rule
from rnts.reflex.change import Changes

COHORTS_MAX = 64  # beyond that each life is looked at by itself
_plain = attrgetter(
    "rule", "rule_digest", "state", "episode", "held_ns", "samples", "event_ns", "newest",
    "heard_ns", "quiet_ns", "since_event_ns", "since_wall_ns", "changed_ns", "worst", "reason",
    "is_without_data", "is_gone", "is_flapping", "note", "flips", "told",
)  # fmt: skip


class Cohort(NamedTuple):
    """Entities by their places among all, and one of the lives that they had; None: they had none.

    What begins for one of them begins for all, but for labels and values.
    """

    before: Life | None
    places: Sequence[int]


def find_cohorts(
    rule: Rule, changes: Changes, lives: Mapping[Key, Life], flapping: Flapping, at: Moment
) -> list[Cohort] | None:
    """The cohorts of all that have become true; None where each has to be looked at.

    It is unless they have no alerts, or ones that are over, as everybody knows, and none flaps.
    """
    known = {entity_of(key.labels) for key in lives if key.rule == rule.name}
    if not known or known.isdisjoint(changes.entities):
        return [Cohort(None, range(len(changes)))] if flapping.begins_at > 1 else None
    # Plain pairs are found as keys are, and made in a third of the time.
    pairs = zip(repeat(rule.name), changes.labels, strict=False)
    befores = list(map(lives.get, cast(Iterable[Key], pairs)))
    groups: dict[tuple[int, ...] | None, list[int]] = {}
    for place, life in enumerate(befores):
        history: tuple[int, ...] | None = None
        if life is not None:
            is_new = life.state != RESOLVED or life.episode >= at.wall_ns
            if is_new or life.told or life.is_flapping or life.event_ns is not None:
                return None
            history = (life.quiet_ns, *life.flips)
            if len(history) >= flapping.begins_at or life.rule_digest != rule.digest:
                return None
        groups.setdefault(history, []).append(place)
    if len(groups) > COHORTS_MAX:
        return None
    return [Cohort(befores[places[0]], places) for places in groups.values()]


def alike(lives: Sequence[Life]) -> dict[tuple[object, ...], list[int]]:
    """The places of lives that differ in labels and values only, by what is the same of them."""
    cohorts: dict[tuple[object, ...], list[int]] = {}
    place = 0
    for (*same, told), stretch in groupby(lives, _plain):  # each is compared with the one before
        count = len(list(stretch))
        cohorts.setdefault((*same, *told.items()), []).extend(range(place, place + count))
        place += count
    return cohorts
