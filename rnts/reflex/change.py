"""What standing expressions are found to be: the values that engine, links and alerts exchange."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import NamedTuple, overload

# Pairs in the order of their names: () for all neurons together, else "group", "host" or, for one
# neuron, all three of "group", "host" and "neuron" (its name, or its id in decimal).
Labels = tuple[tuple[str, str], ...]


class Worst(NamedTuple):
    """A neuron that has much of what is seen: `share` is its part of the whole, 0 to 1."""

    neuron: str
    value: float
    share: float


class Certainty(NamedTuple):
    """How certain a value is that is one statistic, in the unit of the value.

    lower, upper:       of a percentile, the edges of its bucket; None where nothing is promised
    effective_samples:  so many independent values would tell as much; None where all were kept
    low, high:          where the statistic of all samples lies 95 % of the time; None where all
                        were kept, or nobody can say
    """

    lower: float | None = None
    upper: float | None = None
    effective_samples: float | None = None
    low: float | None = None
    high: float | None = None


class Change(NamedTuple):
    """What an expression is of one entity now.

    truth:      of a condition 1, 0 or NaN, which is unknown; of a quantity NaN
    value:      of a quantity; of a condition what a notification shows; NaN is unknown
    worst:      of a condition that has become true of several neurons, the worst of them first
    certainty:  of a value that is one statistic
    """

    labels: Labels
    truth: float
    value: float
    worst: tuple[Worst, ...] = ()
    certainty: Certainty | None = None


def text_of(values: Sequence[str]) -> str:
    """A text for the values of an entity's labels: no others have it that have the same names."""
    text = "\0".join(values)
    if text.count("\0") < max(1, len(values)):
        return text
    return "\0" * len(values) + repr(tuple(values))  # one of them has what is between two


class Changes(Sequence[Change]):
    """Changes of entities whose labels have the same names, as columns: a storm has thousands.

    names:        of the labels
    columns:      of each label its values, by entity
    worst:        by the places of the entities that have any
    certainties:  by entity, or nothing where none is told
    """

    __slots__ = (
        "_different", "_entities", "_labels", "certainties", "columns", "names", "truths", "values",
        "worst",
    )  # fmt: skip

    def __init__(
        self,
        names: tuple[str, ...],
        columns: Sequence[Sequence[str]],
        truths: Sequence[float],
        values: Sequence[float],
        worst: Mapping[int, tuple[Worst, ...]],
        certainties: Sequence[Certainty | None] = (),
    ) -> None:
        if certainties and len(certainties) != len(truths):
            raise ValueError("each change has a certainty, or none has")
        if {len(truths)} != {len(values), *map(len, columns)} or len(names) != len(columns):
            raise ValueError("columns of changes have one length, and each label has one")
        self.names, self.columns, self.truths, self.values = names, columns, truths, values
        self.worst, self.certainties = worst, certainties
        self._labels: list[Labels] | None = None
        self._entities: list[str] | None = None
        self._different: frozenset[str] | None = None

    @property
    def labels(self) -> list[Labels]:
        """Those of all entities; made when they are first asked for."""
        if self._labels is None:
            columns = zip(map(repeat, self.names), self.columns, strict=True)
            pairs = [zip(name, column, strict=False) for name, column in columns]
            self._labels = list(zip(*pairs, strict=True)) if pairs else [()] * len(self)
        return self._labels

    def labels_at(self, place: int) -> Labels:
        """Those of one entity."""
        if self._labels is not None:
            return self._labels[place]
        return tuple(zip(self.names, [column[place] for column in self.columns], strict=True))

    @property
    def entities(self) -> list[str]:
        """A text for the labels of each: it says who that is, and sorts as labels do."""
        if self._entities is None:
            rows = zip(*self.columns, strict=True) if self.columns else [()] * len(self)
            is_plain = not any("\0" in "".join(column) for column in self.columns)
            self._entities = list(map("\0".join if is_plain else text_of, rows))
        return self._entities

    @property
    def different(self) -> frozenset[str]:
        """The texts of `entities`, once each."""
        if self._different is None:
            self._different = frozenset(self.entities)
        return self._different

    def __len__(self) -> int:
        return len(self.truths)

    def __iter__(self) -> Iterator[Change]:
        worst = (self.worst.get(place, ()) for place in range(len(self)))
        return map(
            Change, self.labels, self.truths, self.values, worst if self.worst else repeat(()),
            self.certainties or repeat(None),
        )  # fmt: skip

    @overload
    def __getitem__(self, place: int) -> Change: ...
    @overload
    def __getitem__(self, place: slice) -> "Changes": ...
    def __getitem__(self, place: int | slice) -> "Change | Changes":
        if isinstance(place, int):
            place = range(len(self))[place]
            labels = self.labels_at(place)
            worst = self.worst.get(place, ())
            certainty = self.certainties[place] if self.certainties else None
            return Change(labels, self.truths[place], self.values[place], worst, certainty)
        columns = [column[place] for column in self.columns]
        kept = self._worst_at(range(len(self))[place])
        truths, values = self.truths[place], self.values[place]
        return Changes(self.names, columns, truths, values, kept, self.certainties[place])

    def pick(self, places: Sequence[int]) -> "Changes":
        """Those at these places, in the order of the places."""
        columns = [[column[place] for place in places] for column in self.columns]
        truths, values = (
            [column[place] for place in places] for column in (self.truths, self.values)
        )
        certain = [self.certainties[place] for place in places] if self.certainties else ()
        return Changes(self.names, columns, truths, values, self._worst_at(places), certain)

    def labelled(self, labels: list[Labels]) -> "Changes":
        """The same, of which the labels are known already."""
        self._labels = labels
        return self

    def valued(
        self,
        values: Sequence[float],
        truth: float | None = None,
        certainties: Sequence[Certainty | None] = (),
    ) -> "Changes":
        """The same entities with other values, and with a truth for all where one is given."""
        truths = self.truths if truth is None else [truth] * len(self)
        other = Changes(self.names, self.columns, truths, values, {}, certainties)
        other._labels, other._entities = self._labels, self._entities
        other._different = self._different
        return other

    def _worst_at(self, places: Sequence[int]) -> Mapping[int, tuple[Worst, ...]]:
        return self.worst and {
            index: self.worst[each] for index, each in enumerate(places) if each in self.worst
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as of all that is compared by what is in it

    def __repr__(self) -> str:
        return f"Changes({list(self)!r})"


def join_changes(parts: Sequence[Sequence[Change]]) -> Sequence[Change]:
    """All of these, one after the other; as columns where they have the same labels."""
    whole = [part for part in parts if isinstance(part, Changes)]
    if len(parts) == 1:
        return parts[0]
    if len(whole) < len(parts) or len({part.names for part in whole}) != 1:
        return tuple(chain.from_iterable(parts))
    worst, start = {}, 0
    for part in whole:
        worst.update({start + place: each for place, each in part.worst.items()})
        start += len(part)
    stretches = zip(*(part.columns for part in whole), strict=True)
    columns = [list(chain.from_iterable(each)) for each in stretches]
    truths = list(chain.from_iterable(part.truths for part in whole))
    values = list(chain.from_iterable(part.values for part in whole))
    certain: list[Certainty | None] = []
    if any(part.certainties for part in whole):
        certain = [each for part in whole for each in part.certainties or [None] * len(part)]
    return Changes(whole[0].names, columns, truths, values, worst, certain)


class Update(NamedTuple):
    """What is new about one expression since the update before.

    key:      the name that its client gave the expression
    at_ns:    when it was evaluated, in nanoseconds since the epoch, by the aggregator's clock
    is_full:  these are all entities; whoever is not among them is forgotten
    changes:  entities of which something is new; the last of the same labels counts
    gone:     entities that exist no more
    omitted:  entities that were left out since there were more than the client asked for
    """

    key: str
    at_ns: int
    is_full: bool
    changes: Sequence[Change]
    gone: Sequence[Labels]
    omitted: int = 0
