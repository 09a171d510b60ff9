"""The settings of alerts: rules, what is done about them, who is told, and what explains what."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import (
    field_serializer,
    field_validator,
    model_validator,
)

from rnts.settings_fields import (
    Duration,
    Folder,
    LabelName,
    Labels,
    Length,
    Name,
    Names,
    Section,
    causes,
    duration,
    names,
    setting,
    whole,
)
from rnts.settings_processors import ProcessorRule
from rnts.settings_values import LABELS

ENTRIES_MAX = 1_000


def _texts(meaning: str, example: Mapping[str, str]) -> Any:
    words = "a mapping of names to texts"
    return setting(meaning, words, item="a text in quotes", example=example, default={})


def matchers(meaning: str) -> Any:
    """Labels that alerts have to have."""
    labels = ", ".join(LABELS)
    words = f"a mapping of labels ({labels}) to values"
    return setting(meaning, words, item="a value in quotes", example={"rule": "a"}, min_length=1)


def _labels(meaning: str, default: tuple[str, ...]) -> Any:
    words = ", ".join(LABELS)
    return setting(
        meaning, f"a list of {words}", item=f"one of {words}", example=("group",), default=default
    )


class Alert(Section):
    """One alert rule."""

    name: Name = setting("what it is called", "a name", example="high_latency")
    condition: str = setting(
        "when it fires, as docs/rules.md defines",
        "a condition in quotes",
        example="p99_processing_time_ms > 100",
    )
    severity: Literal["info", "warning", "critical"] = setting("how bad that is", example="info")
    action: Names = names("what is done then", "an action", "page")
    receivers: Names = names("who is told then", "a receiver", "on_call")
    keep_firing_for: Duration = duration("how long a recovery has to hold", "0s")
    resolve_when: str | None = setting(
        "what its recovery is; null is that the condition is false",
        "a condition in quotes or null",
        example="p99_processing_time_ms < 50",
        default=None,
    )
    no_data: Literal["keep", "alert", "ok", "resolve"] = setting(
        "what silence means", example="alert", default="keep"
    )
    interval: Length = duration("how often its truth is expected; three of them are no data", "1s")
    limit: int = whole(1, 100_000, "alerts at a time; those beyond are one more", default=1_000)
    causes: tuple[str, ...] = causes(
        "what to look at; by default what the condition reads suggests"
    )

    @field_serializer("action", "receivers")
    def _as_people_write_them(self, names: tuple[str, ...]) -> str | list[str]:
        return names[0] if len(names) == 1 else list(names)


class ActionSettings(Section):
    """One thing that can be done about alerts."""

    name: Name = setting("what rules and receivers call it", "a name", example="page")
    kind: Literal["command", "webhook", "publish", "log", "alertmanager", "apprise"] = setting(
        "what it does", example="command"
    )
    command: tuple[str, ...] = setting(
        "the program and its arguments; there is no shell",
        "a list of 1 to 100 texts",
        item="a text in quotes",
        example=("/usr/bin/logger", "-t", "rnts"),
        default=(),
        max_length=100,
    )
    environment: dict[str, str] = _texts(
        "variables that a command gets beside those of RNTS", {"TEAM": "a"}
    )
    url: str | None = setting(
        "address of the service", "a URL", example="https://example.org/hook", default=None
    )
    headers: dict[str, str] = _texts("headers of each request", {"X-Team": "a"})
    authority: Folder = setting(
        "file of the certificates to believe; null is those of the machine",
        "an absolute path or null",
        example="/etc/rnts/ca.pem",
        default=None,
    )
    topic: Name | None = setting(
        "control topic; null is the action's name", "a name or null", example="stop", default=None
    )
    endpoint: str | None = setting(
        "address of the control topic; null is control.sock in the runtime folder",
        "ipc:///path, tcp://127.0.0.1:port or null",
        example="tcp://127.0.0.1:8091",
        default=None,
    )
    timeout: Length | None = duration("longest that one try takes; null is 10s, over HTTP 5s", None)
    attempts: int = whole(1, 100, "tries in all", default=4)
    back_off: Length = duration("wait before the second try; it doubles, up to 30s", "500ms")
    cooldown: Duration = duration(
        "time after one that worked in which only critical ones and ends pass", "0s"
    )
    failures: int = whole(1, 1_000, "failures in a row after which it is left alone", default=5)
    pause: Length = duration("how long it is left alone then", "1m")


class ReceiverSettings(Section):
    """Somebody who is told of alerts, and how much of it."""

    name: Name = setting("what rules call it", "a name", example="on_call")
    actions: Names = setting(
        "how it is told",
        "the name of an action, or a list of names",
        item="the name of an action",
        example=("page",),
        min_length=1,
        max_length=100,
    )
    group_by: tuple[LabelName, ...] = _labels(
        "labels whose equal values are told together", ("group",)
    )
    group_wait: Duration = duration("how long the first of a group waits for others", "500ms")
    repeat: Duration = duration("after which what still fires is told again; 0s is never", "4h")
    burst: int = whole(1, 10_000, "notifications at once", default=10)
    refill: Length = duration("time after which there may be one more", "1s")
    resolved: bool = setting("whether the end is told too", example=True, default=True)


class InhibitionSettings(Section):
    """Alerts that explain others, which are not told meanwhile."""

    source: Labels = matchers("labels of the alert that explains")
    target: Labels = matchers("labels of those that are not told while it fires")
    equal: tuple[LabelName, ...] = _labels("labels that both have alike", ())


class FlappingSettings(Section):
    """When an alert comes and goes so often that each time is no news."""

    window: Length = duration("time within which changes are counted", "10m")
    begins_at: int = whole(2, 1_000, "changes at which it begins")
    ends_below: int = whole(1, 1_000, "changes below which it ends")

    @model_validator(mode="after")
    def _ends_below_its_beginning(self) -> Self:
        if self.ends_below > self.begins_at:
            raise ValueError("ends_below is above begins_at, so it would never last")
        return self


class CanarySettings(Section):
    """Records of our own that measure how long the way from a record to its action takes."""

    enabled: bool = setting("whether the way from a record to its action is measured")
    interval: Length = duration("mean time between two records that measure it", "1s")


class Alerting(Section):
    """What all alerts share."""

    folder: Folder = setting(
        "folder of what alerts remember; null is alerts in the state folder",
        "an absolute path or null",
        example="/var/lib/rnts/alerts",
    )
    flapping: FlappingSettings
    canary: CanarySettings


def _listed(meaning: str, what: str, example: Mapping[str, Any]) -> Any:
    words = f"a list of up to {ENTRIES_MAX} {what}s"
    article = "an" if what[0] in "aeiou" else "a"
    limit = {"max_length": ENTRIES_MAX}
    return setting(meaning, words, item=f"{article} {what}", example=(example,), **limit)


SECTIONS: Mapping[str, type[Section]] = {
    "alerts": Alert,
    "processors": ProcessorRule,
    "actions": ActionSettings,
    "receivers": ReceiverSettings,
    "inhibitions": InhibitionSettings,
}


class AlertSections(Section):
    """The sections of a file that are about alerts."""

    alerts: tuple[Alert, ...] = _listed(
        "alert rules",
        "rule",
        {"name": "slow", "condition": "queue_depth > 100", "severity": "warning"},
    )
    processors: tuple[ProcessorRule, ...] = _listed(
        "what is done about alerts of stream processors",
        "processor rule",
        {"name": "odd", "processor": "anomaly", "severity": "warning"},
    )
    actions: tuple[ActionSettings, ...] = _listed(
        "what can be done about alerts", "action", {"name": "note", "kind": "log"}
    )
    receivers: tuple[ReceiverSettings, ...] = _listed(
        "who is told of alerts, and how much", "receiver", {"name": "team", "actions": ("note",)}
    )
    inhibitions: tuple[InhibitionSettings, ...] = _listed(
        "alerts that explain others, which are not told meanwhile",
        "inhibition",
        {"source": {"rule": "a"}, "target": {"rule": "b"}},
    )
    alerting: Alerting

    @field_validator(*SECTIONS, mode="before")
    @classmethod
    def _none(cls, entries: Any) -> Any:
        """A section whose entries are all commented out is empty, as other sections are."""
        return () if entries is None else entries
