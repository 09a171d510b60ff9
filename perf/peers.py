"""Other libraries at the work that they are used for, beside ours in the same run.

Each group has a process of its own: some of them set hooks that slow down all that runs beside
them. What they send goes nowhere, and what they queue is taken out between the turns.
"""

import os
import queue
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from rnts.perf.batches import Contender, Group

_MESSAGE = bytes(128)
_QUEUE_BYTES = 16 << 20
_END = "end"  # of a turn: what is in a queue before it is taken out
_FLUSH_MS = 10_000


class Peer(NamedTuple):
    """A group of peers: the module that has to be there, and its figures."""

    module: str
    figures: tuple[str, ...]


PEERS = {
    "prometheus": Peer(
        "prometheus_client",
        ("prometheus_counter_ns", "prometheus_labels_ns", "prometheus_histogram_ns"),
    ),
    "prometheus_multiprocess": Peer("prometheus_client", ("prometheus_multiprocess_counter_ns",)),
    "opentelemetry": Peer(
        "opentelemetry.sdk",
        ("opentelemetry_counter_ns", "opentelemetry_histogram_ns", "opentelemetry_span_ns"),
    ),
    "viztracer": Peer("viztracer", ("viztracer_ns",)),
    "faster_fifo": Peer("faster_fifo", ("faster_fifo_ns",)),
    "multiprocessing_queue": Peer("multiprocessing", ("multiprocessing_queue_ns",)),
}


def is_installed(peer: Peer) -> bool:
    """Whether its module can be found."""
    try:
        return find_spec(peer.module) is not None
    except ModuleNotFoundError:  # of the package that it would be in
        return False


def prometheus() -> Group:
    """An increment, one that looks its labels up, and an observation of a histogram."""
    client = import_module("prometheus_client")
    names = {
        "counter": client.Counter("bench", "a peer", registry=None),
        "labelled": client.Counter("labelled", "a peer", ["name", "group"], registry=None),
        "histogram": client.Histogram("observed", "a peer", registry=None),
    }
    contenders = {
        "prometheus_counter_ns": Contender("counter.inc()"),
        "prometheus_labels_ns": Contender('labelled.labels("worker-7", "ingest").inc()'),
        "prometheus_histogram_ns": Contender("histogram.observe(0.0528)"),
    }
    return Group(contenders, names)


def prometheus_multiprocess() -> Group:
    """An increment in the mode for several processes, whose values lie in mapped files."""
    folder = tempfile.mkdtemp(dir=Path(os.environ["RNTS_RUNTIME_DIR"]))  # which the sandbox removes
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # read when the library is imported
    client = import_module("prometheus_client")
    names = {"counter": client.Counter("bench", "a peer", registry=None)}
    return Group({"prometheus_multiprocess_counter_ns": Contender("counter.inc()")}, names)


def opentelemetry() -> Group:
    """Metrics with a reader in memory, and spans in batches to an exporter that drops them."""
    metrics = import_module("opentelemetry.sdk.metrics")
    reader = import_module("opentelemetry.sdk.metrics.export").InMemoryMetricReader()
    meter = metrics.MeterProvider([reader]).get_meter("bench")
    trace = import_module("opentelemetry.sdk.trace")
    export = import_module("opentelemetry.sdk.trace.export")

    class Dropping(export.SpanExporter):  # type: ignore[name-defined]
        """Exports to nobody."""

        def export(self, spans: Any) -> Any:
            """Drop them."""
            return export.SpanExportResult.SUCCESS

    spans = export.BatchSpanProcessor(Dropping(), max_queue_size=1 << 16)
    provider = trace.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(spans)
    names = {
        "counter": meter.create_counter("bench"),
        "histogram": meter.create_histogram("observed"),
        "tracer": provider.get_tracer("bench"),
    }
    contenders = {
        "opentelemetry_counter_ns": Contender("counter.add(1)"),
        "opentelemetry_histogram_ns": Contender("histogram.record(0.0528)"),
        "opentelemetry_span_ns": Contender('with tracer.start_as_current_span("work"): pass'),
    }

    def finish() -> dict[str, Any]:
        provider.shutdown()
        return {}

    return Group(contenders, names, lambda: spans.force_flush(_FLUSH_MS), finish)


def viztracer() -> Group:
    """A call of an empty function while everything is traced."""
    tracer = import_module("viztracer").VizTracer(verbose=0)
    tracer.start()

    def finish() -> dict[str, Any]:
        tracer.stop()
        tracer.clear()
        return {}

    return Group({"viztracer_ns": Contender("work()")}, {"work": _work}, tracer.clear, finish)


def _work() -> None:
    """What is traced."""


def faster_fifo() -> Group:
    """A message of 128 bytes into a queue in shared memory."""
    fifo = import_module("faster_fifo").Queue(max_size_bytes=_QUEUE_BYTES)

    def tidy() -> None:
        try:
            while True:
                fifo.get_many_nowait(max_messages_to_get=1_000_000)
        except queue.Empty:
            return

    return Group(
        {"faster_fifo_ns": Contender("fifo.put(message)")},
        {"fifo": fifo, "message": _MESSAGE},
        tidy,
    )


def multiprocessing_queue() -> Group:
    """A message of 128 bytes into a queue, without what its thread then does to send it."""
    pipe = import_module("multiprocessing").Queue()

    def tidy() -> None:
        pipe.put(_END)
        while pipe.get() != _END:
            pass

    return Group(
        {"multiprocessing_queue_ns": Contender("pipe.put(message)")},
        {"pipe": pipe, "message": _MESSAGE},
        tidy,
    )
