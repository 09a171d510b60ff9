"""What it costs a program to report, in nanoseconds a call, beside other libraries in the same run.

Each group of contenders is a process of its own, and all processes take turns: what the machine
does otherwise at a moment disturbs one as much as the other. Then come what one lane carries, how
fast a killed program is cleared away, and the import.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from rnts.errors import RntsError
from rnts.perf import burst, ours, reclaim
from rnts.perf.contenders import OURS
from rnts.perf.peers import PEERS, is_installed
from rnts.perf.processes import Process, import_ms
from rnts.perf.sandbox import Sandbox, sandbox

SUFFIXES = ("", "_p99", "_p999")
_TURNS, _BATCHES = 100, 40
_SMOKE_TURNS, _SMOKE_BATCHES = 2, 5
_TURN_S = 30.0


def capture(smoke: bool) -> dict[str, Any]:
    """Calls from Python and from compiled code; a burst, a death, and the import."""
    turns, batches = (_SMOKE_TURNS, _SMOKE_BATCHES) if smoke else (_TURNS, _BATCHES)
    with sandbox() as box:
        groups = [OURS, *(name for name, peer in PEERS.items() if is_installed(peer))]
        found = take_turns(box, groups, turns, batches)
    names = (*ours.FIGURES, *(figure for peer in PEERS.values() for figure in peer.figures))
    figures = {name + suffix: found.get(name + suffix) for name in names for suffix in SUFFIXES}
    figures |= burst.burst(smoke)
    figures |= reclaim.reclaim(smoke)
    figures["import_ms"] = import_ms(2 if smoke else 9)
    return figures | {"lost": found["lost"]}


def take_turns(box: Sandbox, groups: list[str], turns: int, batches: int) -> dict[str, Any]:
    """Start the groups, give each of them its turns, and put their figures together.

    Raises RntsError if our own breaks.
    """
    running = {}
    for group in groups:
        folder = box.folder / group  # so that the agent's side of one drains no other's
        folder.mkdir(mode=0o700)
        running[group] = box.start(
            "rnts.perf.contenders", group, str(batches), RNTS_RUNTIME_DIR=str(folder)
        )
    _each(running, box.hear)
    for _ in range(turns):
        _each(running, lambda child: box.ask(child, "\n", _TURN_S))

    def end(child: Process) -> str:
        assert child.stdin is not None
        child.stdin.close()
        return box.hear(child, _TURN_S)

    found: dict[str, Any] = {}
    for answer in _each(running, end).values():
        found |= json.loads(answer)
    return found


def _each(running: dict[str, Process], act: Callable[[Process], str]) -> dict[str, str]:
    """The answers of all groups; a peer that breaks is told, and runs no more."""
    answers = {}
    for group, child in list(running.items()):
        try:
            answers[group] = act(child)
        except RntsError as error:
            if group == OURS:
                raise
            print(f"rnts: {group} is left out: {error}", file=sys.stderr)
            del running[group]
    return answers
