"""One expression: what it needs is taken from the store, all or nothing, and given back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnts.reflex import readings
from rnts.reflex.arena import Piece
from rnts.reflex.certainty import Certain, keep_certain
from rnts.reflex.listing import Listing
from rnts.reflex.ranking import Ranking
from rnts.reflex.store import Store

if TYPE_CHECKING:
    from rnts.rules.condition import Condition, Reading


@dataclass
class Standing:
    """An expression under its key: what it reads, what it was found to be, and who is told."""

    key: Any
    condition: "Condition"
    told: Listing | Ranking
    tells_unknown: bool
    sources: "dict[Reading, readings.Source]"
    worst: readings.Worst | None
    certain: Certain | None
    values: Piece
    codes: Piece
    is_new: bool = True  # whether a quantity has changed since it was told


def take_expression(
    key: Any,
    condition: "Condition",
    told: Listing | Ranking,
    tells_unknown: bool,
    store: Store,
) -> Standing:
    """Keep what an expression needs, or nothing; then raises ValueError, with the figures."""
    arena, taken = store.arena, dict[Any, readings.Source]()
    capacity = store.capacity[readings.SCOPES.index(condition.scope)]
    pieces: list[Piece] = []
    try:
        for reading in condition.readings:
            taken[reading] = readings.take(reading, store)
        pieces.append(arena.lend(capacity))
        pieces.append(arena.lend(-(-capacity // 8)))
    except ValueError as error:
        for piece in pieces:
            arena.take_back(piece)
        _drop(taken, store)
        raise ValueError(f"{condition.text}: {error}") from error
    worst = readings.worst_of(condition, store) if isinstance(told, Listing) else None
    certain = keep_certain(condition, store)
    values, codes = pieces
    return Standing(key, condition, told, tells_unknown, taken, worst, certain, values, codes)


def release(standing: Standing, store: Store) -> None:
    """Give back what an expression had."""
    _drop(standing.sources, store)
    for more in (standing.worst, standing.certain):
        for key in more.keys if more else ():
            store.drop(key)
    store.arena.take_back(standing.values)
    store.arena.take_back(standing.codes)


def _drop(sources: "dict[Reading, readings.Source]", store: Store) -> None:
    for source in sources.values():
        for key in source.keys:
            store.drop(key)
