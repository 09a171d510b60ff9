"""What a timestamp costs, and how far a clock made of the processor's counter would be off.

A counter (TSC) is calibrated against CLOCK_REALTIME every so often. Between two calibrations its
time is interpolated, which a reader can do only when the next one is there, or extrapolated from
the last two, which it can do at once; both are compared with what the clock said.
"""

import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from rnts.kernels._jit import kernel
from rnts.kernels.atomics import now_ns, sleep_ns
from rnts.perf import emitters
from rnts.perf.timing import call_times_ns

_CALIBRATED_MS = (250, 1000)
_SAMPLE_STEP_NS = 1_000_000
_HAS_COUNTER = platform.machine() in ("x86_64", "AMD64")  # elsewhere user code may not read it
_PERCENTILES = {"p50": 50, "p99": 99, "max": 100}


@intrinsic
def counter(typing_context):
    """The processor's counter: rdtsc."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(64), [])
        read = builder.module.declare_intrinsic("llvm.readcyclecounter", fnty=kind)
        return builder.call(read, [])

    return types.int64(), generate


@kernel("int64(int64)")
def read_counter(count):
    """Read the counter so often; the last reading."""
    last = 0
    for _ in range(count):
        last = counter()
    return last


@kernel("int64(int64[:,::1], int64, int64)")
def sample(out, step_ns, tries):
    """Fill `out`, int64[n, 3], with (counter, clock, counter between the two readings around it).

    Each row is the tightest of so many tries: in the others something came between.
    """
    for row in range(out.shape[0]):
        out[row, 2] = 1 << 62
        for _ in range(tries):
            before = counter()
            clock = now_ns()
            after = counter()
            if after - before < out[row, 2]:
                out[row, 0] = before + (after - before) // 2
                out[row, 1] = clock
                out[row, 2] = after - before
        sleep_ns(step_ns)
    return out.shape[0]


def converted(
    ticks: NDArray[np.int64], clock_ns: NDArray[np.int64], every_ns: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors of interpolated and of extrapolated times, in ns, of all samples but calibrations.

    Both arrays begin with the third interval: the first two are what is extrapolated from.
    """
    numbers = (clock_ns - clock_ns[0]) // every_ns
    at = np.flatnonzero(np.diff(numbers, prepend=-1))  # the first sample of each interval
    known, time_ns = ticks[at].astype(np.float64), (clock_ns[at] - clock_ns[0]).astype(np.float64)
    wanted, true_ns = ticks.astype(np.float64), (clock_ns - clock_ns[0]).astype(np.float64)
    interval = np.searchsorted(at, np.arange(len(ticks)), "right") - 1
    inner = (interval >= 1) & (interval < len(at) - 1) & ~np.isin(np.arange(len(ticks)), at)
    errors = []
    for first, second in ((interval, interval + 1), (interval - 1, interval)):
        first, second = first[inner], second[inner]
        slope = (time_ns[second] - time_ns[first]) / (known[second] - known[first])
        guess = time_ns[second] + slope * (wanted[inner] - known[second])
        errors.append(np.abs(guess - true_ns[inner]))
    return errors[0], errors[1]


def clock(smoke: bool) -> dict[str, Any]:
    """The cost of a reading, and the error of a calibrated counter over a minute."""
    count, repeats, rows = (500, 3, 600) if smoke else (8192, 100, 55_000)
    contenders = {"clock_gettime_njit_ns": lambda: count if emitters.read_clock(count) else 0}
    if _HAS_COUNTER:
        contenders["tsc_njit_ns"] = lambda: count if read_counter(count) else 0
    figures: dict[str, Any] = call_times_ns(contenders, repeats)
    figures.setdefault("tsc_njit_ns", None)
    for every_ms, ways in _errors(rows, shrunk=10 if smoke else 1).items():
        for way, found in zip(("interpolated", "extrapolated"), ways, strict=True):
            for name, rank in _PERCENTILES.items():
                value = float(np.percentile(found, rank)) if _HAS_COUNTER else None
                figures[f"tsc_{way}_every_{every_ms}_ms_error_ns_{name}"] = value
    return figures


def _errors(rows: int, shrunk: int) -> dict[int, tuple[NDArray[np.float64], ...]]:
    """What `converted` gives for each distance of calibrations, these shrunk in a small run."""
    samples = np.zeros((rows, 3), np.int64)
    if _HAS_COUNTER:
        sample(samples, _SAMPLE_STEP_NS, 5)
    ticks, clock_ns = samples[:, 0], samples[:, 1]
    return {
        every_ms: converted(ticks, clock_ns, every_ms * 1_000_000 // shrunk)
        for every_ms in _CALIBRATED_MS
    }
