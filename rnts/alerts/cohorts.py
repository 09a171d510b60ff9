"""Lives that are alike: what becomes of one of a cohort becomes of all of it.

Where thousands fired, were resolved or are true again, it is the same few histories that they have.
So what becomes of each is computed once for all that have the same, and each is like one of these.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from rnts.alerts.flapping import Flapping
from rnts.alerts.known import Known
from rnts.alerts.life import RESOLVED, Life, Moment
from rnts.alerts.rule import Rule
from rnts.reflex.change import Changes

COHORTS_MAX = 64  # beyond that each life is looked at by itself
_plain = attrgetter(
    "rule", "rule_digest", "state", "episode", "held_ns", "samples", "event_ns", "newest",
    "heard_ns", "quiet_ns", "since_event_ns", "since_wall_ns", "changed_ns", "worst", "reason",
    "is_without_data", "is_gone", "is_flapping", "note", "flips", "told",
)  # fmt: skip
# In one go: ten thousand lives are far apart in memory.
_sign = attrgetter(
    "state", "episode", "event_ns", "quiet_ns", "flips", "told", "is_flapping", "rule_digest",
)  # fmt: skip


class Cohort(NamedTuple):
    """Entities by their places among all, and one of the lives that they had; None: they had none.

    What begins for one of them begins for all, but for labels and values.
    """

    before: Life | None
    places: Sequence[int]


def find_cohorts(
    rule: Rule, changes: Changes, lives: Known, flapping: Flapping, at: Moment
) -> list[Cohort] | None:
    """The cohorts of all that have become true; None where each has to be looked at.

    It is unless they have no alerts, or ones that are over, as everybody knows, and none flaps.
    """
    befores = lives.find(rule.name, changes)
    known = list(filter(None, befores))
    if not known:
        return [Cohort(None, range(len(changes)))] if flapping.begins_at > 1 else None
    signs = list(map(_sign, known))
    is_one = signs.count(signs[0]) == len(signs)
    different = signs[:1] if is_one else [sign for sign, _ in groupby(signs)]
    if not all(_is_over(sign, rule, flapping, at) for sign in different):
        return None
    if is_one and len(known) == len(changes):
        return [Cohort(known[0], range(len(changes)))]
    groups: dict[tuple[int, tuple[int, ...]] | None, list[int]] = {}
    for place, life in enumerate(befores):
        history = None if life is None else (life.quiet_ns, life.flips)
        groups.setdefault(history, []).append(place)
    if len(groups) > COHORTS_MAX:
        return None
    return [Cohort(befores[places[0]], places) for places in groups.values()]


def _is_over(sign: tuple[Any, ...], rule: Rule, flapping: Flapping, at: Moment) -> bool:
    """Whether alerts of which this is so are over, as everybody knows, and do not flap."""
    state, episode, event_ns, _, flips, told, is_flapping, rule_digest = sign
    is_over = state == RESOLVED and episode < at.wall_ns and event_ns is None and not told
    is_calm = not is_flapping and len(flips) + 1 < flapping.begins_at
    return is_over and is_calm and rule_digest == rule.digest


def alike(lives: Sequence[Life]) -> dict[tuple[object, ...], list[int]]:
    """The places of lives that differ in labels and values only, by what is the same of them."""
    cohorts: dict[tuple[object, ...], list[int]] = {}
    place = 0
    for (*same, told), stretch in groupby(lives, _plain):  # each is compared with the one before
        count = len(list(stretch))
        cohorts.setdefault((*same, *told.items()), []).extend(range(place, place + count))
        place += count
    return cohorts
