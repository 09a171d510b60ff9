"""A condition that is understood: its scope, its readings, and what it computes from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rnts.rules.checker import Checker
from rnts.rules.clauses import Clauses, split
from rnts.rules.faults import RuleError
from rnts.rules.nodes import OF_NEURONS, OF_SEVERAL, WRONG, Faults, Need, Node
from rnts.rules.reader import read


class Reading(NamedTuple):
    """A number that is needed of each entity of a scope, in the unit of the model.

    function:   "last", "mean", "min", "max", "rate", "count", "delta", "absent", a percentile as
                "p99_9", "health" (NaN until it is said), "health_or_unknown", or a name of
                `vocabulary.COUNTS`
    metric:     a name of the model, or "" where the function is of none
    window_ns:  how far back it reaches; 0 for what is about now
    scope:      "neuron", "group", "host" or "all"
    """

    function: str
    metric: str
    window_ns: int
    scope: str


@dataclass(frozen=True)
class Condition:
    """A condition, or the expression of a standing query.

    root:            what is computed
    shown:           the part of it whose value a notification shows
    scope:           of which entities each is asked
    scope_is_given:  whether `by` said so
    for_ns:          how long it must hold
    readings:        what it needs, each once, in the order of the text
    """

    text: str
    root: Node
    shown: Node
    scope: str
    scope_is_given: bool
    for_ns: int
    readings: tuple[Reading, ...]

    def reading(self, need: Need) -> Reading:
        """The reading that answers a need of this condition."""
        return Reading(need.function, need.metric, need.window_ns, self.scope)


def parse_condition(text: str) -> Condition:
    """A condition; raises RuleError with all that is wrong with it."""
    return _parse(text, is_condition=True)


def parse_quantity(text: str) -> Condition:
    """What a standing query watches: a number, a state or a condition; raises RuleError."""
    return _parse(text, is_condition=False)


def _parse(text: str, is_condition: bool) -> Condition:
    clauses = split(text)
    term = read(text, clauses)
    faults = Faults()
    checker = Checker(faults)
    root = checker.condition(term) if is_condition else checker.quantity(term)
    if clauses.for_place is not None and not is_condition:
        faults.wrong(
            clauses.for_place, "for belongs to conditions of alerts, not to what is watched"
        )
    needs = list(needs_of(root))
    scope = _scope(clauses, needs, faults)
    if faults.found:
        raise RuleError(text, faults.found)
    assert root.kind != WRONG, "what is wrong has a fault"
    readings = dict.fromkeys(Reading(n.function, n.metric, n.window_ns, scope) for n in needs)
    given = clauses.scope is not None
    return Condition(text, root, _shown(root), scope, given, clauses.for_ns, tuple(readings))


def needs_of(node: Node) -> Iterator[Need]:
    """What a node reads, in the order of the text."""
    if node.need is not None:
        yield node.need
    for part in node.parts:
        yield from needs_of(part)


def _scope(clauses: Clauses, needs: list[Need], faults: Faults) -> str:
    """The scope that `by` says, else the one that the readings ask for; notes what does not fit."""
    single = next((need for need in needs if need.reach == OF_NEURONS), None)
    scope = clauses.scope or ("neuron" if single else "all")
    for need in needs:
        if need.reach == OF_NEURONS and scope != "neuron":
            advice = "mean, min or max of it"
            if need.function in ("health", "health_or_unknown"):
                advice = "critical_neurons"
            if need.function == "delta":
                advice = "delta of a counter"
            message = f"{need.written} is of one neuron; by {scope} there is {advice}"
            faults.wrong(need.position, message)
        elif need.reach == OF_SEVERAL and scope == "neuron":
            why = "" if clauses.scope or single is None else f", because of {single.written}"
            faults.wrong(need.position, f"{_not_of_one(need)}; this condition is by neuron{why}")
    return scope


def _not_of_one(need: Need) -> str:
    if need.metric:
        return f"by neuron a percentile is kept of processing_time_ns only, not {need.written}"
    return f"{need.written} counts neurons and says nothing about one"


def _shown(root: Node) -> Node:
    """The first side of a comparison, in the order of the text, that depends on a reading."""
    node = root
    while node.operation in ("and", "or", "not"):
        node = next((part for part in node.parts if not part.is_constant), node.parts[0])
    if node.operation in ("<", "<=", ">", ">=", "==", "!="):
        return next(part for part in node.parts if not part.is_constant) if node.parts else node
    return node
