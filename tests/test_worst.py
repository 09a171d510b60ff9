"""The worst neurons of all that becomes true at once are found in one pass."""

import random
from collections import Counter, defaultdict

import pytest
from reflex_tools import CRITICAL, DEACTIVATED, ERROR, Town

from rnts.kernels import flips
from rnts.reflex.change import Worst

RULES = {
    "errors over 10s > 1 by group": "errors",
    "error_rate over 10s > 0 by group": "errors",
    "errors over 10s > 2 by host": "errors",
    "errors over 10s > 2": "errors",
    "max(queue_depth) over 10s > 3 by host": "max",
    "max(queue_depth) over 10s > 3 by all": "max",
    "mean(queue_depth) over 10s > 1 by group": "sum",
    "critical_neurons > 0 by group": "critical",
    "critical_neurons > 1 by all": "critical",
    "min(queue_depth) over 10s > -1 by group": "nobody",
}
SCOPES = {"group": 0, "host": 1}


def worst_of(parts: dict[int, float], is_maximum: bool) -> tuple[Worst, ...]:
    """Three of the neurons by their parts; where they are equal the earlier row comes first."""
    whole = max(parts.values()) if is_maximum else sum(parts.values())
    order = sorted(parts, key=lambda one: -parts[one])[: flips.WORST]
    return tuple(Worst(f"n{one}", parts[one], parts[one] / whole) for one in order)


@pytest.mark.parametrize("seed", range(4))
def test_all_flips_of_an_evaluation_are_one_pass(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many expressions flip, and of whatever scopes, neurons are gone over once."""
    source, town, passes = random.Random(seed), Town(), []
    find_worst = flips.find_worst
    monkeypatch.setattr(flips, "find_worst", lambda *a: passes.append(1) or find_worst(*a))
    for text in RULES:
        town.watch(text)
    places = {one: (f"g{source.randrange(3)}", f"h{source.randrange(2)}") for one in range(1, 13)}
    town.step(10, *[town.name(one, f"n{one}", *places[one]) for one in places])
    parts: dict[str, dict[int, float]] = {
        kind: dict.fromkeys(places, 0.0) for kind in ("errors", "max", "sum", "critical", "nobody")
    }
    batch = []
    for one in places:
        parts["errors"][one] = source.randrange(4)
        parts["critical"][one] = source.randrange(2)
        depth = source.randrange(1, 9)
        parts["max"][one] = parts["sum"][one] = depth
        said = {"health": CRITICAL} if parts["critical"][one] else {}
        batch += [town.sample(one, queue_depth=depth, activation_count=100, **said)]
        batch += [town.event(one, ERROR) for _ in range(int(parts["errors"][one]))]
    assert not passes
    town.step(10, *batch)
    assert len(passes) == 1
    flipped = Counter[str]()
    for text, kind in RULES.items():
        scope = SCOPES.get(text.rpartition(" by ")[2])
        members: dict[str, dict[int, float]] = defaultdict(dict)
        for one, place in places.items():
            if parts[kind][one]:
                members[place[scope] if scope is not None else ""][one] = parts[kind][one]
        update = town.engine.take(text, town.now_ns)
        for change in update.changes if update else ():
            assert change.truth == 1
            flipped[text] += 1
            name = change.labels[0][1] if change.labels else ""
            expected = worst_of(members[name], kind == "max") if kind != "nobody" else ()
            assert change.worst == expected, text
    assert len(flipped) >= len(RULES) - 2
    town.step(10)
    assert len(passes) == 1


def test_who_has_left_is_not_named() -> None:
    """Its state was its last word, and not how it is; the others share what is left."""
    town = Town()
    town.watch("critical_neurons > 0")
    names = [town.name(1, "gone", "g"), town.name(2, "here", "g")]
    town.step(1, *names, town.sample(1, health=CRITICAL), town.sample(2, health=0))
    town.step(1, town.event(1, DEACTIVATED))
    town.news("critical_neurons > 0")

    town.step(1, town.sample(2, health=CRITICAL))

    update = town.engine.take("critical_neurons > 0", town.now_ns)
    assert update is not None
    assert [change.worst for change in update.changes] == [(Worst("here", 1.0, 1.0),)]
