"""How certain the values are that are told: the buckets of percentiles, what sampling leaves open.

It is found for what is told of and when it is told, so evaluating expressions costs nothing more.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.kernels import sampling_errors
from rnts.kernels import sliding_certainty as kernel
from rnts.kernels import sliding_state as words
from rnts.reflex.change import Certainty
from rnts.reflex.readings import IS_COUNTER, needs_of
from rnts.reflex.store import SeriesKey, Store
from rnts.rules.nodes import unscaled
from rnts.rules.vocabulary import quantile_of

if TYPE_CHECKING:
    from rnts.rules.condition import Condition

Certainties = Callable[[Sequence[int]], Sequence[Certainty | None]]  # of entities
_NO_SERIES = -1
_KINDS = {
    words.DURATIONS: kernel.OF_DURATIONS,
    words.HISTOGRAM: kernel.OF_HISTOGRAM,
    words.WEIGHT: kernel.OF_COUNT,
}


class Found(NamedTuple):
    """What an expression is now: values and codes (see `kernels.flips`) by entity.

    certainties: those of the values of entities, or nothing where they have none
    """

    values: NDArray[np.float64]
    codes: NDArray[np.uint8]
    certainties: Certainties


class Certain(NamedTuple):
    """What is kept to tell how certain the value of an expression is; see the kernel for `words`.

    A number of the model times `times` / `per` is in the unit of the value.
    """

    words: NDArray[np.int64]
    percentile: float
    times: float
    per: float
    keys: tuple[SeriesKey, ...]


def keys_of(condition: "Condition") -> tuple[SeriesKey, ...]:
    """The series that tell how certain what is shown is; none where it is not one statistic.

    Those of percentiles and counts of levels. The last may be missing: it is of what is many.
    """
    node, _, _ = unscaled(condition.shown)
    if node.need is None:
        return ()
    reading = condition.reading(node.need)
    _, keys, _ = needs_of(reading)
    found = [key for key in keys if isinstance(key, SeriesKey)]
    is_of_neurons = condition.scope == "neuron"
    if quantile_of(reading.function) is not None:
        found.append(found[0]._replace(statistic=words.EXCESS))
        more = () if is_of_neurons else (found[0]._replace(statistic=words.EXCESSES),)
    elif reading.function == "count" and not IS_COUNTER[reading.metric] and not is_of_neurons:
        found.append(found[0]._replace(statistic=words.EXCESS))
        more = (found[0]._replace(statistic=words.SQUARES),)
    else:
        return ()
    return (*found, *more)


def keep_certain(condition: "Condition", store: Store) -> Certain | None:
    """Keep what an expression needs beside its readings to say how certain it is.

    Where there is no memory for it the expression goes without; without intervals where that is
    all that lacks.
    """
    keys = keys_of(condition)
    kept: list[SeriesKey] = []
    places: list[int] = []
    for key in keys:
        try:
            places.append(store.keep(key))
        except ValueError:
            break
        kept.append(key)
    needed = [key for key in keys if key.statistic != words.EXCESSES]
    if not keys or len(kept) < len(needed):
        for key in kept:
            store.drop(key)
        return None
    node, times, per = unscaled(condition.shown)
    assert node.need is not None
    by_statistic = dict(zip((key.statistic for key in kept), places, strict=True))
    found = [
        _KINDS[kept[0].statistic],
        places[0],
        by_statistic.get(words.MINIMUM, _NO_SERIES),
        by_statistic.get(words.MAXIMUM, _NO_SERIES),
        by_statistic[words.EXCESS],
        by_statistic.get(words.EXCESSES, by_statistic.get(words.SQUARES, _NO_SERIES)),
    ]
    percentile = float(quantile_of(node.need.function) or 0)
    return Certain(np.array(found, np.int64), percentile, times, per, tuple(kept))


def certainties_of(
    certain: Certain, values: NDArray[np.float64], entities: Sequence[int], store: Store
) -> list[Certainty | None]:
    """How certain the values of these entities are, by the panes of now; None of what is none."""
    chosen = np.array(entities, np.int64)
    told = np.empty((chosen.size, kernel.TOLD_WORDS))
    room = (
        np.full(1, certain.percentile), np.empty((2, 1)), np.empty(sampling_errors.words(1)),
    )  # fmt: skip
    of_model = values[chosen] * certain.per / certain.times
    kernel.tell(chosen, of_model, certain.words, store.arrays, room, told)
    is_scaled = list(range(kernel.TOLD_WORDS))
    is_scaled.remove(kernel.EFFECTIVE)
    told[:, is_scaled] *= certain.times
    told[:, is_scaled] /= certain.per
    if (told[:, kernel.EFFECTIVE] < kernel.NOT_KNOWN).any():
        return list(map(_certainty, told.tolist()))
    # Then a lower edge says all of it, and buckets are few: of 10,000 neurons it takes 2 ms, not 9.
    _, firsts, places = np.unique(told[:, kernel.LOWER], return_index=True, return_inverse=True)
    different = [_certainty(row) for row in told[firsts].tolist()]
    return list(map(different.__getitem__, places.tolist()))


def _certainty(told: list[float]) -> Certainty | None:
    """What is told of an entity; None where that is nothing."""
    known = [None if number == kernel.NOT_KNOWN else number for number in told]
    return Certainty(*known) if any(number is not None for number in known) else None


def nothing_certain(entities: Sequence[int]) -> tuple[()]:
    """Of a value that is no one statistic nothing is told."""
    return ()
