"""What the neurons of a test report: read from its file, and turned into records by the moment."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from rnts.durations import parse_duration_ns
from rnts.model import EVENT, FIELD, Field, Kind
from rnts.records import RECORDS_MAX, Records
from rnts.rehearsal.notation import Values, read_series
from rnts.rules.vocabulary import HEALTH, METRIC_NAMES
from rnts.settings_rehearsal import NeuronSeries
from rnts.text import join_strings, name_to_id

ERRORS = "errors"  # as many ErrorOccurred events
KNOWN_SERIES = (*METRIC_NAMES, *HEALTH, ERRORS)
MEMBERS_MAX = 10_000  # neurons of one test
_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")
_ERRORS_AT_ONCE_MAX = 10_000
_TEXT_BYTES_MAX = 1 << 22


class Member(NamedTuple):
    """One neuron: who it is, and what it reports; `series` by field, in the model's unit."""

    name: str
    group: str
    host: str
    comes_ns: int
    leaves_ns: int | None
    series: tuple[tuple[Field | None, Values], ...]  # None: errors


def expand(name: str) -> list[str]:
    """The names that `a{1..3}` stands for; any other stands for itself. Raises ValueError."""
    match = _RANGE.search(name)
    if match is None:
        return [name]
    first, last = int(match[1]), int(match[2])
    if last < first or last - first >= MEMBERS_MAX:
        raise ValueError(f"{match[0]} is no range of 1 to {MEMBERS_MAX:,} numbers")
    before, after = name[: match.start()], name[match.end() :]
    return [f"{before}{number}{after}" for number in range(first, last + 1)]


def field_of(name: str) -> Field | None:
    """The field that a series is reported in; None for errors."""
    if name == ERRORS:
        return None
    return FIELD["health"] if name in HEALTH else METRIC_NAMES[name].field


def read_values(name: str, text: str) -> Values:
    """The values of a series in the unit of the model; raises ValueError."""
    values = read_series(text, is_health=name in HEALTH)
    metric = METRIC_NAMES.get(name)
    if metric is not None:
        values = [None if value is None else value * metric.per / metric.times for value in values]
    is_whole = metric is None or not metric.field.storage.is_float
    told = [value for value in values if value is not None]
    if is_whole and any(value < 0 for value in told):
        raise ValueError(f"{name} is never below 0")
    bits = 64 if metric is None else metric.field.storage.bits
    if is_whole and any(value >= 2.0 ** min(bits, 63) for value in told):
        raise ValueError(f"{name} does not fit into {min(bits, 63)} bits")
    if name == ERRORS and any(value > _ERRORS_AT_ONCE_MAX for value in told):
        raise ValueError(f"a neuron has at most {_ERRORS_AT_ONCE_MAX:,} errors at once")
    return values


def members(neurons: Iterable[NeuronSeries]) -> list[Member]:
    """All neurons of a test, which has been checked."""
    found = []
    for said in neurons:
        series = tuple(
            (field_of(name), read_values(name, text)) for name, text in said.series.items()
        )
        leaves_ns = None if said.leaves is None else parse_duration_ns(said.leaves)
        for name in expand(said.name):
            comes_ns = parse_duration_ns(said.comes)
            found.append(Member(name, said.group, said.host, comes_ns, leaves_ns, series))
    return found


class Script:
    """The records of a test, moment by moment; times are since its beginning."""

    def __init__(self, cast: list[Member], interval_ns: int, epoch_ns: int) -> None:
        self._cast = [(name_to_id(member.name), member) for member in cast]
        self._interval_ns, self._epoch_ns = interval_ns, epoch_ns
        self._to_name: set[int] = set()  # of whom an aggregator has yet to hear again
        self._records = Records.allocate(_TEXT_BYTES_MAX)
        self._text_bytes = 0
        self._at_ns = 0

    def moments(self) -> set[int]:
        """When somebody reports, comes or leaves."""
        found = {0}
        for _, member in self._cast:
            found |= {member.comes_ns} if member.leaves_ns is None else {
                member.comes_ns, member.leaves_ns,
            }  # fmt: skip
        longest = max((len(v) for _, m in self._cast for _, v in m.series), default=0)
        return found | {number * self._interval_ns for number in range(longest)}

    def name_again(self) -> None:
        """Have neurons say who they are once more, each when it next reports something."""
        self._to_name = {neuron_id for neuron_id, _ in self._cast}

    def records(self, at_ns: int) -> Iterator[Records]:
        """What arrives at a moment, in as many batches as it takes."""
        self._at_ns = at_ns
        number, rest = divmod(at_ns, self._interval_ns)
        for neuron_id, member in self._cast:
            if member.comes_ns == at_ns:
                yield from self._introduce(neuron_id, member)
            if rest == 0:
                yield from self._report(neuron_id, member, number)
            if member.leaves_ns == at_ns:
                left = {"event_type": EVENT["Deactivated"].code}
                yield from self._add(neuron_id, Kind.EVENT, left, join_strings("it leaves"))
        yield from self._take()

    def _introduce(self, neuron_id: int, member: Member) -> Iterator[Records]:
        self._to_name.discard(neuron_id)
        text = join_strings(member.name, member.group, "", member.host)
        yield from self._add(neuron_id, Kind.NAME, {}, text)

    def _report(self, neuron_id: int, member: Member, number: int) -> Iterator[Records]:
        """A sample of all metrics that have a value, and an event for each error."""
        values: dict[str, float] = {}
        errors = 0
        for field, series in member.series:
            value = series[number] if number < len(series) else None
            if value is not None and field is None:
                errors = round(value)
            elif value is not None and field is not None:
                values[field.name] = value
        if neuron_id in self._to_name and (values or errors):
            yield from self._introduce(neuron_id, member)
        if values:
            yield from self._add(neuron_id, Kind.SAMPLE, values)
        for _ in range(errors):
            failed = {"event_type": EVENT["ErrorOccurred"].code}
            yield from self._add(neuron_id, Kind.EVENT, failed, join_strings("played", ""))

    def _add(
        self, neuron_id: int, kind: Kind, values: Mapping[str, float], text: bytes = b""
    ) -> Iterator[Records]:
        """Write a record down; what is full goes first."""
        records = self._records
        if records.count == RECORDS_MAX or self._text_bytes + len(text) > records.text.size:
            yield from self._take()
        index = records.count
        records.ids[index] = neuron_id
        records.times_ns[index] = self._epoch_ns + self._at_ns
        records.kinds[index], records.masks[index] = kind, 0
        for name, value in values.items():
            field = FIELD[name]
            records.masks[index] |= field.mask
            bits = np.float64(value).view(np.int64) if field.storage.is_float else round(value)
            records.values[index, field.bit] = bits
        records.text[self._text_bytes : self._text_bytes + len(text)] = np.frombuffer(
            text, np.uint8
        )
        self._text_bytes += len(text)
        records.text_offsets[index + 1] = self._text_bytes
        records.count = index + 1

    def _take(self) -> Iterator[Records]:
        """What was written down; whoever gets it uses it before the next is asked for."""
        if self._records.count:
            yield self._records
        self._records.count = self._text_bytes = 0
