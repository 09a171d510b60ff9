"""Reactions to what happens seldom: `python -m rnts.perf.reaction_rare CANARIES WAKE_AGENT`.

Seven canaries a second and nothing else: agent, aggregator and alert process have slept before
each, and no cache holds their code. Once the agent looks by itself, and once the program wakes it.
What is printed is how long each took, in ns, and how many were never told of.
"""

import json
import subprocess
import sys
from typing import Any

from rnts.perf.pipeline import Road
from rnts.perf.reaction import begin, percentiles
from rnts.perf.sandbox import sandbox
from rnts.producer import PROCESS
from rnts.query import Client
from rnts.warmup import load_kernels

_RARE, _RARE_SMOKE, _GAP_S, _LIMIT_S = 300, 10, 0.15, 180.0


def reaction_rare(smoke: bool) -> dict[str, Any]:
    """Percentiles of both, and those never told of."""
    figures: dict[str, Any] = {"lost": 0}
    for name, wakes in (("reaction_rare", "false"), ("reaction_rare_woken", "true")):
        count = str(_RARE_SMOKE if smoke else _RARE)
        command = [sys.executable, "-m", "rnts.perf.reaction_rare", count, wakes]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_LIMIT_S)
        times, lost = json.loads(done.stdout)
        figures |= percentiles(times, name)
        figures["lost"] += lost
    return figures


def measure(count: int, wakes: str) -> tuple[list[int], int]:
    """How long each of so many took, and how many were never told of."""
    with sandbox() as box, Client() as client:
        Road(box, client, 1000, 1, RNTS_COLLECTION__WAKE_AGENT=wakes)
        topic, canaries = begin(box)
        try:
            return canaries.sample(count, _GAP_S)
        finally:
            topic.close()
            PROCESS.close(unlink=True)


if __name__ == "__main__":
    load_kernels()
    print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
