"""What the settings say about alerts, as the machines take it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from rnts.alerts.causes import usual_causes
from rnts.alerts.feed import CONDITION, RESOLVE, query_key
from rnts.alerts.flapping import Flapping
from rnts.alerts.reports import ReportRule
from rnts.alerts.rule import ALERT, INTERVALS_WITHOUT_DATA, RECOVER, Receiver, Rule
from rnts.alerts.suppression import Inhibition, Matchers
from rnts.durations import parse_duration_ns
from rnts.rules.bounds import bound_of, shown_readings, threshold_of, window_of
from rnts.rules.condition import parse_condition
from rnts.runtime import state_folder
from rnts.settings import Settings
from rnts.settings_alerts import Alert, ReceiverSettings
from rnts.settings_alerts_check import LOG_ACTION
from rnts.settings_processors import ProcessorRule
from rnts.standing.query import Query


class Plan(NamedTuple):
    """All that a process of alerts does; `routes` names the action of each receiver."""

    rules: tuple[Rule, ...]
    receivers: tuple[Receiver, ...]
    inhibitions: tuple[Inhibition, ...]
    flapping: Flapping
    routes: dict[str, str]
    queries: dict[str, Query]
    reports: tuple[ReportRule, ...] = ()


def memory_folder(settings: Settings) -> Path:
    """Where alerts are remembered."""
    return Path(settings.alerting.folder or Path(state_folder(), "alerts"))


def make_plan(settings: Settings) -> Plan:
    """The plan of these settings, which are valid."""
    by_name = {each.name: each for each in settings.receivers}
    asked = tuple(_rule(alert, by_name) for alert in settings.alerts)
    reported = tuple(_report_rule(said, by_name) for said in settings.processors)
    # Also those that no rule names any more: who was told of a beginning hears of the end.
    known = (LOG_ACTION, *(action.name for action in settings.actions))
    used = (name for rule in settings.all_rules for name in _direct(rule))
    direct = dict.fromkeys((*known, *used))
    receivers = [Receiver(name) for name in direct]
    routes = {name: name for name in direct}
    for each in settings.receivers:
        for action in each.actions:
            name = _told_by(each, action)
            receivers.append(_receiver(name, each))
            routes[name] = action
    return Plan(
        asked + reported,
        tuple(receivers),
        tuple(
            Inhibition(_matchers(each.source), _matchers(each.target), each.equal)
            for each in settings.inhibitions
        ),
        _flapping(settings),
        routes,
        _queries(asked),
        tuple(ReportRule(each.name, each.processor, each.at_least) for each in settings.processors),
    )


def _direct(alert: Alert | ProcessorRule) -> tuple[str, ...]:
    """The actions of a rule that no receiver is between; the log where nobody else is told."""
    return alert.action or (() if alert.receivers else (LOG_ACTION,))


def _told_by(receiver: ReceiverSettings, action: str) -> str:
    """Each way in which somebody is told is a receiver: one that fails holds up no other."""
    return f"{receiver.name}/{action}"


def _rule(alert: Alert, receivers: Mapping[str, ReceiverSettings]) -> Rule:
    condition = parse_condition(alert.condition)
    return Rule(
        alert.name,
        _one_line(alert.condition),
        alert.severity,
        _told(alert, receivers),
        condition.for_ns,
        parse_duration_ns(alert.keep_firing_for),
        alert.resolve_when is not None,
        _one_line(alert.resolve_when or ""),
        alert.no_data,
        parse_duration_ns(alert.interval),
        alert.limit,
        bound_of(condition),
        window_of(condition),
        alert.causes or usual_causes(shown_readings(condition)),
        threshold_of(condition),
    )


def _told(
    alert: Alert | ProcessorRule, receivers: Mapping[str, ReceiverSettings]
) -> tuple[str, ...]:
    """Who is told of a rule's alerts."""
    told = [
        _told_by(receivers[name], action)
        for name in alert.receivers
        for action in receivers[name].actions
    ]
    return (*_direct(alert), *told)


def _report_rule(said: ProcessorRule, receivers: Mapping[str, ReceiverSettings]) -> Rule:
    """A processor says that something is so, and never that it is over: silence says that."""
    return Rule(
        said.name,
        f"processor {said.processor}",
        said.severity,
        _told(said, receivers),
        no_data=RECOVER,
        interval_ns=parse_duration_ns(said.lasts) // INTERVALS_WITHOUT_DATA,
        limit=said.limit,
        causes=said.causes,
    )


def _one_line(condition: str) -> str:
    """The condition as it is shown; how it is spread over lines is no change of a rule."""
    return " ".join(condition.split())


def _receiver(name: str, said: ReceiverSettings) -> Receiver:
    return Receiver(
        name,
        said.group_by,
        parse_duration_ns(said.group_wait),
        parse_duration_ns(said.repeat),
        said.burst,
        parse_duration_ns(said.refill),
        said.resolved,
    )


def _matchers(labels: Mapping[str, str]) -> Matchers:
    return tuple(sorted(labels.items()))


def _flapping(settings: Settings) -> Flapping:
    said = settings.alerting.flapping
    return Flapping(parse_duration_ns(said.window), said.begins_at, said.ends_below)


def _queries(rules: Iterable[Rule]) -> dict[str, Query]:
    """What is to be asked of the aggregator, by keys that a `Feed` understands."""
    queries = {}
    for rule in rules:
        # Where nobody asks what silence means, who is not listed need not be told apart from it.
        is_silence_told = rule.no_data == ALERT or rule.keep_firing_ns > 0 or rule.has_resolve_when
        queries[query_key(CONDITION, rule.name)] = Query(
            rule.condition, is_condition=True, lists_unknown=is_silence_told
        )
        if rule.has_resolve_when:
            queries[query_key(RESOLVE, rule.name)] = Query(
                rule.resolve_when, is_condition=True, lists_unknown=True
            )
    return queries
