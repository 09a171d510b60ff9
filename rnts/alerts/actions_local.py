"""Actions that need no other program: the log, and a topic that neurons and supervisors hear."""

import json
import logging
from typing import Any

from rnts.alerts.action import ActionError
from rnts.alerts.notification import Notification
from rnts.alerts.rule import CRITICAL
from rnts.errors import ConnectError
from rnts.links.zmq_publish import PublishLink
from rnts.reflex.told_certainty import seen_in_words

log = logging.getLogger("rnts.alerts")
NOTES_MAX = 3
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, CRITICAL: logging.CRITICAL}


class LogAction:
    """Says it in the log, at the level of its severity."""

    def run(self, notification: Notification) -> None:
        """Say it."""
        log.log(_LEVELS[notification.severity], "%s", describe_in_full(notification))

    def describe(self, notification: Notification) -> str:
        """What `run` would do."""
        return f"log {notification.title}"


class PublishAction:
    """Publishes it on a control topic: two parts, the topic and the notification as JSON.

    Whoever is not connected does not hear it: a topic has no memory. `is_immediate`: it does not
    wait for anybody, so it needs no thread. Without a link it is only described.
    """

    is_immediate = True

    def __init__(self, link: PublishLink | None, topic: str) -> None:
        self._topic, self._link = topic, link

    def run(self, notification: Notification) -> None:
        """Publish it."""
        document = json.dumps(notification.document()).encode()
        assert self._link is not None, "a dry run publishes nothing"
        try:
            self._link.publish(self._topic.encode(), document)
        except ConnectError as error:
            raise ActionError(str(error)) from error

    def describe(self, notification: Notification) -> str:
        """What `run` would do."""
        return f"publish {notification.title} as {self._topic}"


def _certain(alert: dict[str, Any]) -> str:
    """How certain the value of an alert is; empty where nobody knows."""
    words, value = seen_in_words(alert), alert["value"]
    if not words or value is None:
        return ""
    entity = ",".join(f"{name}={each}" for name, each in alert["labels"].items())
    return " ".join(filter(None, (entity, f"{value:g}", alert["bound"], f"({words})")))


def describe_in_full(notification: Notification) -> str:
    """One line: what, where, how bad, who is worst, and what to look at."""
    seen = [
        f"{each['entity']} {each['value']:g}" if each["value"] is not None else str(each["entity"])
        for each in notification.worst
    ]
    parts = [f"[{notification.severity}] {notification.title}"]
    if notes := [each["note"] for each in notification.alerts if "note" in each]:
        parts += notes[:NOTES_MAX]
    elif seen:
        parts.append("worst: " + ", ".join(seen))
    if certain := list(filter(None, map(_certain, notification.alerts)))[:NOTES_MAX]:
        parts.append("certain: " + "; ".join(certain))
    if notification.suggested_causes:
        parts.append("look at: " + ", ".join(notification.suggested_causes))
    return "; ".join(parts)
