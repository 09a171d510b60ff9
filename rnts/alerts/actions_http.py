"""Actions that POST over HTTP: a webhook, and Alertmanager's API of version 2."""

import http.client
import io
import json
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from rnts.alerts.action import ActionError
from rnts.alerts.notification import RESOLVED_KIND, Notification
from rnts.credentials import hide_http
from rnts.reflex.told_certainty import seen_in_words

_ANSWER_BYTES_MAX = 500  # of what a server says about its refusal
_FINAL = {400, 401, 403, 404, 405, 410, 413, 415, 422}  # to say it again would not help
_ALERTS_PATH = "/api/v2/alerts"


def _limit(end: socket.socket, ends_s: float) -> None:
    """Have the next step of a socket end in time; raises TimeoutError where it is too late."""
    left_s = ends_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    end.settimeout(left_s)


class _Bytes(io.RawIOBase):
    """What comes in until then: time-outs of sockets are for each byte, and bytes may trickle."""

    def __init__(self, end: socket.socket, ends_s: float) -> None:
        self._end, self._ends_s = end, ends_s
        self._raw = end.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int | None:
        _limit(self._end, self._ends_s)
        return self._raw.readinto(room)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that has come by then, or never."""

    def __init__(self, ends_s: float, end: socket.socket, *others: Any, **named: Any) -> None:
        super().__init__(end, *others, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Bytes(end, ends_s))


class WebhookAction:
    """POSTs the notification as JSON; certificates are verified, and redirects are not followed.

    authority: a file with the certificates to believe, in place of those of the machine.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = 5.0,
        headers: Mapping[str, str] | None = None,
        authority: Path | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            shown = hide_http(url)
            raise ValueError(f"{shown!r} is no address of a webhook: http:// or https://")
        self._host, self._port = parts.hostname, parts.port
        self._context = None
        if parts.scheme == "https":
            self._context = ssl.create_default_context(cafile=authority)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s, self._headers = timeout_s, dict(headers or {})
        if "authorization" not in map(str.lower, self._headers):
            self._headers.update(_authorization(parts))

    def run(self, notification: Notification) -> None:
        """POST it once; raises ActionError unless the server answers with 2xx in time."""
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "Idempotency-Key": notification.key,
        }
        self._post(self._path, json.dumps(self.body(notification)).encode(), headers)

    def body(self, notification: Notification) -> Any:
        """What is sent."""
        return notification.document()

    def describe(self, notification: Notification) -> str:
        """What `run` would do."""
        return f"POST to {self._host}{hide_http(self._path)}: {notification.title}"

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        connection, ends_s = self._connection(), time.monotonic() + self._timeout_s
        try:
            connection.connect()
            _limit(connection.sock, ends_s)
            connection.response_class = partial(_Answer, ends_s)  # type: ignore[assignment]
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            said = answer.read(_ANSWER_BYTES_MAX).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise ActionError(f"{self._host} cannot be told: {error}") from error
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            message = f"{self._host} answered {answer.status} {answer.reason}: {said}"
            raise ActionError(message, answer.status in _FINAL)

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=self._context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)


class AlertmanagerAction(WebhookAction):
    """POSTs the alerts to an Alertmanager, which groups and routes them by its own rules.

    It forgets what is not told again: the receiver's `repeat_ns` has to be shorter than `keep_s`.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = 5.0,
        headers: Mapping[str, str] | None = None,
        authority: Path | None = None,
        keep_s: int = 5 * 3_600,
    ) -> None:
        parts = urlsplit(url)
        parts = parts._replace(path=parts.path.rstrip("/") + _ALERTS_PATH)
        super().__init__(parts.geturl(), timeout_s, headers, authority)
        self._keep_s = keep_s

    def body(self, notification: Notification) -> Any:
        """The alerts as version 2 of the API has them."""
        return [self._alert(notification, alert) for alert in notification.alerts]

    def _alert(self, notification: Notification, alert: dict[str, Any]) -> dict[str, Any]:
        ends_ns = notification.wall_ns
        if alert["kind"] != RESOLVED_KIND:
            ends_ns += self._keep_s * 1_000_000_000
        # Its own, since a digest has alerts of several; one of an earlier version does not say it.
        severity = alert.get("severity", notification.severity)
        labels = {**alert["labels"], "alertname": alert["rule"], "severity": severity}
        return {
            "labels": labels,
            "annotations": {
                "summary": notification.title,
                "condition": alert["condition"],
                "value": str(alert["value"]),
                **({"certainty": words} if (words := seen_in_words(alert)) else {}),
                "key": alert["key"],
                "suggested_causes": "; ".join(notification.suggested_causes),
            },
            "startsAt": _timestamp(min(alert["since_wall_ns"], ends_ns)),
            "endsAt": _timestamp(ends_ns),
        }


def _authorization(parts: SplitResult) -> dict[str, str]:
    """The header that says who asks, where the address does."""
    if parts.username is None:
        return {}
    who = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(who.encode()).decode()}"}


def _timestamp(wall_ns: int) -> str:
    """RFC 3339, to the microsecond."""
    time = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=wall_ns // 1_000)
    return time.isoformat().replace("+00:00", "Z")
