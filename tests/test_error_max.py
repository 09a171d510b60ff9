"""What floats may lose on their way: declared in the settings by metric, kept at the far end."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from process_tools import has_agent, neuron, program, road, snapshot, until
from settings_tools import isolate, problems
from wire_tools import NO_SOURCES, START_NS, from_records, sample, stored_bits, to_slots

from rnts.frame import DecoderSession, FrameDecoder, FrameEncoder
from rnts.model import METRICS, STEPS, Storage
from rnts.settings import load
from rnts.settings_wire import ERROR_MAX, ERROR_MIN

FLOATS = [field for field in METRICS if field.storage.is_float]
GRID_STEPS = 2**51  # a value that is further from zero travels as it is
FLOAT64 = Fraction(1, 2**52)  # of a value: what computing with it in float64 may add
SECTION = "telemetry:\n  collection:\n    error_max:\n      "

ERRORS = st.one_of(
    st.just(0.0),
    st.floats(ERROR_MIN, ERROR_MAX),
    st.integers(-15, 15).map(lambda exponent: float(f"1e{exponent}")),
    st.integers(-9, 9).map(lambda exponent: float(f"5e{exponent}")),
)
DECODER = FrameDecoder()  # one for all: it takes 100 MiB of addresses, and failures keep theirs
ODD = (math.nan, math.inf, -math.inf, -0.0, 5e-324, 2.2e-308, 1e308, -1.8e19, 2.0**51, 42.3)


def test_what_is_shipped_is_what_the_model_says() -> None:
    """Without settings each float travels on the grid of docs/wire.md; whole numbers have none."""
    errors = load(environ={}).telemetry.collection.error_max.errors
    assert errors == {field.name: STEPS[field.bit] / 2 for field in FLOATS}
    assert not any(STEPS[field.bit] for field in METRICS if field not in FLOATS)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cpu_usage: 1", "4:7: {}cpu_usage: unknown setting; did you mean cpu_usage_percent?"),
        ("queue_depth: 0.5", "4:7: {}queue_depth: values are whole numbers, which always arrive"),
        (
            "noise_ratio: losless",
            "4:20: {}noise_ratio: found the text 'losless'; expected lossless",
        ),
        ("noise_ratio: 1e-3", "4:20: {}noise_ratio: found the text '1e-3'; expected"),
        (
            "noise_ratio: 0",
            "4:20: {}noise_ratio: found the number 0; expected lossless or a number",
        ),
        ("noise_ratio: -1", "4:20: {}noise_ratio: found the number -1; expected lossless or"),
        ("noise_ratio: .nan", "4:20: {}noise_ratio: found the number .nan; expected lossless or"),
        ("noise_ratio: true", "4:20: {}noise_ratio: found true, a boolean; expected lossless or"),
        ("noise_ratio: [1]", "4:20: {}noise_ratio: found a list of 1; expected lossless or"),
    ],
)
def test_mistakes_are_told_with_their_place(
    line: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Unknown metrics, bounds for whole numbers and bounds that are none are refused by name."""
    isolate(monkeypatch, tmp_path)
    (problem,) = problems(SECTION + line)
    assert problem.startswith("rnts.yaml:" + said.format("telemetry.collection.error_max."))
    if line.endswith("1e-3"):
        assert problem.endswith("YAML 1.1 takes 1e-3 for text, write 0.001")


def test_that_whole_numbers_lose_nothing_may_be_said() -> None:
    """`lossless` is taken for a whole number, where it is true, and changes nothing."""
    said = {"telemetry.collection.error_max": {"queue_depth": "lossless", "noise_ratio": 1}}
    errors = load(environ={}, overrides=said).telemetry.collection.error_max.errors
    assert errors["noise_ratio"] == 1.0
    assert "queue_depth" not in errors


@pytest.mark.parametrize("field", FLOATS, ids=lambda field: field.name)
@given(
    error=ERRORS,
    values=st.lists(st.one_of(st.floats(), st.sampled_from(ODD)), min_size=1, max_size=20),
    compression=st.sampled_from(("none", "lz4", "rice")),
)
def test_the_declared_error_holds_for_every_value(
    field: object, error: float, values: list[float], compression: str
) -> None:
    """Each value arrives within its bound, and exact without one, off the grid, and if no number.

    Float64's own rounding comes on top, in a keyframe as in the frame that builds on it.
    """
    name = field.name  # type: ignore[attr-defined]
    if field.storage is Storage.F32:  # type: ignore[attr-defined]
        with np.errstate(over="ignore"):
            values = [float(np.float32(value)) for value in values]
    encoder = FrameEncoder(7, 1, compression, {name: 2 * error})
    session, found = DecoderSession(), []
    records = [sample(i % 2, START_NS, **{name: value}) for i, value in enumerate(values)]
    for sequence, part in ((1, records), (2, records)):
        frame = encoder.encode(
            to_slots(part), sequence=sequence, watermark_ns=START_NS, sources=NO_SOURCES,
            is_keyframe=sequence == 1,
        )  # fmt: skip
        found += [
            r.values[name] for r in from_records(DECODER.decode(frame, None, session).records)
        ]
    assert len(found) == 2 * len(values)
    for value, arrived in zip(values * 2, found, strict=True):
        check_bound(name, value, float(arrived), error)


def check_bound(name: str, value: float, arrived: float, error: float) -> None:
    """One value at both ends."""
    steps = abs(Fraction(value)) / Fraction(2 * error) if error and math.isfinite(value) else 0
    if not error or not math.isfinite(value) or steps > GRID_STEPS * (1 + FLOAT64):
        assert math.isnan(value) == math.isnan(arrived)
        assert math.isnan(value) or stored_bits(name, value) == stored_bits(name, arrived)
    else:
        bound = Fraction(error) * (1 + FLOAT64) + abs(Fraction(value)) * FLOAT64
        assert abs(Fraction(arrived) - Fraction(value)) <= bound


def test_settings_reach_the_far_end(runtime_folder: Path) -> None:
    """A real agent keeps to what its settings declare, says it in the snapshot, and no more."""
    declared = {
        "RNTS_COLLECTION__ERROR_MAX__SIGNAL_STRENGTH": "lossless",
        "RNTS_COLLECTION__ERROR_MAX__CPU_USAGE_PERCENT": "20",
    }
    with road(**declared), program() as producer:
        made = producer.neuron("measured")
        made.record(signal_strength=math.pi, cpu_usage_percent=77.0, noise_ratio=0.12345678)
        last = until(lambda: neuron("measured").get("last"))
        (agent,) = until(lambda: [a for a in snapshot().get("agents", []) if a.get("error_max")])
    assert last == {"signal_strength": math.pi, "cpu_usage_percent": 80.0, "noise_ratio": 0.1235}
    assert agent["error_max"]["signal_strength"] == 0
    assert (agent["error_max"]["cpu_usage_percent"], agent["error_max"]["noise_ratio"]) == (
        20,
        5e-5,
    )
    assert has_agent({"agents": [agent]})
