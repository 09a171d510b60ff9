"""Real agents and aggregators for tests, what they say, and patience with a bound."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnts.audit import Audit, examine, read_lanes
from rnts.errors import ConnectError
from rnts.query import ask
from rnts.runtime import segment_folders

PATIENCE_S = 60


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """A process of RNTS in the test's own runtime folder."""
    return subprocess.Popen([sys.executable, "-m", "rnts", "-q", *arguments])


def until(found: Callable[[], object], what: str = "it does not come about") -> None:
    """Wait for a condition, with a bound."""
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def books() -> dict[str, Any]:
    """The aggregator's account; nothing is aggregated where nobody answers."""
    try:
        answer = ask(None, {"type": "accounting"}, 500)
    except ConnectError:
        return {"aggregated": -1}
    return dict(answer["accounting"])


def audit() -> Audit:
    """The books against the lanes, as they are at this moment."""
    answer = ask(None, {"type": "accounting"})
    return examine(read_lanes(segment_folders()), answer)


def agent_says(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The status of this agent as the aggregator last heard it; empty if it has not."""
    agents = ask(None, {"type": "snapshot"})["agents"]
    return next((agent for agent in agents if agent["pid"] == process.pid), {})


def descriptors(process: subprocess.Popen[bytes]) -> int:
    """How many files a process has open."""
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    """How much memory a process has."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
