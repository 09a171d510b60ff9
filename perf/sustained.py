"""A million records a second from four programs for a minute, through agent and aggregator."""

from typing import Any

from rnts.perf.pipeline import LANE_SLOTS, NEURONS, Road
from rnts.perf.sandbox import sandbox
from rnts.query import Client

PRODUCERS = 4
_RATE, _SECONDS, _WINDOW_MS = 1_000_000, 60.0, 1000
_SMOKE_RATE, _SMOKE_SECONDS, _SMOKE_WINDOW_MS, _SMOKE_PRODUCERS = 100_000, 1.0, 100, 1


def sustained(smoke: bool) -> dict[str, Any]:
    """What was lost, by reason, and the share of a core that agent and aggregator took."""
    rate, seconds, window_ms, producers = _RATE, _SECONDS, _WINDOW_MS, PRODUCERS
    if smoke:
        rate, seconds, window_ms = _SMOKE_RATE, _SMOKE_SECONDS, _SMOKE_WINDOW_MS
        producers = _SMOKE_PRODUCERS
    with sandbox() as box, Client() as client:
        road = Road(box, client, window_ms, producers)
        step = road.run(rate, seconds)
        audit = road.audit()
    found: dict[str, Any] = {"records_per_second": step.taken / seconds}
    for role, used_ns in step.cpu_ns.items():
        found[f"{role}_core_percent"] = used_ns / seconds / 1e7
    found |= step.latency("latency")
    found |= {"lost": step.lost, "balanced": audit.is_balanced}
    found |= {f"lost_{reason}": count for reason, count in step.dropped.items()}
    found |= {"other_cpu_percent": step.other_cpu_ns / seconds / 1e7}
    return found | {"lane_slots": LANE_SLOTS, "producers": producers, "neurons": NEURONS}
