"""What expressions take of memory for each neuron, without an aggregator that keeps them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnts.kernels import sliding_state as words
from rnts.reflex.arena import WORD_BYTES
from rnts.reflex.certainty import keys_of
from rnts.reflex.readings import SCOPES, needs_of, tells_worst
from rnts.reflex.store import SeriesKey

if TYPE_CHECKING:
    from rnts.rules.condition import Condition

# What a neuron may take with all that belongs to it, and what it takes before rules add to that
# (`rnts bench reflex` measures the whole, of a million neurons that say one thing a window).
NEURON_BYTES_MAX, WITHOUT_RULES_BYTES = 1_536, 1_250
RULES_BYTES_MAX = NEURON_BYTES_MAX - WITHOUT_RULES_BYTES
_EXPRESSION_BYTES = WORD_BYTES + 1  # by neuron: what it was found to be, and what was told


def bytes_of(conditions: Sequence["Condition"]) -> int:
    """Bytes a neuron that these take together: what several of them read is kept once."""
    keys: set[SeriesKey] = set()
    expressions = 0
    for condition in conditions:
        expressions += SCOPES.index(condition.scope) == words.NEURON
        read = [key for reading in condition.readings for key in needs_of(reading)[1]]
        more = (tells_worst(condition), *keys_of(condition))
        keys |= {
            key
            for key in (*read, *more)
            if isinstance(key, SeriesKey) and key.scope == words.NEURON
        }
    return sum(key.width for key in keys) * WORD_BYTES + expressions * _EXPRESSION_BYTES
