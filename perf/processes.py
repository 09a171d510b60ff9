"""What the processes of RNTS cost before any work comes: their start, and their waiting for it."""

import signal
import statistics
import subprocess
import sys
import time
from typing import Any

from rnts.perf.host_source import measure
from rnts.perf.sandbox import Sandbox, ask_snapshot, cpu_ns, memory_bytes, sandbox
from rnts.query import Client

_IMPORT = (
    "import time; t = time.perf_counter(); import rnts; print((time.perf_counter() - t) * 1e3)"
)
_SETTLE_S = 0.5
_MIB = 1 << 20

Process = subprocess.Popen[str]


def startup(smoke: bool) -> dict[str, Any]:
    """How long a person waits for the help, a program for its import, `rnts up` for a snapshot."""
    repeats = 2 if smoke else 7
    with sandbox():
        figures = {
            "help_ms": _median_ms(["-m", "rnts", "--help"], repeats),
            "import_ms": import_ms(repeats),
            "python_ms": _median_ms(["-c", "pass"], repeats),
        }
    starts = [_first_snapshot_ms() for _ in range(1 if smoke else 3)]
    return {**figures, "first_snapshot_ms": statistics.median(starts)}


def _median_ms(arguments: list[str], repeats: int) -> float:
    """Wall time of a Python process with these arguments."""
    times = []
    for _ in range(repeats):
        start_ns = time.monotonic_ns()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append((time.monotonic_ns() - start_ns) / 1e6)
    return statistics.median(times)


def import_ms(repeats: int) -> float:
    """What `import rnts` takes in a process that has imported nothing else: the median."""
    command = [sys.executable, "-c", _IMPORT]
    runs = (
        subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(repeats)
    )
    return statistics.median(float(done.stdout) for done in runs)


def _first_snapshot_ms() -> float:
    """From starting `rnts up` until its aggregator answers with an agent at work."""
    with sandbox() as box, Client() as client:
        start_ns = time.monotonic_ns()
        up = box.start_rnts("up", "--no-host", "--json")
        box.wait("rnts up", lambda: (ask_snapshot(client) or {}).get("agents"))
        elapsed_ms = (time.monotonic_ns() - start_ns) / 1e6
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=10)
    return elapsed_ms


def idle(smoke: bool) -> dict[str, Any]:
    """What agent and aggregator use while no program records; then an agent with the host."""
    seconds = 0.5 if smoke else 10.0
    figures: dict[str, Any] = {}
    for name, flag in (("agent", "--no-host"), ("agent_with_host", "--host")):
        with sandbox() as box, Client() as client:
            aggregator, agent = start_road(box, client, flag)
            others = {"aggregator": aggregator} if name == "agent" else {}
            figures |= _usage({name: agent, **others}, seconds)
    return figures


def _usage(processes: dict[str, Process], seconds: float) -> dict[str, Any]:
    """Share of a core and memory of each process, over so many seconds."""
    time.sleep(_SETTLE_S)
    start_ns = time.monotonic_ns()
    before = {name: cpu_ns(process.pid) for name, process in processes.items()}
    time.sleep(seconds)
    figures = {}
    for name, process in processes.items():
        elapsed_ns = time.monotonic_ns() - start_ns
        figures[f"{name}_cpu_percent"] = 100 * (cpu_ns(process.pid) - before[name]) / elapsed_ns
        resident, private = memory_bytes(process.pid)
        figures[f"{name}_memory_mib"] = resident / _MIB
        figures[f"{name}_memory_private_mib"] = private / _MIB
    return figures


def host_source(smoke: bool) -> dict[str, Any]:
    """What a pass over many sleeping processes costs, at the pace of the agent."""
    with sandbox():
        figures = measure(processes=20, passes=3, interval_s=0.05) if smoke else measure()
    names = ("first_pass_ns", "pass_ns_p50", "pass_ns_max", "process_ns_mean", "core_percent")
    return {**{name: figures[name] for name in names}, "processes": round(figures["processes"])}


def start_road(
    box: Sandbox, client: Client, *flags: str, **settings: str
) -> tuple[Process, Process]:
    """An aggregator and an agent that have found each other, in this order."""
    aggregator = box.start_rnts("aggregate", **settings)
    agent = box.start_rnts("agent", *flags, **settings)
    box.wait("agent and aggregator", lambda: (ask_snapshot(client) or {}).get("agents"))
    return aggregator, agent
