"""Other formats for the records of the common workload; floats on the same grid as ours.

Each gets columns, or rows, of integers as its own users would hand them over, in batches of 10,000
in the order of arrival, and is set to what it does best. One that is not installed is None.
"""

import io
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts.model import FIELD
from rnts.perf import workload

_OTLP_RECORDS = 500  # of which objects are built; ten microseconds of Python each and more


def _columns(table: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Ids as numbers of a dictionary, times and values as integers; NaN is the least of them."""
    _, rows = np.unique(table["neuron_id"], return_inverse=True)
    columns = {"neuron": rows.astype(np.uint32), "time": table["timestamp_ns"]}
    for name in workload.FIELD_NAMES:
        values, step = table[name], FIELD[name].step
        if step:
            steps = np.rint(np.nan_to_num(values, nan=-1e6).astype(np.float64) / step)
            values = steps.astype(np.int32)
        columns[name] = values.astype(np.uint16) if values.dtype == np.uint8 else values
    return columns


def _pcodec(table: NDArray[Any]) -> int:
    standalone, library = import_module("pcodec.standalone"), import_module("pcodec")
    config = library.ChunkConfig(compression_level=8)
    columns = _columns(table).values()
    return sum(
        len(standalone.simple_compress(np.ascontiguousarray(column), config)) for column in columns
    )


def _parquet(table: NDArray[Any]) -> int:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    columns = {
        name: column.astype(np.int64 if column.itemsize == 8 else np.int32)
        for name, column in _columns(table).items()
    }
    out = io.BytesIO()
    parquet.write_table(
        arrow.table(columns),
        out,
        compression="zstd",
        use_dictionary=False,
        column_encoding=dict.fromkeys(columns, "DELTA_BINARY_PACKED"),
    )
    return len(out.getvalue())


def _arrow_ipc(table: NDArray[Any]) -> int:
    arrow = import_module("pyarrow")
    content, out = arrow.table(_columns(table)), io.BytesIO()
    options = arrow.ipc.IpcWriteOptions(compression="zstd")
    with arrow.ipc.new_stream(out, content.schema, options=options) as writer:
        writer.write_table(content)
    return len(out.getvalue())


def _msgpack(table: NDArray[Any]) -> int:
    columns = [column.tolist() for column in _columns(table).values()]
    return len(import_module("msgpack").packb(list(zip(*columns, strict=True))))


def _otlp(table: NDArray[Any]) -> int:
    """A gauge of each metric with a data point of each record, as an exporter sends them."""
    metrics = import_module("opentelemetry.proto.metrics.v1.metrics_pb2")
    common = import_module("opentelemetry.proto.common.v1.common_pb2")
    data, table = metrics.ScopeMetrics(), table[:_OTLP_RECORDS]
    ids = [
        common.KeyValue(key="neuron", value=common.AnyValue(string_value=f"{neuron:016x}"))
        for neuron in table["neuron_id"].tolist()
    ]
    times = table["timestamp_ns"].tolist()
    for name in workload.FIELD_NAMES:
        points = data.metrics.add(name=name).gauge.data_points
        values = table[name].tolist()
        for neuron, time_ns, value in zip(ids, times, values, strict=True):
            kind = "as_double" if isinstance(value, float) else "as_int"
            points.add(attributes=[neuron], time_unix_nano=time_ns, **{kind: value})
    packed = import_module("zstandard").ZstdCompressor(3).compress(data.SerializeToString())
    return len(packed) * -(-10_000 // len(table))


PEERS: dict[str, tuple[tuple[str, ...], Callable[[NDArray[Any]], int]]] = {
    "pcodec": (("pcodec",), _pcodec),
    "parquet_zstd": (("pyarrow",), _parquet),
    "arrow_ipc_zstd": (("pyarrow",), _arrow_ipc),
    "msgpack": (("msgpack",), _msgpack),
    "otlp_zstd": (("opentelemetry.proto.metrics", "zstandard"), _otlp),
}


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it would be in
        return False


def peer_bytes(name: str, tables: Sequence[NDArray[Any]]) -> float | None:
    """Bytes of a record in batches like these; None, told, where a library is missing."""
    modules, pack = PEERS[name]
    missing = [module for module in modules if not _is_there(module)]
    if missing:
        sys.stderr.write(f"{name} is left out: {', '.join(missing)} is not installed\n")
        return None
    used = tables[:1] if name == "otlp_zstd" else tables
    return sum(map(pack, used)) / (10_000 * len(used))
