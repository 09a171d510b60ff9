"""The file of `rnts rules test`: rules, what neurons report when, and what is expected of that."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from rnts.nearest import suggest
from rnts.settings_alerts import SECTIONS, AlertSections, matchers
from rnts.settings_fields import (
    Duration,
    Labels,
    Length,
    Name,
    Names,
    Section,
    duration,
    names,
    setting,
    whole,
)

CASES_MAX, NEURONS_MAX, CHECKS_MAX, EXPECTED_MAX = 1_000, 1_000, 1_000, 1_000
MEANWHILE_MAX = 1_000
# What alerts have of their entity; the last is that of all beyond a rule's limit.
ENTITY_LABELS = ("group", "host", "neuron", "overflow")


def _check_entity(labels: dict[str, str]) -> dict[str, str]:
    for name in labels:
        if name not in ENTITY_LABELS:
            raise ValueError(f"{name!r} is no label of an entity{suggest(name, ENTITY_LABELS)}")
    return labels


def _as_range(value: object) -> object:
    """A number as the least and the most that is right."""
    ends = value if isinstance(value, tuple) else (value, value)
    are_numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in ends)
    if value is None or (len(ends) == 2 and are_numbers and ends[0] <= ends[1]):
        return None if value is None else tuple(float(each) for each in ends)
    raise ValueError("expected a number, or a list of the least and the most that is right")


def _as_reload(value: object) -> object:
    """The path of a file, or sections about alerts, which are read as those of a file are."""
    if value is None or isinstance(value, str | dict):
        known = (*SECTIONS, "alerting")
        for name in value if isinstance(value, dict) else ():
            if name not in known:
                raise ValueError(f"{name!r} is no section about alerts{suggest(str(name), known)}")
        return value
    raise ValueError("expected the path of a file of rules, or their sections")


EntityLabels = Annotated[dict[str, str], AfterValidator(_check_entity)]
Reload = Annotated[Any, BeforeValidator(_as_reload)]  # a path, or plain sections
Range = Annotated[tuple[float, float] | None, BeforeValidator(_as_range)]


def _listed(meaning: str, what: str, most: int, example: object, **more: Any) -> Any:
    article = "an" if what[0] in "aeiou" else "a"
    words, item = f"a list of up to {most} {what}s", f"{article} {what}"
    return setting(meaning, words, item=item, example=(example,), max_length=most, **more)


def _labels(meaning: str) -> Any:
    words = f"a mapping of {', '.join(ENTITY_LABELS)} to values"
    example = {"group": "cortex"}
    return setting(meaning, words, item="a value in quotes", example=example, default={})


class NeuronSeries(Section):
    """What a neuron, or several that are alike, report."""

    name: Name = setting(
        "what it is called; worker-{1..12} are twelve", "a name", example="worker-{1..12}"
    )
    group: str = setting("its group", "a name", example="cortex", default="")
    host: str = setting("its host", "a name", example="node-1", default="")
    comes: Duration = duration("when it is first heard of", "0s")
    leaves: Duration | None = duration("when it says that it leaves", None)
    series: dict[str, str] = setting(
        "values by metric, health or errors",
        "a mapping of names to values as in 1+1x10 _ 5",
        item="values in quotes",
        example={"queue_depth": "1+1x10"},
        default={},
    )


class ExpectedAlert(Section):
    """An alert that there has to be."""

    rule: Name = setting("of which rule", "the name of a rule", example="slow")
    state: Literal["pending", "firing", "recovering"] = setting("its state", example="firing")
    labels: EntityLabels = _labels("labels that it has, perhaps among others")
    value: Range = setting(
        "its value, in the unit of the condition",
        "a number, or the least and the most as [119, 121]",
        example=120,
        default=None,
    )
    without_data: bool | None = setting("whether it is without data", example=True, default=None)


class ExpectedNotification(Section):
    """A notification that has to have been sent."""

    receiver: Name = setting("to whom", "an action, or RECEIVER/ACTION", example="log")
    kind: Literal["firing", "resolved", "flapping", "digest"] = setting(
        "its kind", example="firing"
    )
    rule: Name | None = setting("of which rule", "the name of a rule", example="slow", default=None)
    group: EntityLabels = _labels("labels of its group, perhaps among others")
    count: int | None = whole(1, 1_000_000, "alerts in it", default=None)


class Check(Section):
    """What is expected at a moment."""

    at: Duration = setting("when", "a duration such as 500ms, 30s or 1h", example="30s")
    alerts: tuple[ExpectedAlert, ...] = _listed(
        "all alerts that there are then", "alert", EXPECTED_MAX, {"rule": "slow"}, default=()
    )
    told: tuple[ExpectedNotification, ...] = _listed(
        "all that was sent since the check before",
        "notification",
        EXPECTED_MAX,
        {"receiver": "log", "kind": "firing"},
        default=(),
    )


class SilenceSaid(Section):
    """Somebody's word that alerts are known, as `rnts alert silence` takes it."""

    matchers: Labels = matchers("labels that those alerts have")
    lasts: Length = setting("how long", "a duration such as 500ms, 30s or 1h", example="1m")
    author: Name = setting("who says so", "a name", example="ann")
    comment: str = setting("why", "a text", example="we know", default="")


class Meanwhile(Section):
    """One thing that people or processes do at a moment; it has one of the last three."""

    at: Duration = setting("when", "a duration such as 500ms, 30s or 1h", example="30s")
    silence: SilenceSaid | None = setting(
        "alerts are not told for a time", "a silence", example={"author": "ann"}, default=None
    )
    restart: Literal["alert", "aggregator"] | None = setting(
        "a process ends, and is started again at once",
        "alert or aggregator",
        example="alert",
        default=None,
    )
    reload: Reload = setting(
        "the alert process goes over to other rules",
        "the path of their file, or their sections",
        example="other.yaml",
        default=None,
    )


class Case(Section):
    """One test."""

    name: Name = setting("what it is called", "a name", example="a slow group is told")
    rules: Names = names("rules that it is about; all by default", "a rule", "slow")
    interval: Length | None = duration("time between two values; null is that of the file", None)
    neurons: tuple[NeuronSeries, ...] = _listed(
        "who reports what", "neuron", NEURONS_MAX, {"name": "a"}, default=()
    )
    meanwhile: tuple[Meanwhile, ...] = _listed(
        "what people and processes do when",
        "deed",
        MEANWHILE_MAX,
        {"at": "10s", "restart": "alert"},
        default=(),
    )
    checks: tuple[Check, ...] = _listed(
        "what is expected when", "check", CHECKS_MAX, {"at": "10s", "alerts": ()}
    )


class RulesTest(AlertSections):
    """The whole file."""

    rules: str | None = setting(
        "file of the rules, from the folder of this one; null is that they stand here",
        "a path or null",
        example="alerts.yaml",
        default=None,
    )
    interval: Length = duration("time between two values", "1s")
    tests: tuple[Case, ...] = _listed("the tests", "test", CASES_MAX, {"name": "a"})
