"""What expressions take of memory for each neuron, without an aggregator that keeps them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnts.kernels import sliding_state as words
from rnts.reflex.arena import WORD_BYTES
from rnts.reflex.certainty import keys_of
from rnts.reflex.readings import needs_of, tells_worst
from rnts.reflex.store import SERIES_MAX, DistinctKey, SeriesKey

if TYPE_CHECKING:
    from rnts.rules.condition import Condition

# What a neuron may take with all that belongs to it, and what it takes before rules add to that
# (`rnts bench reflex` measures the whole, of a million neurons that say one thing a window).
NEURON_BYTES_MAX, WITHOUT_RULES_BYTES = 1_536, 1_250
RULES_BYTES_MAX = NEURON_BYTES_MAX - WITHOUT_RULES_BYTES
_EXPRESSION_BYTES = WORD_BYTES + 1  # by neuron: what it was found to be, and what was told


def bytes_of(conditions: Sequence["Condition"]) -> int:
    """Bytes a neuron that these take together: what several of them read is kept once."""
    series, _ = _kept_for(conditions)
    expressions = sum(condition.scope == "neuron" for condition in conditions)
    width = sum(key.width for key in series if key.scope == words.NEURON)
    return width * WORD_BYTES + expressions * _EXPRESSION_BYTES


def too_many(conditions: Sequence["Condition"]) -> list[str]:
    """Which limits of an aggregator these pass together, in words."""
    series, distinct = _kept_for(conditions)
    found = (
        (len(series), SERIES_MAX, "series: functions, metrics, windows and scopes that differ"),
        (len(distinct), words.DISTINCT_MAX, "counts of neurons whose windows or scopes differ"),
    )
    return [
        f"{count:,} {what} are more than {most:,}" for count, most, what in found if count > most
    ]


def _kept_for(conditions: Sequence["Condition"]) -> tuple[set[SeriesKey], set[DistinctKey]]:
    """What an aggregator keeps for these."""
    series, distinct = set[SeriesKey](), set[DistinctKey]()
    for condition in conditions:
        for reading in condition.readings:
            for key in needs_of(reading)[1]:
                series.add(key) if isinstance(key, SeriesKey) else distinct.add(key)
        more = (tells_worst(condition), *keys_of(condition))
        series |= {key for key in more if isinstance(key, SeriesKey)}
    return series, distinct
