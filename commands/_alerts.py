"""Alerts and silences in words, and matchers as people write them."""

from typing import Any

from rnts.commands._alert_view import reaction_words
from rnts.commands._format import duration, visible
from rnts.errors import UsageError
from rnts.settings_values import check_labels

Document = dict[str, Any]
_STATES_FIRING = ("firing", "recovering")


def parse_matchers(texts: list[str]) -> dict[str, str]:
    """The matchers of `label=value` each; raises UsageError that says what to write."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not value:
            raise UsageError(f"{text!r} is no matcher; write label=value, such as rule=slow")
        if name in found:
            raise UsageError(f"the label {name!r} stands twice; all matchers have to hold")
        found[name] = value
    try:
        return check_labels(found)
    except ValueError as error:
        raise UsageError(str(error)) from None


def alert_lines(answer: Document) -> list[str]:
    """The alerts, a line each, under how many there are."""
    now_ns, alerts = answer["wall_ns"], answer["alerts"]
    lines = [summary(answer), *(_alert_line(alert, now_ns) for alert in alerts)]
    if answer["count"] > len(alerts):
        lines.append(f"and {answer['count'] - len(alerts)} more")
    return lines


def summary(answer: Document) -> str:
    """How many alerts there are, and whether the process hears of more."""
    process = answer["process"]
    firing = sum(c["count"] for c in answer["counts"] if c["state"] in _STATES_FIRING)
    words = [f"{process['rules']} rules", f"{answer['count']} alerts", f"{firing} firing"]
    if not process["is_live"]:
        words.append("no aggregator is heard")
    if process["is_dry_run"]:
        words.append("dry run")
    if process["memory"]:
        words.append(f"cannot be remembered: {process['memory']}")
    if process["actions_left_alone"]:
        words.append("actions that fail: " + ", ".join(process["actions_left_alone"]))
    if reaction := reaction_words({"alerts": answer}):
        words.append(reaction)
    return visible(" · ".join(words))


def _alert_line(alert: Document, now_ns: int) -> str:
    where = " ".join(f"{name}={value}" for name, value in alert["labels"].items())
    value = "" if alert["value"] is None else f"{alert['value']:g}"
    flags = [name for name in ("without_data", "flapping", "silenced") if alert[f"is_{name}"]]
    words = [
        f"{alert['severity']:8}",
        f"{alert['state']:10}",
        f"{duration(max(0, now_ns - alert['since_wall_ns'])):>7}",
        alert["rule"],
        where,
        " ".join(filter(None, (value, alert["bound"]))),
        ", ".join(flag.replace("_", " ") for flag in flags),
    ]
    return visible("  ".join(filter(None, words)))


def silence_lines(answer: Document) -> list[str]:
    """The silences, a line each."""
    lines = [_silence_line(each, answer["wall_ns"]) for each in answer["silences"]]
    return lines or ["no silences"]


def _silence_line(silence: Document, now_ns: int) -> str:
    matchers = " ".join(f"{name}={value}" for name, value in silence["matchers"])
    left = duration(max(0, silence["expires_wall_ns"] - now_ns))
    said = f"{silence['id']}  {matchers}  for {left} more  by {silence['author']}"
    return visible(f"{said}: {silence['comment']}" if silence["comment"] else said)
