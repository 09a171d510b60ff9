"""What people ask of a running alert process: silences, and the alerts as they are."""

import hashlib
import json
import math
import secrets
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnts.alerts.life import Life, Moment
from rnts.alerts.reports import Reports
from rnts.alerts.suppression import Silence, make_matchable
from rnts.alerts.table import AlertTable
from rnts.errors import ConnectError, RntsError, UsageError
from rnts.links.zmq import QueryLink
from rnts.runtime import runtime_folder
from rnts.settings_values import check_labels

REPORT = "report"  # the type of what stream processors say
LISTED_MAX = 1_000
TIMEOUT_MS = 5_000
Document = dict[str, Any]


def control_endpoint(folder: Path) -> str:
    """Where the process that remembers its alerts in `folder` is asked."""
    place = hashlib.blake2b(str(folder.absolute()).encode(), digest_size=4).hexdigest()
    return f"ipc://{runtime_folder()}/alerts-{place}.sock"


def ask_alerts(folder: Path, request: Document, timeout_ms: int = TIMEOUT_MS) -> Document:
    """The answer of the process that works in `folder`; raises an error where it refuses."""
    endpoint = control_endpoint(folder)
    message = f"no rnts alert works in {folder}; start it: `rnts alert --rules FILE`, or `rnts up`"
    if not Path(endpoint.removeprefix("ipc://")).exists():
        raise ConnectError(message)
    link = QueryLink(endpoint)
    try:
        *_, body = link.ask([json.dumps(request).encode()], timeout_ms)
    except ConnectError as error:
        raise ConnectError(message) from error
    finally:
        link.close()
    answer: Document = json.loads(body)
    if "error" in answer:
        raise RntsError(str(answer["error"]))
    return answer


def answer(
    table: AlertTable, reports: Reports, status: Callable[[], Document], raw: bytes, at: Moment
) -> bytes:
    """What to answer to a request; never raises: a request that is none gets an error."""
    try:
        request = json.loads(raw)
        if request["type"] == REPORT:
            return json.dumps(reports.take(request, at)).encode()
        found = _ANSWERS[request["type"]](table, request, at)
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        found = {"error": f"the request is refused: {error}"}
    return json.dumps({**found, "process": status()}).encode()


def _add_silence(table: AlertTable, request: Document, at: Moment) -> Document:
    matchers = check_labels({str(name): str(value) for name, value in request["matchers"].items()})
    silence = Silence(
        secrets.token_hex(4),
        tuple(sorted(matchers.items())),
        str(request["author"]),
        at.wall_ns + int(request["for_ns"]),
        str(request.get("comment", "")),
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
    lives = [life for life in table.lives.by_key.values() if life.is_active]
    lives.sort(key=lambda life: (not life.is_firing, life.since_wall_ns, life.rule, life.labels))
    listed = [_alert(table, life, at) for life in lives[:LISTED_MAX]]
    return {"wall_ns": at.wall_ns, "count": len(lives), "alerts": listed}


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
