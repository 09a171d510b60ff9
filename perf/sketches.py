"""Other sketches of quantiles beside our histogram: the cost of an insert, the error of quantiles.

All get the same durations, and errors are against NumPy's nearest ranks of them. DataSketches takes
an array at a time, ddsketch one value, and it is asked for the error that ours has. What is not
installed is None.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import histogram
from rnts.perf.timing import Batch, call_times_ns

_RANKS = np.array([50.0, 90.0, 95.0, 99.0, 99.9])
Floats = NDArray[np.float64]


class Sketch(NamedTuple):
    """A sketch that is filled with values, and asked for quantiles of the ranks 0 to 1."""

    fill: Callable[[Floats], object]
    quantile: Callable[[float], float]


class Peer(NamedTuple):
    """The module that has to be there, how a sketch is made, and values of a timed batch."""

    module: str
    make: Callable[[], Sketch]
    batch: int


def _ddsketch() -> Sketch:
    sketch = import_module("ddsketch").DDSketch(histogram.RELATIVE_ERROR)

    def fill(values: Floats) -> None:
        add = sketch.add
        for value in values.tolist():
            add(value)

    return Sketch(fill, sketch.get_quantile_value)


def _of_datasketches(name: str, *arguments: Any) -> Callable[[], Sketch]:
    def make() -> Sketch:
        sketch = getattr(import_module("datasketches"), name)(*arguments)
        return Sketch(sketch.update, lambda rank: float(sketch.get_quantile(rank, True)))

    return make


PEERS = {
    "ddsketch": Peer("ddsketch", _ddsketch, 1_000),
    "datasketches_kll": Peer("datasketches", _of_datasketches("kll_doubles_sketch", 200), 10_000),
    "datasketches_req": Peer("datasketches", _of_datasketches("req_floats_sketch", 12), 10_000),
}
FIGURES = tuple(f"{name}_{figure}" for name in PEERS for figure in ("insert_ns", "error_percent"))


def compare(values: Floats, repeats: int) -> dict[str, Any]:
    """Figures of the peers, and the largest error of our own percentiles, of the same values."""
    exact = np.percentile(values, _RANKS, method="inverted_cdf")
    found: dict[str, Any] = dict.fromkeys(FIGURES)
    contenders: dict[str, Batch] = {}
    for name, peer in PEERS.items():
        if find_spec(peer.module) is None:
            sys.stderr.write(f"{name} is left out: {peer.module} is not installed\n")
            continue
        sketch = peer.make()
        sketch.fill(values)
        estimates = [sketch.quantile(rank / 100) for rank in _RANKS.tolist()]
        found[f"{name}_error_percent"] = _error_percent(np.array(estimates), exact)
        contenders[f"{name}_insert_ns"] = _filling(peer, values)
    found["histogram_error_percent"] = _error_percent(_our_percentiles(values), exact)
    return found | call_times_ns(contenders, repeats)


def _filling(peer: Peer, values: Floats) -> Batch:
    """A batch that fills a sketch that is kept, as those of a program are."""
    some, sketch = values[: peer.batch].copy(), peer.make()

    def batch() -> int:
        sketch.fill(some)
        return some.size

    return batch


def _our_percentiles(values: Floats) -> Floats:
    buckets, estimates = np.zeros(histogram.BUCKETS), np.zeros(_RANKS.size)
    histogram.insert(buckets, values, np.ones(values.size))
    histogram.quantiles(buckets, _RANKS, values.min(), values.max(), estimates)
    return estimates


def _error_percent(estimates: Floats, exact: Floats) -> float:
    """The largest error of a percentile, in per cent of what it is."""
    return float(np.abs(estimates / exact - 1).max() * 100)
