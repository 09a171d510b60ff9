"""Real-time Neuron Telemetry System: what an instrumented application uses.

    import rnts

    neuron = rnts.neuron("worker-7", group="ingest", role="parser")
    with neuron.activation():
        work()
    neuron.record(queue_depth=12, memory_bytes=1 << 20)
    neuron.event(rnts.ErrorOccurred(error_type="Timeout", details="upstream"))
    neuron.health(rnts.DEGRADED, reason="queue is growing")

    @rnts.trace  # every call is an activation
    def parse(line): ...

    rnts.instrument("asyncio", "threading", "multiprocessing", "logging")

Importing starts no thread and loads neither numpy nor numba; `rnts.jit` is for compiled code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rnts.events import (
    Activated,
    ConnectionEstablished,
    ConnectionLost,
    Deactivated,
    ErrorOccurred,
    ThresholdExceeded,
)
from rnts.instrumented import Instrumentation
from rnts.model import Health
from rnts.neuron import Activation, Link, Neuron
from rnts.producer import PROCESS
from rnts.text import name_to_id
from rnts.trace import trace

__version__ = "0.1.0"
__all__ = [
    "CRITICAL",
    "DEGRADED",
    "HEALTHY",
    "UNKNOWN",
    "Activated",
    "Activation",
    "ConnectionEstablished",
    "ConnectionLost",
    "Deactivated",
    "ErrorOccurred",
    "Health",
    "Instrumentation",
    "Link",
    "Neuron",
    "ThresholdExceeded",
    "announce",
    "attach",
    "instrument",
    "name_to_id",
    "neuron",
    "record_batch",
    "trace",
]

HEALTHY, DEGRADED = Health.HEALTHY, Health.DEGRADED
CRITICAL, UNKNOWN = Health.CRITICAL, Health.UNKNOWN


def neuron(
    name: str,
    *,
    group: str = "",
    role: str = "",
    host: str = "",
    neuron_id: int | None = None,
    importance: str = "normal",
) -> Neuron:
    """A neuron by its name; its id is a 64-bit hash of the name unless `neuron_id` is given.

    `importance`, where sampling leaves records out: "critical_path", "high_activity" or "normal";
    see docs/sampling.md. Raises TypeError or ValueError where a string is none or has over 255
    bytes of UTF-8, and for another importance.
    """
    return PROCESS.neuron(
        name, group=group, role=role, host=host, neuron_id=neuron_id, importance=importance
    )


def attach(jit: bool | None = None) -> str:
    """Be ready to record now rather than at the first record; which emitter serves.

    "compiled" is a builtin, made by Numba, that takes a tenth of a microsecond a record; "python"
    takes about one; "off" means that telemetry goes nowhere. `jit=True` asks for the compiled one,
    which loads Numba if it is not there; without it the compiled one serves a process that has
    Numba already, if `rnts warmup` has made it ready.
    """
    return PROCESS.attach(jit)


def announce(
    ids: Iterable[int], names: Sequence[str], group: str | Sequence[str] = "", role: str = ""
) -> None:
    """Name many neurons at once, for code that reports by id: `group` is one, or one each."""
    PROCESS.announce(ids, names, group, role)


def record_batch(array: object) -> int:
    """Report many samples at once; how many were taken.

    `array` is a numpy structured array with a field `neuron_id` and any of the metrics, `health`,
    `weight` and `timestamp_ns` (0 or absent: now). A NaN counts as absent. What does not fit into
    the lane is dropped and counted as `lane_full`.
    """
    from rnts.batch import write_batch

    return write_batch(PROCESS, array)


def instrument(
    *libraries: str, loop_interval_s: float = 0.25, log_level: int | str = "ERROR"
) -> Instrumentation:
    """Let libraries report: any of "asyncio", "threading", "multiprocessing" and "logging".

    `loop_interval_s` is how often an event loop is asked how late it is, `log_level` from which
    level on records of `logging` are reported. Calling it again does no harm. What it returns takes
    it back, by `close()` or as a context manager; docs/instrument.md says what is reported. Raises
    ValueError or TypeError for misuse.
    """
    from rnts.instrumentation import instrument as apply

    return apply(*libraries, loop_interval_s=loop_interval_s, log_level=log_level)
