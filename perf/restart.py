"""A restart: an aggregator is killed under load, and started again until its first new window.

Load is a program that reports at an even rate; the agent stays. What is measured begins with the
start of the new aggregator, as by whoever watches over it, and ends with a closed window that the
old one had not closed. On the way the new one answers, then has heard the agent.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rnts.audit import Audit, examine, read_lanes
from rnts.errors import ConnectError
from rnts.perf.processes import start_road
from rnts.perf.sandbox import Sandbox, sandbox
from rnts.query import Client

_TIMES, _RATE, _WINDOW_MS = 5, 200_000, 1000
_SMOKE_TIMES, _SMOKE_RATE, _SMOKE_WINDOW_MS = 1, 20_000, 100
_SETTLED_S, _SMOKE_SETTLED_S = 2.0, 0.3  # of load before a kill
_ASK_MS = 100
_NEURONS, _SEED, _LANE_SLOTS = 256, 1, 1 << 18
_PHASES = ("python", "imports", "kernels", "ledger")


def restart(state: Path, smoke: bool) -> dict[str, Any]:
    """The median of several restarts, its parts, what was lost, and how an append lasts.

    `state` is where the folder of the state is made.
    """
    times, rate, window_ms, settled_s = _TIMES, _RATE, _WINDOW_MS, _SETTLED_S
    if smoke:
        times, rate, window_ms = _SMOKE_TIMES, _SMOKE_RATE, _SMOKE_WINDOW_MS
        settled_s = _SMOKE_SETTLED_S
    settings = {
        "RNTS_COLLECTION__RING_BUFFER_SIZE": str(_LANE_SLOTS),
        "RNTS_AGGREGATION__WINDOW_MS": str(window_ms),
    }
    with (
        tempfile.TemporaryDirectory(dir=state) as folder,
        sandbox() as box,
        Client() as client,
    ):
        settings["RNTS_STATE_DIR"] = folder
        aggregator, _ = start_road(box, client, "--no-host", **settings)
        producer = box.start("rnts.perf.producer", str(_NEURONS), str(_SEED))
        box.hear(producer)
        seen, appends = [], []
        for _ in range(times):
            assert producer.stdin is not None
            producer.stdin.write(f"{rate} {settled_s + 2 * window_ms / 1e3}\n")
            producer.stdin.flush()
            time.sleep(settled_s)
            before = box.wait("a window", lambda: _window(client))
            appends.append(client.ask({"type": "snapshot"})["aggregator"]["ledger"]["append_ms"])
            box.kill(aggregator)
            started_ns = time.monotonic_ns()
            aggregator = box.start_rnts("aggregate", **settings)
            seen.append(_watch(box, client, started_ns, before))
            box.hear(producer)
        audit = _settled(box, client)
        phases = [_phases(box, Path(folder)) for _ in range(times)]
    found = _figures(seen, phases)
    for name, rank in (("p50", 0), ("p99", 1)):
        found[f"ledger_append_ms_{name}"] = statistics.median(each[rank] for each in appends)
    print(f"delivery: the ledger is on {file_system(state)}", file=sys.stderr)
    lost = sum(audit.dropped.values())
    return found | {"restart_lost": lost, "restart_balanced": audit.is_balanced}


def _window(client: Client) -> int:
    """Start of the newest closed window; 0 where there is none, or nobody answers."""
    document = _snapshot(client)
    return document["window"]["start_ns"] if document and document["window"] else 0


def _snapshot(client: Client) -> dict[str, Any] | None:
    try:
        return client.ask({"type": "snapshot"}, timeout_ms=_ASK_MS)
    except ConnectError:
        return None


def _watch(box: Sandbox, client: Client, started_ns: int, before: int) -> dict[str, float]:
    """Seconds from the start until the new aggregator answers, knows the agent, has a window."""
    seen: dict[str, float] = {}

    def look() -> bool:
        document = _snapshot(client)
        now_s = (time.monotonic_ns() - started_ns) / 1e9
        if document is None:
            return False
        seen.setdefault("answers", now_s)
        if document["agents"]:
            seen.setdefault("hello", now_s)
        is_new = bool(document["window"]) and document["window"]["start_ns"] > before
        if is_new:
            seen["window"] = now_s
        return is_new

    box.wait("a window after the restart", look)
    return seen


def _settled(box: Sandbox, client: Client) -> Audit:
    """The books when nothing is on its way any more."""

    def look() -> Audit | None:
        audit = examine(read_lanes([box.folder]), client.ask({"type": "accounting"}))
        return None if audit.in_flight else audit

    found: Audit = box.wait("what is on its way", look)
    return found


def _phases(box: Sandbox, folder: Path) -> list[float]:
    """Seconds that each of `_PHASES` takes in a process that starts as an aggregator does."""
    (ledger,) = folder.glob("ledger-*.sqlite")
    probe = box.start("rnts.perf.start_probe", str(ledger), str(time.monotonic_ns()))
    words = box.hear(probe).split()
    probe.wait()
    box.kill(probe)
    return [float(word) for word in words]


def _figures(seen: list[dict[str, float]], phases: list[list[float]]) -> dict[str, Any]:
    """Medians; of the whole the extremes, too."""
    totals = [each["window"] for each in seen]
    found: dict[str, Any] = {
        "restart_seconds": statistics.median(totals),
        "restart_seconds_min": min(totals),
        "restart_seconds_max": max(totals),
        "restart_seconds_until_answer": statistics.median(each["answers"] for each in seen),
        "restart_seconds_until_hello": statistics.median(each["hello"] for each in seen),
    }
    for phase, times in zip(_PHASES, zip(*phases, strict=True), strict=True):
        found[f"restart_phase_seconds_{phase}"] = statistics.median(times)
    return found


def file_system(folder: Path) -> str:
    """The kind of file system that a folder is on, as the kernel names it."""
    device = folder.stat().st_dev
    with open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            fields, _, kind = line.partition(" - ")
            if fields.split()[2] == f"{os.major(device)}:{os.minor(device)}":
                return kind.split()[0]
    return "a file system of an unknown kind"
