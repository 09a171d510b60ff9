"""A small population with one closed window, and its documents as a reader of JSON sees them."""

import json
from typing import Any

from naive_windows import Item, to_records

from rnts.model import Kind
from rnts.snapshot import neuron_snapshot, snapshot
from rnts.windows import Windows

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
BIG = 2**64 - 1  # an id that a JSON reader would round


def population() -> Windows:
    """Two named neurons and a nameless one, of which one is critical; one closed window of 2 s."""
    windows = Windows(2 * SECOND, [99.9, 50])
    items = [
        Item(1, START, Kind.NAME, text=("alpha", "ingest", "parser", "vm-7")),
        Item(2, START, Kind.NAME, text=("beta", "ingest", "writer", "vm-7")),
        Item(BIG, START, values={"health": 0}),
        Item(2, START + 7, values={"health": 2}, text=("disk full",)),
    ]
    for i in range(10):
        values = {
            "activation_count": 100 + 3 * i,
            "processing_time_ns": 1_000_000 * (i + 1),
            "queue_depth": i % 3,
            "signal_strength": -60.0 - i,
        }
        items.append(Item(1, START + i, values=values))
    items += [
        Item(BIG, START + 20, Kind.EVENT, {"event_type": 5}, ("Timeout", "no answer")),
        Item(1, START + 30, Kind.EVENT, {"event_type": 3, "event_peer_id": BIG}, ("reset",)),
        Item(1, START + 40, Kind.LINK, {"link_peer_id": 2, "link_messages": 7, "link_bytes": 70}),
        Item(BIG, START + 50, Kind.LINK, {"link_peer_id": 1, "link_latency_ns": 900}),
    ]
    windows.fold(to_records(items), START + 1_000_000)
    windows.advance(START + 2 * SECOND, complete=True)
    return windows


def document_of(windows: Windows) -> dict[str, Any]:
    """The snapshot as a reader of its JSON sees it."""
    document = snapshot(
        windows,
        time_ns=START + 3 * SECOND,
        accounting={"balanced": True},
        agents=[{"pid": 5}],
        aggregator={"pid": 6},
    )
    return json.loads(json.dumps(document, allow_nan=False))


def neuron_of(windows: Windows, wanted: str) -> dict[str, Any]:
    """The document of one neuron as a reader of its JSON sees it."""
    document = neuron_snapshot(windows, wanted, time_ns=START + 3 * SECOND)
    return json.loads(json.dumps(document, allow_nan=False))
