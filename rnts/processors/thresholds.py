"""From a risk to thresholds: how far is too far, for one value and for a sum of many.

`risk` is the probability that an observation of a series in which nothing has happened is taken for
an anomaly. Half of it is given to spikes, half to shifts; both sides of each count.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_OVERSHOOT = 1.166  # of a CUSUM of normal steps, twice 0.583 (Siegmund 1985)
_NORMAL = NormalDist()


def spike_thresholds(risk: float, memory: int) -> NDArray[np.float64]:
    """float64[memory + 1]: by the number of observations learned from, in estimated deviations.

    Student's quantile for a new value, where mean and (population) variance are estimates.
    """
    quantile = _NORMAL.inv_cdf(1 - risk / 4)
    thresholds = np.full(memory + 1, math.inf)
    for count in range(8, memory + 1):
        degrees = count - 1
        of_mean, of_variance = 1 + 1 / count, count / degrees
        thresholds[count] = student(quantile, degrees) * math.sqrt(of_mean * of_variance)
    return thresholds


def student(z: float, degrees: int) -> float:
    """Student's quantile where the normal one is `z`: Cornish and Fisher's expansion.

    Abramowitz and Stegun, 26.7.5; from 30 degrees on within 1 % for z up to 5.5.
    """
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / degrees ** (power + 1) for power, term in enumerate(terms))


def shift_threshold(risk: float, drift: float) -> float:
    """How high a two-sided CUSUM may climb: its mean time to a false alarm is 2 / risk.

    Siegmund's approximation for one side, of which two share the risk, solved by bisection.
    """
    run_length = 4 / risk
    low, high = 0.0, 200.0
    for _ in range(100):
        middle = (low + high) / 2
        climb = 2 * drift * (middle + _OVERSHOOT)
        length = (math.exp(min(climb, 700)) - climb - 1) / (2 * drift * drift)
        low, high = (middle, high) if length < run_length else (low, middle)
    return high


def truncation_correction(guard: float) -> float:
    """What makes good that values beyond the guard do not count for the variance."""
    density = math.exp(-guard * guard / 2) / math.sqrt(2 * math.pi)
    return 1 / (1 - 2 * guard * density / (2 * _NORMAL.cdf(guard) - 1))
