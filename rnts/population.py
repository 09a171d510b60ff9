"""The neurons that the aggregator knows: their rows, names, groups and health."""

import difflib
from collections.abc import Iterable
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from rnts.aligned import aligned_zeros
from rnts.canary_ids import is_canary
from rnts.kernels import neurons as table
from rnts.model import Health, Kind
from rnts.places import OTHER, Places
from rnts.records import RECORDS_MAX, Records
from rnts.row_names import RowNames
from rnts.told_identity import Identity, told_identity

DEFAULT_GROUP, OTHER_GROUP = "default", "other"
NO_HOST, OTHER_HOST = "", "other"  # of neurons that did not say, and of those beyond the limit
HOSTS_MAX = 1_024
_NAME = int(Kind.NAME)
RETIRED_AT_ONCE_MAX = 16_384  # rows that one sweep releases; the next finds the rest
_NEAR_AMONG_MAX = 10_000  # names that are looked at for ones that are like another

assert int(Health.UNKNOWN) == table.HEALTH_UNKNOWN and len(Health) == table.HEALTH_STATES


class Population:
    """At most `max_neurons` neurons in at most `max_groups` groups besides "default" and "other".

    Neurons beyond the limit share row 0, which counts for "other", as do groups beyond theirs; the
    index of "default", and of no host, is 0, as in a row of zeros. Groups and hosts without neurons
    make room for others after a time.
    Names of neurons that are gone are kept as long as there is room, for those that come back and
    for the list of events.
    """

    def __init__(self, max_neurons: int, max_groups: int) -> None:
        cells = 1 << (2 * max_neurons + 1).bit_length()
        groups = max_groups + 2
        self.max_neurons = max_neurons
        self.rows = aligned_zeros(max_neurons + 1, table.ROW_WORDS, np.int64)
        self.rows[table.OVERFLOW_ROW, table.GROUP] = OTHER
        self.health = np.zeros((groups, table.HEALTH_STATES), np.int64)
        self.groups = Places((DEFAULT_GROUP, OTHER_GROUP), groups)
        self.names_refused = 0  # name records of neurons beyond the limit
        self.retired = 0  # neurons whose rows were released
        self.hosts = np.zeros(max_neurons + 1, np.int64)  # of each row
        self.hosts_max = HOSTS_MAX + 2
        self.host_places = Places((NO_HOST, OTHER_HOST), self.hosts_max)
        self.renamed: set[int] = set()  # rows whose neuron said that it is another than it was
        self._identities: dict[int, Identity] = {}
        self.row_names = RowNames(self.rows, self._name_of)
        self._gone: dict[int, None] = {}  # ids in `_identities` without a row, the oldest first
        self._reasons: dict[int, tuple[int, str]] = {}  # row -> (time, reason) of its health
        self._index = np.zeros((cells, 2), np.uint64)
        self._newcomers, self._found = np.zeros((2, RECORDS_MAX), np.int64)
        self._table = np.zeros(table.TABLE_WORDS, np.int64)
        self._retired = np.zeros(RETIRED_AT_ONCE_MAX, np.int64)
        vacant = np.zeros(max_neurons + 1, np.int64)
        self.arrays = (
            self.rows,
            self._index,
            self.health,
            vacant,
            self._newcomers,
            self._table,
        )

    @property
    def known(self) -> int:
        """How many neurons have a row."""
        return int(self._table[table.ROWS_USED] - self._table[table.ROWS_VACANT])

    @property
    def used(self) -> NDArray[np.int64]:
        """The rows that may hold a neuron, without row 0; vacant ones have GROUP == NO_GROUP."""
        return self.rows[1 : self._table[table.ROWS_USED] + 1]

    def take_names(self, records: Records, now_ns: int) -> None:
        """Take in the neurons that name themselves, and their groups."""
        (indices,) = (records.kinds[: records.count] == _NAME).nonzero()
        if indices.size:
            indices = indices[~is_canary(records.ids[indices])]
        if self._gone:
            is_news = [not self._is_told_again(records, index) for index in indices.tolist()]
            indices = indices[np.array(is_news, bool)]
        if indices.size == 0:
            return
        ids = records.ids[indices]
        times_ns = np.minimum(records.times_ns[indices], now_ns)
        found = np.empty(indices.size, np.int64)
        table.take_rows(ids, times_ns, self.arrays, found)
        self.welcome()
        for index, row, neuron_id in zip(
            indices.tolist(), found.tolist(), ids.tolist(), strict=True
        ):
            if row == table.OVERFLOW_ROW:
                self.names_refused += 1
            else:
                self._introduce(row, neuron_id, told_identity(records, index))

    def _is_told_again(self, records: Records, index: int) -> bool:
        """Whether a name is that of a neuron that is gone: agents repeat all that they know."""
        neuron_id = int(records.ids[index])
        is_gone = neuron_id in self._gone
        return is_gone and self._identities[neuron_id] == told_identity(records, index)

    def _introduce(self, row: int, neuron_id: int, identity: Identity) -> None:
        """Remember who has a row; whoever is gone the longest makes room."""
        if self._identities.get(neuron_id) != identity:
            if neuron_id not in self._identities and len(self._identities) >= self.max_neurons:
                oldest = next(iter(self._gone))
                del self._gone[oldest], self._identities[oldest]
            self._identities[neuron_id] = identity
            self.row_names.note(row, neuron_id, identity.name)
            self.renamed.add(row)
        self._gone.pop(neuron_id, None)
        self._place(row, identity)

    def _place(self, row: int, identity: Identity) -> None:
        """Have a neuron count for its group and its host."""
        group = self.groups.take(identity.group or DEFAULT_GROUP)
        if self.rows[row, table.GROUP] != group:
            table.set_group(row, group, self.rows, self.health)
        self.hosts[row] = self.host_places.take(identity.host)

    def bring_back(self, records: Records, earliest_ns: int, latest_ns: int) -> None:
        """Give neurons that were gone a row and their group before records of them are folded.

        What is older or newer is not going to be, and brings nobody back; nor does a name.
        """
        if not self._gone:
            return
        count = table.find_unknown(records.ids, records.count, self._index, self._found)
        unknown = self._found[:count].copy()
        is_gone = [neuron_id in self._gone for neuron_id in records.ids[unknown].tolist()]
        back = unknown[np.array(is_gone, bool)]
        times_ns = records.times_ns[back]
        is_folded = (times_ns >= earliest_ns) & (times_ns <= latest_ns)
        back = back[is_folded & (records.kinds[back] != _NAME)]
        if back.size:
            table.take_rows(records.ids[back], records.times_ns[back], self.arrays, self._found)
            self.welcome()

    def welcome(self) -> None:
        """Give neurons that have come back the groups that they had."""
        count = int(self._table[table.ROWS_NEW])
        self._table[table.ROWS_NEW] = 0
        if not self._gone:
            return
        newcomers = self._newcomers[:count]
        for row, word in zip(
            newcomers.tolist(), self.rows[newcomers, table.ID].tolist(), strict=True
        ):
            neuron_id = word & (2**64 - 1)
            if neuron_id in self._gone:
                del self._gone[neuron_id]
                self._place(row, self._identities[neuron_id])

    def note_reasons(self, records: Records, indices: Iterable[int]) -> None:
        """Remember why neurons are in their states, where they still are."""
        for index in indices:
            row = self.row_of(int(records.ids[index]))
            time_ns = int(records.times_ns[index])
            if row and time_ns >= self.rows[row, table.HEALTH_SINCE]:
                self._reasons[row] = (time_ns, records.strings(index)[0])

    def reason_of(self, row: int) -> str | None:
        """The reason that a neuron gave for its state, if it did."""
        time_ns, reason = self._reasons.get(row, (-1, ""))
        return reason if time_ns >= self.rows[row, table.HEALTH_SINCE] else None

    def retire(self, left_before_ns: int, silent_since_ns: int) -> None:
        """Release rows of neurons that left, or have been silent, longer than that."""
        count = table.retire(self.arrays, left_before_ns, silent_since_ns, self._retired)
        self.retired += count
        self.row_names.forget(self._retired[:count])
        for row in self._retired[:count].tolist():
            self._reasons.pop(row, None)
            self.hosts[row] = 0
            neuron_id = self.id_of(row)
            if neuron_id in self._identities:
                self._gone[neuron_id] = None

    def place_again(self, row: int) -> None:
        """Have the neuron of a row count for its own group and host, if there is room now."""
        identity = self._identities.get(self.id_of(row))
        if identity is not None:
            before = self.rows[row, table.GROUP], self.hosts[row]
            self._place(row, identity)
            if (self.rows[row, table.GROUP], self.hosts[row]) != before:
                self.renamed.add(row)

    def row_of(self, neuron_id: int) -> int:
        """The row of a neuron; 0 if it has none of its own."""
        return int(table.row_of(np.uint64(neuron_id), self._index))

    def id_of(self, row: int) -> int:
        """The id of the neuron of a row."""
        return int(self.rows[row, table.ID]) & (2**64 - 1)

    def group_of(self, row: int) -> str:
        """The name of the group that the neuron of a row counts for."""
        return self.group_names[self.rows[row, table.GROUP]]

    @property
    def group_names(self) -> list[str]:
        """The names of groups by their indices, also of those that have no neuron any more."""
        return self.groups.names

    @property
    def host_names(self) -> list[str]:
        """The same of hosts."""
        return self.host_places.names

    def identity_of(self, neuron_id: int) -> Identity | None:
        """What a neuron said it is; None if it never did, or so long ago that it is forgotten."""
        return self._identities.get(neuron_id)

    def _name_of(self, neuron_id: int) -> str:
        """What a neuron said that it is called; nothing where it did not."""
        identity = self._identities.get(neuron_id)
        return identity.name if identity else ""

    def find(self, wanted: str) -> int:
        """The row of the neuron of a name, or of a decimal id; 0 if there is none."""
        for neuron_id, identity in self._identities.items():
            if identity.name == wanted and (row := self.row_of(neuron_id)):
                return row
        if wanted.isascii() and wanted.isdigit() and int(wanted) < 2**64:
            return self.row_of(int(wanted))
        return 0

    def near(self, wanted: str) -> list[str]:
        """Names of neurons that are much like another name, the likest first."""
        names = (one.name for key, one in self._identities.items() if key not in self._gone)
        return difflib.get_close_matches(wanted, list(islice(names, _NEAR_AMONG_MAX)))
