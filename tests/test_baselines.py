"""Baselines: alarms as often as the risk says, once for each anomaly, and nothing moved by them."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from naive_anomaly import NaiveSeries
from numpy.typing import NDArray

from rnts.kernels import anomaly as words
from rnts.processors.baselines import GUARD, Baselines, Finding
from rnts.processors.thresholds import (
    shift_threshold,
    spike_thresholds,
    student,
    truncation_correction,
)

NO_FLOOR = 1e-12


def feed(
    baselines: Baselines, values: NDArray[np.float64], floor: float = NO_FLOOR
) -> list[list[Finding]]:
    """What is found in each row of float64[observations, series]."""
    floors = np.full(values.shape[1], floor)
    return [baselines.observe(np.ascontiguousarray(row), floors) for row in values]


def learned(
    series: int, risk: float = 1e-6, seed: int = 1
) -> tuple[Baselines, np.random.Generator]:
    """Baselines of normal noise of mean 10 and deviation 2, and the noise's source."""
    chance = np.random.default_rng(seed)
    baselines = Baselines(risk)
    feed(baselines, chance.normal(10, 2, (500, series)))
    return baselines, chance


@pytest.mark.parametrize("risk", [1e-2, 1e-3])
def test_false_alarms_are_as_rare_as_the_risk_says(
    risk: float, size: Callable[[int, int], int]
) -> None:
    """Of noise alone, alarms come at no more than the stated risk, within the interval of chance,
    and at no less than half of it: so the thresholds are not simply too high."""
    series, observations = size(1_000, 10_000), 1_000
    chance = np.random.default_rng(7)
    baselines = Baselines(risk)
    found = feed(baselines, chance.normal(10, 2, (observations, series)))
    alarms = sum(map(len, found))
    expected = risk * series * (observations - 64)
    assert alarms < expected + 4 * math.sqrt(expected)
    assert alarms > expected / 2
    assert {each.kind for row in found for each in row} == {"spike", "rise", "fall"}


def test_spikes_are_found_at_once_and_once() -> None:
    """A value ten deviations away is an alarm with what was usual, and the next ones are none."""
    baselines, chance = learned(50)
    values = chance.normal(10, 2, (40, 50))
    values[5] = 30.0
    found = feed(baselines, values)
    assert [len(row) for row in found[:7]] == [0, 0, 0, 0, 0, 50, 0]
    first = found[5][0]
    assert (first.kind, first.value, first.series) == ("spike", 30.0, 0)
    assert first.mean == pytest.approx(10, abs=1) and first.spread == pytest.approx(2, rel=0.3)
    assert first.excess > 1.5
    assert sum(map(len, found)) == 50


@pytest.mark.parametrize(("shift", "latest"), [(1.5, 45), (2, 25), (3, 15), (-2, 25)])
def test_shifts_are_found_soon_and_once(shift: float, latest: int) -> None:
    """A level that moves by some deviations is found within so many observations; that it stays
    there is no further alarm, and moves no baseline before its new level is adopted."""
    baselines, chance = learned(200)
    before = baselines.state[:, words.MEAN].copy()
    found = feed(baselines, chance.normal(10 + 2 * shift, 2, (200, 200)))
    when = {each.series: at for at, row in enumerate(found) for each in row}
    assert len(when) == 200
    assert sum(map(len, found)) == 200
    assert np.percentile(list(when.values()), 95) <= latest
    moved = (baselines.state[:, words.MEAN] - before) / 2
    assert abs(moved.mean()) < 0.3 * abs(shift)


def test_an_anomaly_moves_no_baseline() -> None:
    """A long burst far away leaves mean and variance bit for bit, and the series is watched again
    when it is over."""
    baselines, chance = learned(20)
    before = baselines.state[:, [words.MEAN, words.VARIANCE]].copy()
    found = feed(baselines, chance.normal(100, 2, (60, 20)))
    assert sum(map(len, found)) == 20
    assert np.array_equal(baselines.state[:, [words.MEAN, words.VARIANCE]], before)
    calm = feed(baselines, chance.normal(10, 2, (90, 20)))
    assert sum(map(len, calm)) == 0
    assert baselines.anomalous == 0
    assert sum(map(len, feed(baselines, np.full((1, 20), 40.0)))) == 20


def test_a_new_level_is_adopted_in_the_end() -> None:
    """What stays is the usual: after as many observations as are remembered it is learned anew."""
    baselines, chance = learned(20)
    found = feed(baselines, chance.normal(50, 3, (600, 20)))
    assert sum(map(len, found)) == 20
    assert baselines.anomalous == 0
    assert baselines.state[:, words.MEAN] == pytest.approx(50, abs=2)


def test_flapping_is_no_storm() -> None:
    """A value that jumps to and fro all the time is one anomaly, as long as it never rests."""
    baselines, chance = learned(10)
    values = chance.normal(10, 2, (200, 10))
    values[::5] = 60.0
    assert sum(map(len, feed(baselines, values))) == 10


def test_constant_series_have_a_floor() -> None:
    """Changes below the floor times the threshold are none, larger ones are found."""
    baselines = Baselines(1e-6)
    found = feed(baselines, np.full((300, 3), 7.0), floor=0.5)
    found += feed(baselines, np.full((1, 3), 8.0), floor=0.5)
    assert not any(found)
    found = feed(baselines, np.array([[7.0, 11.0, 3.0]]), floor=0.5)
    assert [(each.series, each.kind) for each in found[0]] == [(1, "spike"), (2, "spike")]


def test_what_was_not_observed_changes_nothing() -> None:
    """NaN leaves a series bit for bit as it was, in every state."""
    baselines, _ = learned(4)
    feed(baselines, np.array([[10.0, 90.0, 10.0, math.nan]]))
    before = baselines.state.tobytes()
    assert feed(baselines, np.full((9, 4), math.nan)) == [[]] * 9
    assert baselines.state.tobytes() == before


def test_nothing_is_said_while_it_learns() -> None:
    """Before the warm-up is over no value is an anomaly, however far it is."""
    baselines = Baselines(1e-2, warm_up=30, memory=30)
    values = np.where(np.arange(30) % 7, 1.0, 1e9)[:, None]
    assert not any(feed(baselines, values))


def test_a_restart_goes_on_where_it_stood() -> None:
    """From a packed state all that follows is found as without a restart; other settings refuse."""
    baselines, chance = learned(30)
    feed(baselines, np.where(np.arange(30) < 9, 60.0, 10.0)[None, :])
    other = Baselines(1e-6)
    other.unpack(baselines.pack())
    values = chance.normal(13, 2, (120, 30))
    assert feed(other, values) == feed(baselines, values)
    for raw in (b"", b"x" * 99, Baselines(1e-5).pack()):
        with pytest.raises(ValueError, match="state of baselines"):
            other.unpack(raw)


def test_it_agrees_with_the_obvious_one() -> None:
    """On noise, spikes, shifts, constants and gaps it finds what the naive twin finds."""
    chance = np.random.default_rng(3)
    values = chance.normal(0, 1, (700, 8))
    values[200:260, 0] += 30
    values[300:, 1] += 2
    values[::9, 2] = math.nan
    values[:, 3] = 5.0
    values[400:, 3] = 9.0
    values[250::7, 4] -= 12
    baselines = Baselines(1e-4)
    setting = baselines._settings
    twins = [
        NaiveSeries(
            baselines._thresholds.tolist(), setting[words.SHIFT], setting[words.CORRECTION], 64, 256
        )
        for _ in range(8)
    ]
    for row in values:
        found = {each.series: each.kind for each in baselines.observe(row.copy(), np.full(8, 0.5))}
        for series, twin in enumerate(twins):
            assert twin.observe(float(row[series]), 0.5) == found.get(series, "")
    assert baselines.state[:, words.MEAN].tolist() == pytest.approx([t.mean for t in twins])


def test_thresholds_are_those_of_tables() -> None:
    """Student's quantiles, the run length of a CUSUM and the truncated variance, as published."""
    for z, degrees, quantile in (
        (1.959964, 60, 2.0003),
        (2.575829, 120, 2.6174),
        (3.290527, 40, 3.5510),
    ):
        assert student(z, degrees) == pytest.approx(quantile, abs=2e-3)
    # Two-sided, k = 0.5 and h = 4: 168 observations to a false alarm (Montgomery, table 9.3).
    assert shift_threshold(2 / 168, 0.5) == pytest.approx(4, abs=0.1)
    assert shift_threshold(2 / 465, 0.5) == pytest.approx(5, abs=0.1)
    kept = np.random.default_rng(1).normal(size=1_000_000)
    kept = kept[np.abs(kept) <= 2]
    assert truncation_correction(2) == pytest.approx(1 / kept.var(), rel=0.01)
    assert truncation_correction(GUARD) < 1.01
    assert np.all(np.diff(spike_thresholds(1e-3, 256)[30:]) < 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"risk": 0.5}, "risk is a probability"), ({"risk": 1e-3, "warm_up": 3}, "30 <= warm_up")],
)
def test_what_cannot_be_promised_is_refused(options: dict[str, float], said: str) -> None:
    """A risk that is none, and too few observations for a threshold."""
    with pytest.raises(ValueError, match=said):
        Baselines(**options)  # type: ignore[arg-type]
