"""The list of benchmarks, and their runs: at full size each in a process of its own."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import metadata
from typing import Any, NamedTuple

from rnts.errors import RntsError, UsageError
from rnts.process import SUPERVISED

LIMIT_S = 600.0
_LAST_LINES = 5
_LIBRARIES = (
    "numba", "numpy", "lz4", "pyzmq",
    "prometheus-client", "opentelemetry-sdk", "viztracer", "faster-fifo",
    "pcodec", "pyarrow", "msgpack", "zstandard", "opentelemetry-proto", "ddsketch", "datasketches",
)  # fmt: skip


class Benchmark(NamedTuple):
    """One benchmark: where its function is, what it is about, and what its figures compare with.

    `references` gives to a figure the peer, measured in the same run, that its ratio is to; `peers`
    are all figures that are not ours.
    """

    name: str
    function: str
    meaning: str
    references: dict[str, str]
    peers: frozenset[str]


def _benchmark(
    name: str, function: str, meaning: str, references: dict[str, str] | None = None, *peers: str
) -> Benchmark:
    against = references or {}
    return Benchmark(name, function, meaning, against, frozenset((*against.values(), *peers)))


def _by_mix(ours: Iterable[str], theirs: str, units: Iterable[str] = ("ns",)) -> dict[str, str]:
    """References of the codec's figures, which come once for each mix of records."""
    mixes = ("256_neurons_batch_1000", "256_neurons_batch_10000", "10000_neurons_batch_10000")
    return {
        f"{mix}{suffix}_{unit}": f"{mix}_{theirs}_{unit}"
        for mix in mixes
        for suffix in ours
        for unit in units
    }


_CALLS = (
    "snapshot_python", "snapshot_python_keywords", "three_metrics_python", "one_metric_python",
    "struct", "disabled_python", "activation", "trace", "njit", "njit_no_clock",
    "njit_rows", "njit_rows_no_clock",
    "three_metrics_njit", "three_metrics_njit_no_clock", "disabled_njit",
)  # fmt: skip
_PEER_CALLS = (
    "untraced", "pack_into", "clock_python", "clock_njit", "prometheus_labels",
    "prometheus_histogram", "prometheus_multiprocess_counter", "opentelemetry_counter",
    "opentelemetry_histogram", "opentelemetry_span", "viztracer", "faster_fifo",
    "multiprocessing_queue",
)  # fmt: skip
_REFERENCE = "prometheus_counter_ns"
_TAILS = ("_p99", "_p999")

_WIRE_PEERS = ("pcodec", "parquet_zstd", "arrow_ipc_zstd", "msgpack", "otlp_zstd")

_SKETCHES = ("ddsketch", "datasketches_kll", "datasketches_req")

_CLOCK_ERRORS = tuple(
    f"tsc_{way}_every_{every_ms}_ms_error_ns_{rank}"
    for every_ms in (250, 1000)
    for way in ("interpolated", "extrapolated")
    for rank in ("p50", "p99", "max")
)

BENCHMARKS = (
    _benchmark(
        "capture", "capture:capture", "a call, a burst, a death; to a counter of prometheus_client",
        {f"{name}_ns": _REFERENCE for name in (*_CALLS, *_PEER_CALLS)},
        *(f"{name}_ns{tail}" for name in _PEER_CALLS for tail in ("", *_TAILS)),
        *(f"{_REFERENCE}{tail}" for tail in _TAILS),
    ),
    _benchmark(
        "clock", "clocks:clock", "the clock, and a calibrated counter in its place",
        {"clock_gettime_njit_ns": "tsc_njit_ns"}, *_CLOCK_ERRORS,
    ),
    _benchmark(
        "drain", "drain:drain", "lanes to the agent; to a copy of memory",
        {"drain_ns": "memory_copy_ns"},
    ),
    _benchmark(
        "encode", "codec:encode", "records to frames; to lz4 of plain rows",
        _by_mix(("", "_without_lz4"), "rows_lz4", ("ns", "bytes")),
    ),
    _benchmark(
        "decode", "codec:decode", "frames to records; to lz4 of plain rows",
        _by_mix(("",), "rows_lz4"),
    ),
    _benchmark(
        "wire", "wire:wire", "sessions of frames: bytes and time; to other formats",
        {
            f"{name}_bytes": "best_peer_bytes"
            for name in (
                "session_256", "session_10000", "session_small_frames", "keyframe",
                "session_256_rice", "session_10000_rice", *_WIRE_PEERS,
            )
        },
        *(f"{name}_bytes" for name in _WIRE_PEERS),
    ),
    _benchmark(
        "fold", "codec:fold", "records to windows; to NumPy's sums", _by_mix(("",), "bincount")
    ),
    _benchmark(
        "reflex", "reflex:reflex",
        "inserts, folds, expressions; to bincount; reactions; to bare processes",
        {f"{name}_insert{way}_ns": "numpy_bincount_ns"
         for name in ("histogram", *_SKETCHES)
         for way in (("", "_weighted", "_single") if name == "histogram" else ("",))}
        | {f"reaction{load}_ns_{rank}": f"relay{load}_ns_{rank}"
           for load in ("", "_idle") for rank in ("p50", "p99", "p999")},
        *(f"{name}_{figure}" for name in _SKETCHES for figure in ("insert_ns", "error_percent")),
    ),
    _benchmark(
        "sampling", "sampling:sampling", "samples left out; to those that are kept; a flood",
        {
            f"left_out_{name}_ns": f"kept_{name}_ns"
            for name in ("python", "one_metric_python", "activation", "njit")
        },
    ),
    _benchmark("host_source", "processes:host_source", "a pass over 500 processes"),
    _benchmark(
        "startup", "processes:startup", "starts of programs; to Python's own",
        {"help_ms": "python_ms", "first_snapshot_ms": "python_ms"},
    ),
    _benchmark("idle", "processes:idle", "agent and aggregator without work"),
    _benchmark("pipeline", "pipeline:pipeline", "producers to windows, through all processes"),
    _benchmark(
        "delivery", "delivery:delivery", "links, what durability costs, a restart; to bare sockets",
        {"ipc_mib_per_second": "ipc_bare_mib_per_second",
         "tcp_mib_per_second": "tcp_bare_mib_per_second",
         "curve_mib_per_second": "tcp_bare_mib_per_second",
         "grpc_mib_per_second": "tcp_bare_mib_per_second"},
        "grpc_mib_per_second",  # of an extra, so it may be absent
    ),
    _benchmark("sustained", "sustained:sustained", "a million records a second for a minute"),
)  # fmt: skip
BY_NAME = {benchmark.name: benchmark for benchmark in BENCHMARKS}
PEERS = {benchmark.name: benchmark.peers for benchmark in BENCHMARKS}
OF_PROCESSES = ("startup", "idle", "pipeline", "sustained")  # they measure no kernel
# Those that leave nothing behind in their process. In the small size, which shows no times, each
# set shares one: most of what they cost there is Numba's import, and that of ready code.
_SHARING = ({"clock", "drain", "encode", "decode", "wire", "fold"}, set(OF_PROCESSES))


def choose(names: Iterable[str]) -> list[Benchmark]:
    """The benchmarks of these names, or all; raises UsageError for one that does not exist."""
    chosen = []
    for name in names:
        if name not in BY_NAME:
            near = get_close_matches(name, BY_NAME, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(BY_NAME)}"
            raise UsageError(f"there is no benchmark {name!r}{hint}")
        chosen.append(BY_NAME[name])
    return chosen or list(BENCHMARKS)


def courses(chosen: Iterable[Benchmark], smoke: bool) -> list[list[Benchmark]]:
    """The benchmarks by the process that they run in."""
    found: dict[int | str, list[Benchmark]] = {}
    for benchmark in chosen:
        shared = (number for number, names in enumerate(_SHARING) if benchmark.name in names)
        key = next(shared, benchmark.name) if smoke else benchmark.name
        found.setdefault(key, []).append(benchmark)
    return list(found.values())


def run(course: list[Benchmark], smoke: bool) -> list[dict[str, Any]]:
    """The figures of each benchmark of a course, from one process.

    Raises RntsError with its last words if it fails.
    """
    names = [benchmark.name for benchmark in course]
    command = [sys.executable, "-m", "rnts.perf", *names, *["--smoke"] * smoke]
    environment = {**os.environ, SUPERVISED: str(os.getpid())}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            output, errors = process.communicate(timeout=LIMIT_S)
        except BaseException:
            process.terminate()  # it ends its own children; leaving the block waits for it
            raise
    if process.returncode != 0:
        words = "\n".join(errors.splitlines()[-_LAST_LINES:]) or "it said nothing"
        raise RntsError(f"benchmark {', '.join(names)} failed ({process.returncode}):\n{words}")
    sys.stderr.write(errors)  # what it told besides, such as which peer is left out
    return [json.loads(line) for line in output.splitlines()]


def machine() -> dict[str, Any]:
    """What figures depend on besides RNTS."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }
    for library in _LIBRARIES:
        try:
            found[library.replace("-", "_")] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library.replace("-", "_")] = None
    return found


def _processor() -> str:
    """The processor's name, as the kernel knows it."""
    try:
        with open("/proc/cpuinfo") as file:
            names = (line.partition(":")[2].strip() for line in file if "model name" in line)
            return next(names, "") or platform.machine()
    except OSError:
        return platform.machine()
