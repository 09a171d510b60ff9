"""What people ask of a running alert process: silences, and the alerts as they are."""

import hashlib
import heapq
import json
import math
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnts.alerts.life import Life, Moment
from rnts.alerts.reports import Reports
from rnts.alerts.rule import SEVERITIES, Labels
from rnts.alerts.suppression import Silence, make_matchable
from rnts.alerts.table import AlertTable
from rnts.durations import DURATION_NS_MAX
from rnts.errors import ConnectError, RntsError, UsageError
from rnts.links.zmq import QueryLink
from rnts.reflex.told_certainty import seen_document
from rnts.runtime import runtime_folder
from rnts.settings_values import check_labels

REPORT = "report"  # the type of what stream processors say
LISTED_MAX = 1_000
WORDS_MAX = 10_000  # of a silence: each snapshot has them
TIMEOUT_MS = 5_000
# What a request that is none may raise: other types, numbers without end, lists in lists in lists.
_NO_REQUEST = (
    KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, UsageError,
)  # fmt: skip
Document = dict[str, Any]


def control_endpoint(folder: Path) -> str:
    """Where the process that remembers its alerts in `folder` is asked."""
    return f"ipc://{runtime_folder()}/alerts-{place_of(folder)}.sock"


def place_of(folder: Path) -> str:
    """What tells the process that remembers its alerts in `folder` from others."""
    return hashlib.blake2b(str(folder.absolute()).encode(), digest_size=4).hexdigest()


class AlertClient:
    """Asks the process that works in `folder`, one question after the other."""

    def __init__(self, folder: Path) -> None:
        endpoint = control_endpoint(folder)
        self._path = Path(endpoint.removeprefix("ipc://"))
        self._link = QueryLink(endpoint)
        self._nobody = (
            f"no rnts alert works in {folder}; start it: `rnts alert --rules FILE`, or `rnts up`"
        )

    def ask(self, request: Document, timeout_ms: int = TIMEOUT_MS) -> Document:
        """Its answer; raises ConnectError where there is none, and RntsError where it refuses."""
        if not self._path.exists():
            raise ConnectError(self._nobody)
        try:
            *_, body = self._link.ask([json.dumps(request).encode()], timeout_ms)
        except ConnectError as error:
            raise ConnectError(self._nobody) from error
        answer: Document = json.loads(body)
        if "error" in answer:
            raise RntsError(str(answer["error"]))
        return answer

    def close(self) -> None:
        """Let go of the link."""
        self._link.close()


def ask_alerts(folder: Path, request: Document, timeout_ms: int = TIMEOUT_MS) -> Document:
    """Ask once; see `AlertClient.ask`."""
    client = AlertClient(folder)
    try:
        return client.ask(request, timeout_ms)
    finally:
        client.close()


def answer(
    table: AlertTable, reports: Reports, status: Callable[[], Document], raw: bytes, at: Moment
) -> bytes:
    """What to answer to a request; never raises: a request that is none gets an error."""
    try:
        request = json.loads(raw)
        if request["type"] == REPORT:
            return json.dumps(reports.take(request, at)).encode()
        found = _ANSWERS[request["type"]](table, request, at)
    except _NO_REQUEST as error:
        found = {"error": f"the request is refused: {error}"}
    return json.dumps({**found, "process": status()}).encode()


def _add_silence(table: AlertTable, request: Document, at: Moment) -> Document:
    matchers = check_labels({str(name): str(value) for name, value in request["matchers"].items()})
    author, comment = str(request["author"]), str(request.get("comment", ""))
    lasts_ns = int(request["for_ns"])
    if lasts_ns > DURATION_NS_MAX or len(author) + len(comment) > WORDS_MAX:
        return {"error": f"a silence lasts a year, and says {WORDS_MAX} characters, at the most"}
    silence = Silence(
        secrets.token_hex(4),
        tuple(sorted(matchers.items())),
        author,
        at.wall_ns + lasts_ns,
        comment,
        at.wall_ns,
    )
    if not table.add_silence(silence):
        return {"error": f"there are {len(table.silences.by_id)} silences already; end some"}
    return {"silence": asdict(silence), "covers": _covered(table, silence)}


def _covered(table: AlertTable, silence: Silence) -> int:
    """How many alerts that are not over a silence is about."""
    wanted = dict(silence.matchers).items()
    lives = (life for life in table.lives.by_key.values() if life.is_active)
    return sum(wanted <= _labels(table, life).items() for life in lives)


def _end_silence(table: AlertTable, request: Document, at: Moment) -> Document:
    if table.end_silence(str(request["id"]), at.wall_ns):
        return {"id": request["id"]}
    known = ", ".join(table.silences.by_id) or "none"
    return {"error": f"there is no silence {str(request['id'])[:80]!r}; in force: {known}"}


def _silences(table: AlertTable, request: Document, at: Moment) -> Document:
    return {"wall_ns": at.wall_ns, "silences": table.silences.document()}


def _alerts(table: AlertTable, request: Document, at: Moment) -> Document:
    """The alerts, the worst that fire first, `limit` of them; and how many there are by rule."""
    lives = [life for life in table.lives.by_key.values() if life.is_active]
    limit = min(LISTED_MAX, int(request.get("limit", LISTED_MAX)))
    rule_of = table.lives.rule_of

    def weight(life: Life) -> tuple[bool, int, int, str, Labels]:
        severity = SEVERITIES.index(rule_of(life).severity)
        return not life.is_firing, -severity, life.since_wall_ns, life.rule, life.labels

    listed = [_alert(table, life, at) for life in heapq.nsmallest(limit, lives, key=weight)]
    rules = [rule_of(life) for life in lives]
    counts = Counter(
        (rule.name, rule.severity, life.state) for rule, life in zip(rules, lives, strict=True)
    )
    named = ("rule", "severity", "state", "count")
    return {
        "wall_ns": at.wall_ns,
        "count": len(lives),
        "counts": [
            dict(zip(named, (*which, count), strict=True))
            for which, count in sorted(counts.items())
        ],
        "alerts": listed,
    }


def _alert(table: AlertTable, life: Life, at: Moment) -> Document:
    rule = table.lives.rule_of(life)
    return {
        "key": life.key,
        "rule": rule.name,
        "severity": rule.severity,
        "labels": dict(life.labels),
        "state": life.state,
        "since_wall_ns": life.since_wall_ns,
        "value": life.value if math.isfinite(life.value) else None,
        "bound": rule.bound,
        **seen_document(life.certainty, rule.threshold),
        "condition": rule.condition,
        "is_without_data": life.is_without_data,
        "is_flapping": life.is_flapping,
        "is_silenced": table.silences.covers(_labels(table, life), at.wall_ns),
        "told": {name: told.kind for name, told in life.told.items()},
    }


def _labels(table: AlertTable, life: Life) -> dict[str, str]:
    rule = table.lives.rule_of(life)
    return make_matchable(rule.name, rule.severity, life.labels)


_ANSWERS: dict[str, Callable[[AlertTable, Document, Moment], Document]] = {
    "silence": _add_silence,
    "unsilence": _end_silence,
    "silences": _silences,
    "alerts": _alerts,
}
