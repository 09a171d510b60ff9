"""What a running aggregator answers to those who ask: the snapshot, one neuron, the books."""

import json
import time
from typing import TYPE_CHECKING, Any

from rnts.clock_offsets import clock_notice
from rnts.model import TEXT_BYTES_MAX
from rnts.process import own_usage
from rnts.snapshot import neuron_snapshot, snapshot

if TYPE_CHECKING:
    from rnts.aggregator import Aggregator


def answer_of(aggregator: "Aggregator", request: bytes) -> dict[str, Any]:
    """The document that a query asks for, or {"error": …}."""
    try:
        kind = (query := json.loads(request))["type"]
    except (ValueError, TypeError, KeyError, RecursionError):
        aggregator.refused["query"] += 1
        return {"error": "a query is a JSON object with a type"}
    if kind == "snapshot":
        return snapshot_of(aggregator)
    if kind == "accounting":
        return {
            "accounting": aggregator.state.account(),
            "sources": aggregator.state.accounts.sources(),
        }
    if kind == "neuron":
        # No name is longer, and no number that is an id.
        wanted = str(query.get("neuron", ""))[:TEXT_BYTES_MAX]
        return neuron_snapshot(aggregator.windows, wanted)
    aggregator.refused["query"] += 1
    return {"error": f"unknown query {kind!r}; there are: snapshot, neuron, accounting"}


def snapshot_of(aggregator: "Aggregator") -> dict[str, Any]:
    """The snapshot document, as docs/snapshot.md describes it."""
    keeper = aggregator.keeper
    about = {
        **own_usage(),
        "started_ns": aggregator.started_ns,
        "refused": dict(aggregator.refused),
        "frames": aggregator.hearing.frames,
        "frame_bytes": aggregator.hearing.frame_bytes,
        "link": aggregator.link.counters(),
        "late": aggregator.hearing.intake.late.document(),
        "standing": aggregator.standing.document(),
        "taps": aggregator.taps.document(),
        "canaries": aggregator.windows.canaries.document(),
        "ledger": None if keeper is None else keeper.document(aggregator.state),
    }
    return snapshot(
        aggregator.windows,
        time_ns=time.time_ns(),
        accounting=aggregator.state.account(),
        agents=_agent_documents(aggregator),
        aggregator=about,
    )


def _agent_documents(aggregator: "Aggregator") -> list[dict[str, Any]]:
    now_ns = aggregator.look()
    documents = []
    for agent_id, session in aggregator.receiver.sessions.items():
        silent_ns = now_ns - session.seen_ns
        is_silent = silent_ns > aggregator.watermarks.silence_ns
        offset_ns = aggregator.hearing.clock_offsets.of(agent_id)
        about = {
            "agent_id": str(agent_id),
            "state": "ended" if session.has_ended else "silent" if is_silent else "connected",
            "silent_ns": silent_ns,
            "watermark_ns": aggregator.watermarks.of[agent_id],
            "clock_offset_ns": offset_ns,
            "clock_notice": clock_notice(offset_ns),
        }
        documents.append({**aggregator.hearing.agents[agent_id].meta, **about})
    return documents
