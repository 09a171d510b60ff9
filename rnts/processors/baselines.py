"""The baselines of many series, and what stands out against them: arrays around one kernel."""

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import anomaly as words
from rnts.processors.thresholds import shift_threshold, spike_thresholds, truncation_correction

GUARD = 3.5  # deviations beyond which a value is not learned from
DRIFT = 0.5  # of the CUSUM: half of the shift that it is made for, which is one deviation
WINSOR = 4.0  # the most that one value adds to a CUSUM
CALM_COUNT = 10  # observations in a row after which an anomaly is over
_LEVEL_SHARE = 0.1
_VERSION = 1


class Finding(NamedTuple):
    """What was found in one series; `excess` is 1 at the threshold."""

    series: int
    kind: str  # spike, rise or fall
    value: float
    mean: float
    spread: float
    excess: float


_KINDS = {words.SPIKE: "spike", words.RISE: "rise", words.FALL: "fall"}


class Baselines:
    """`observe` takes one observation of each series; series may be added."""

    def __init__(self, risk: float, warm_up: int = 64, memory: int = 256) -> None:
        """warm_up, memory: observations to learn from before, and to average over later.

        Raises ValueError where a threshold could not be told from these.
        """
        if not 1e-12 <= risk <= 0.1:
            raise ValueError(f"risk is a probability from 1e-12 to 0.1, and not {risk}")
        if not 30 <= warm_up <= memory <= 1_000_000:
            raise ValueError(f"30 <= warm_up <= memory <= 1,000,000, and not {warm_up}, {memory}")
        self.state = np.zeros((0, words.STATE_WORDS))
        self._thresholds = spike_thresholds(risk, memory)
        self._settings = np.zeros(words.SETTING_WORDS)
        self._settings[[words.WARM_UP, words.MEMORY]] = warm_up, memory
        self._settings[[words.GUARD, words.DRIFT, words.WINSOR]] = GUARD, DRIFT, WINSOR
        self._settings[words.SHIFT] = shift_threshold(risk, DRIFT)
        self._settings[words.CORRECTION] = truncation_correction(GUARD)
        self._settings[[words.CALM_COUNT, words.ADOPT_COUNT]] = CALM_COUNT, memory
        self._settings[words.LEVEL_SHARE] = _LEVEL_SHARE
        self._found = np.zeros((0, words.FOUND_WORDS))

    def reserve(self, series: int) -> None:
        """Have a baseline for so many series; new ones know nothing."""
        missing = series - len(self.state)
        if missing > 0:
            self.state = np.concatenate((self.state, np.zeros((missing, words.STATE_WORDS))))
            self._found = np.zeros((series, words.FOUND_WORDS))

    def observe(self, observed: NDArray[np.float64], floors: NDArray[np.float64]) -> list[Finding]:
        """What stands out among these, float64[series] each; NaN: nothing was observed."""
        self.reserve(len(observed))
        count = words.detect(
            observed, self.state, floors, self._thresholds, self._settings, self._found
        )
        return [
            Finding(int(series), _KINDS[kind], value, mean, spread, excess)
            for series, kind, value, mean, spread, excess in self._found[:count].tolist()
        ]

    @property
    def anomalous(self) -> int:
        """How many series are anomalous at present."""
        return int((self.state[:, words.ANOMALOUS] > 0).sum())

    def pack(self) -> bytes:
        """All that was learned."""
        out = io.BytesIO()
        np.savez(out, version=_VERSION, settings=self._settings, state=self.state)
        return out.getvalue()

    def unpack(self, raw: bytes) -> None:
        """Go on from there; ValueError where it is of other settings, or of another version."""
        try:
            with np.load(io.BytesIO(raw), allow_pickle=False) as found:
                is_ours = int(found["version"]) == _VERSION
                is_ours &= np.array_equal(found["settings"], self._settings)
                state = np.ascontiguousarray(found["state"], np.float64)
        except (OSError, KeyError, ValueError, EOFError) as error:
            raise ValueError(f"no state of baselines: {error}") from error
        if not is_ours or state.ndim != 2 or state.shape[1] != words.STATE_WORDS:
            raise ValueError("a state of baselines of other settings or of another version")
        self.state = state
        self._found = np.zeros((len(state), words.FOUND_WORDS))
