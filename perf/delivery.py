"""`rnts bench delivery`: what links carry, what durability costs, how long a restart takes."""

import os
import tempfile
from pathlib import Path
from typing import Any

from rnts.errors import UsageError
from rnts.perf import link_floor
from rnts.perf.durability import durability
from rnts.perf.link_throughput import KINDS, link_throughput
from rnts.perf.restart import restart
from rnts.perf.sandbox import sandbox
from rnts.runtime import state_folder

_FRAMES, _SMOKE_FRAMES, _REPEATS = 8000, 200, 3


def delivery(smoke: bool) -> dict[str, Any]:
    """All figures; `lost` is what links, roads and restarts lost together, overload aside."""
    found = _links(smoke)
    links_lost = found.pop("lost")
    # The sandbox is in memory; what a ledger costs shows only on the disk that it would be on.
    place = Path(state_folder())
    place.mkdir(0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"bench-{os.getpid()}-", dir=place) as folder:
        found |= durability(Path(folder), smoke)
        found |= restart(Path(folder), smoke)
    lost = links_lost + found.pop("durability_lost") + found.pop("restart_lost")
    balanced = found.pop("durability_balanced") and found.pop("restart_balanced")
    return found | {"lost": lost, "balanced": balanced}


def _links(smoke: bool) -> dict[str, Any]:
    """Rates of the links, and of the bare sockets beside them: the best run of each."""
    found: dict[str, Any] = {"lost": 0}
    count, repeats = (_SMOKE_FRAMES, 1) if smoke else (_FRAMES, _REPEATS)
    for kind in KINDS:
        try:
            seen = link_throughput(kind, smoke)
        except UsageError:  # gRPC is an extra of the package
            found[f"{kind}_mib_per_second"] = None
            continue
        found[f"{kind}_mib_per_second"] = seen.mib_per_second
        found["lost"] += seen.lost
        if kind in link_floor.KINDS:
            with sandbox() as box:
                rates = [link_floor.floor_rate(box, kind, count) for _ in range(repeats)]
            found[f"{kind}_bare_mib_per_second"] = max(rates)
    return found
