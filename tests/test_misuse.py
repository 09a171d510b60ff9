"""Arguments of `record` that are no plain numbers: refused as a well-made builtin does it."""

import math
from typing import Any

import numpy as np
import pytest
from capture_tools import Counters, Taker, producing, read_lane

import rnts

BAD_VALUES = [
    ("queue_depth", "3", TypeError),
    ("queue_depth", 1.5, TypeError),
    ("queue_depth", math.nan, TypeError),
    ("queue_depth", -1, OverflowError),
    ("queue_depth", 2**32, OverflowError),
    ("memory_bytes", 2**64, OverflowError),
    ("memory_bytes", -1, OverflowError),
    ("memory_bytes", [1], TypeError),
    ("cpu_usage_percent", "5", TypeError),
    ("cpu_usage_percent", b"5", TypeError),
    ("cpu_usage_percent", 1e300, OverflowError),
    ("cpu_usage_percent", 10**400, OverflowError),
    ("signal_strength", 1j, TypeError),
    ("signal_strength", 10**400, OverflowError),
    ("health", 256, OverflowError),
    ("health", "healthy", TypeError),
    ("timestamp_ns", "now", TypeError),
    ("timestamp_ns", -1, OverflowError),
    ("timestamp_ns", 0, OverflowError),
    ("timestamp_ns", 2**64, OverflowError),
]


@pytest.mark.parametrize(("name", "value", "error"), BAD_VALUES)
def test_bad_values_are_refused_like_a_builtin_does(
    name: str, value: Any, error: type[Exception], emitter: str
) -> None:
    """A wrong type is a TypeError, a wrong range an OverflowError; no record, counted `invalid`."""
    with producing() as (producer, segment):
        neuron = producer.neuron("n")
        with pytest.raises(error, match=name):
            neuron.record(**{name: value})
        assert neuron.record(queue_depth=1) is True
        assert read_lane(segment) == Counters(2, 1, 0, {"invalid": 1})


@pytest.mark.parametrize("values", [{"queue_deptj": 1}, {"": 1}, {"self": 1}], ids=repr)
def test_unknown_metrics_are_refused(values: dict[str, Any], emitter: str) -> None:
    """An argument that `record` does not have is a TypeError, and no record."""
    with producing() as (producer, segment):
        neuron = producer.neuron("n")
        assert neuron.record(queue_depth=1) is True
        with pytest.raises(TypeError, match="argument"):
            neuron.record(memory_bytes=2, **values)
        with pytest.raises(TypeError, match=r"17|18"):
            neuron.record(*range(17))
        assert read_lane(segment).tail == 1


def test_values_that_raise_are_counted_too(emitter: str) -> None:
    """What an argument's own methods raise reaches the caller of `record`, and nobody else."""

    class Broken:
        def __index__(self) -> int:
            raise RuntimeError("broken")

        __float__ = __str__ = __index__  # type: ignore[assignment]

    broken: Any = Broken()
    with producing() as (producer, segment):
        neuron = producer.neuron("n")
        with pytest.raises(RuntimeError, match="broken"):
            neuron.record(queue_depth=broken)
        assert neuron.health(broken) is False
        assert neuron.health(rnts.CRITICAL, reason=broken) is False
        assert neuron.event(rnts.ErrorOccurred(error_type=broken)) is False
        assert neuron.event(rnts.ThresholdExceeded(metric="m", value=broken)) is False
        assert neuron.link(3).sent(broken) is False
        assert read_lane(segment) == Counters(6, 0, 0, {"invalid": 6})


PLAIN_ENOUGH: list[tuple[str, Any, Any]] = [
    ("queue_depth", np.int64(7), 7),
    ("queue_depth", True, 1),
    ("queue_depth", 2**32 - 1, 2**32 - 1),
    ("memory_bytes", np.uint64(2**64 - 1), 2**64 - 1),
    ("memory_bytes", 2**64 - 1, 2**64 - 1),
    ("cpu_usage_percent", np.float32(0.5), 0.5),
    ("cpu_usage_percent", 3, 3.0),
    ("signal_strength", np.float64(-0.5), -0.5),
    ("signal_strength", -1.0, -1.0),
    ("signal_strength", -1, -1.0),
    ("signal_strength", -(2**70), -(2.0**70)),
    ("noise_ratio", math.inf, math.inf),
    ("cpu_usage_percent", -math.inf, -math.inf),
    ("health", rnts.CRITICAL, 2),
]


@pytest.mark.parametrize(("name", "value", "seen"), PLAIN_ENOUGH)
def test_all_that_stands_for_a_number_is_taken(
    name: str, value: Any, seen: Any, emitter: str, runtime_folder: Any
) -> None:
    """Numbers of NumPy, bools, enumerations, and ints where a float is asked for."""
    with producing() as (producer, _):
        assert producer.neuron("n").record(**{name: value}) is True
        [record] = Taker(runtime_folder).take()
    assert record.values == {name: seen}
