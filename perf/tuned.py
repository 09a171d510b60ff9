"""What tuning changes, in rounds: wake-ups of a timer, the cost of a record, the age of records.

The first two are measured by a process for each round, which takes its place as an agent would: on
the cores and with the precedence that `rnts tune` gave. The age of records when they are
folded is that of the user's own aggregator where one answers and gets records, else that of a small
road of its own, whose processes start anew for each measurement and do all that is asked of them.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnts.errors import ConnectError, RntsError
from rnts.perf.processes import start_road
from rnts.perf.sandbox import Sandbox, ask_snapshot, sandbox
from rnts.query import Client
from rnts.tuned import asked
from rnts.tuning.measured import Figure
from rnts.wish import NAME, write_wish

ROUNDS = 6
# Name, share, and whether a round has enough of them to be judged by.
_PERCENTILES = (
    ("p50", 0.5, True),
    ("p99", 0.99, True),
    ("p99.9", 0.999, False),
    ("max", 1.0, False),
)
_WINDOW_MS = 250
_PATIENCE_S = 10.0
_BACKLOG_NS = 20_000_000
_OF_START = 6  # windows in which a road that is new may stall
Figures = dict[str, Figure]


def measure(seconds: float) -> Figures:
    """All figures, in nanoseconds."""
    found = _own_pipeline(seconds)
    wish = asked()
    late, costs = [], []
    for _ in range(ROUNDS):
        with _like_ours(wish) as box:
            probe = box.start("rnts.perf.wakeups", str(seconds / ROUNDS))
            document = json.loads(box.hear(probe, 3 * seconds + _PATIENCE_S))
        late.append(document["late_ns"])
        costs.append(document["record_ns"])
    if not found:
        with _like_ours(wish) as box, Client() as client:
            start_road(box, client, "--no-host", RNTS_AGGREGATION__WINDOW_MS=str(_WINDOW_MS))
            box.start("rnts.perf.victim", "tuned")
            found = _pipeline(lambda: ask_snapshot(client), seconds)
    return {**_wakeups(late), "record": Figure(statistics.median(costs), costs), **found}


def _wakeups(late: list[list[int]]) -> Figures:
    """Percentiles of all rounds together, and of each."""
    every = [value for each in late for value in each]
    return {
        f"wake-up {name}": Figure(
            percentile(every, share), [percentile(each, share) for each in late if is_judged]
        )
        for name, share, is_judged in _PERCENTILES
    }


def percentile(values: list[int], share: float) -> float:
    """The value that is nearest to it in order; the last one for 1."""
    return float(sorted(values)[round((len(values) - 1) * share)])


@contextmanager
def _like_ours(wish: Mapping[str, str]) -> Iterator[Sandbox]:
    """A sandbox whose processes do what those of this user would."""
    with sandbox(has_sessions=True) as box:
        write_wish(wish, Path(os.environ["RNTS_STATE_DIR"], NAME))
        yield box


def _own_pipeline(seconds: float) -> Figures:
    """Of the aggregator that runs; nothing where none answers, or nothing is recorded."""
    try:
        with Client() as client:
            snapshot = ask_snapshot(client)
            if snapshot is None or not snapshot.get("latency_ns"):
                return {}
            return _pipeline(lambda: ask_snapshot(client), max(seconds, ROUNDS + 0.5))
    except (ConnectError, RntsError):
        return {}


def _pipeline(ask: Callable[[], dict[str, Any] | None], seconds: float) -> Figures:
    """Percentiles of the windows that begin from now on, a round each."""
    start_ns, seen = time.time_ns(), {}
    rounds: list[dict[str, Any]] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until + _PATIENCE_S:
        document = ask()
        window = document and document["window"]
        if document and window and document["latency_ns"] and window["start_ns"] >= start_ns:
            seen[window["start_ns"]] = document["latency_ns"]["percentiles"]
        rounds = [one for one in seen.values() if one.get("50") and one.get("99")]
        if (settled := steady(rounds)) and time.monotonic() >= until:
            rounds = settled
            break
        time.sleep(0.05)
    else:
        rounds = rounds[-ROUNDS:]  # it is always late here, and that is what is so
    found: Figures = {}
    for key in ("50", "99") if rounds else ():
        values = [float(each[key]) for each in rounds]
        found[f"pipeline p{key}"] = Figure(statistics.median(values), values)
    return found


def steady(windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those behind the first ones and the last backlog: a start leaves one of a second or two.

    Nothing, as long as they are too few.
    """
    late = [at for at, each in enumerate(windows) if each["50"] > _BACKLOG_NS]
    rest = windows[max(_OF_START, late[-1] + 1 if late else 0) :]
    return rest if len(rest) >= ROUNDS else []
