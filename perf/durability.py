"""What durability costs: the road of `pipeline` with spool and ledger, and without, by turns.

Off is `aggregator.ledger: off` and `agent.spool.bytes_max: 0`. Each turn has a road of its own and
is offered more than it carries, so that what was folded until all is through is its throughput.
What producers could not place meanwhile is overload, and is told. On is a ledger in the folder of
the state's own file system, not in memory. The spool holds nothing as long as memory does.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from rnts.perf.pipeline import PRODUCERS, Road
from rnts.perf.sandbox import sandbox
from rnts.query import Client

ON: dict[str, str] = {}
OFF = {"RNTS_AGGREGATOR__LEDGER": '"off"', "RNTS_AGENT__SPOOL__BYTES_MAX": "0"}
_ROUNDS, _SECONDS, _RATE, _WINDOW_MS = 2, 3.0, 5_000_000, 1000
_SMOKE_SECONDS, _SMOKE_RATE, _SMOKE_WINDOW_MS = 0.5, 100_000, 100
_ROLES = ("agent", "aggregator")


def durability(state: Path, smoke: bool) -> dict[str, Any]:
    """The cost as a share of the throughput without, medians of turns in the order on-off-off-on.

    `state` is where folders of the state are made for each turn.
    """
    seen: dict[str, list[dict[str, float]]] = {"on": [], "off": []}
    turns = ("on", "off") if smoke else ("on", "off", "off", "on") * _ROUNDS
    for turn in turns:
        seen[turn].append(_turn(state, ON if turn == "on" else OFF, smoke))

    def median(turn: str, figure: str) -> float:
        return statistics.median(each[figure] for each in seen[turn])

    rates = {turn: median(turn, "records_per_second") for turn in seen}
    found: dict[str, Any] = {
        "durability_cost_percent": 100 * (1 - rates["on"] / rates["off"]),
        "durable_records_per_second": rates["on"],
        "undurable_records_per_second": rates["off"],
    }
    for role in _ROLES:
        for turn, name in (("on", "durable"), ("off", "undurable")):
            figure = f"{role}_cpu_seconds_per_million"
            found[f"{name}_{figure}"] = median(turn, figure)
    both = seen["on"] + seen["off"]
    found["overload_durability_lost"] = sum(each["overload_lost"] for each in both)
    found["durability_lost"] = sum(each["lost"] for each in both)
    found["durability_balanced"] = all(each["balanced"] for each in both)
    return found


def _turn(state: Path, settings: dict[str, str], smoke: bool) -> dict[str, float]:
    """One road from its start: throughput, CPU time, and what was lost where."""
    rate, seconds, window_ms, producers = _RATE, _SECONDS, _WINDOW_MS, PRODUCERS
    if smoke:
        rate, seconds, window_ms, producers = _SMOKE_RATE, _SMOKE_SECONDS, _SMOKE_WINDOW_MS, 1
    with (
        tempfile.TemporaryDirectory(dir=state) as folder,
        sandbox() as box,
        Client() as client,
    ):
        road = Road(box, client, window_ms, producers, RNTS_STATE_DIR=folder, **settings)
        started_ns = time.monotonic_ns()
        step = road.run(rate, seconds)
        elapsed_s = (time.monotonic_ns() - started_ns) / 1e9
        audit = road.audit()
    found = {
        f"{role}_cpu_seconds_per_million": step.cpu_ns[role] / 1e3 / step.taken for role in _ROLES
    }
    full = step.attempted - step.taken  # at the producers, which is what overload is
    found |= {"records_per_second": step.taken / elapsed_s, "overload_lost": full}
    return found | {"lost": max(0, step.lost - full), "balanced": audit.is_balanced}
