"""Who a neuron is: its id, and the strings that are told of it once."""

import operator
import os
from collections.abc import Iterable, Sequence

from rnts.canary_ids import GROUP, is_canary
from rnts.plain_sampling import IMPORTANCE
from rnts.text import check_string, join_strings, name_to_id

_ID_MAX = (1 << 64) - 1


def identity_of(
    name: str, group: str, role: str, host: str, neuron_id: int | None
) -> tuple[int, bytes]:
    """The id and the strings of one neuron; no host is this one.

    Raises TypeError or ValueError for misuse that no run can mend: an empty or over-long name, an
    id that is not in 1 … 2^64 - 1.
    """
    for what, string in (("name", name), ("group", group), ("role", role), ("host", host)):
        check_string(what, string)
    if not name:
        raise ValueError("the name of a neuron must not be empty")
    chosen = name_to_id(name) if neuron_id is None else _checked_id(neuron_id)
    if is_canary(chosen) and neuron_id is not None and group != GROUP:
        raise ValueError(
            f"neuron_id {chosen} is kept for canaries, which nobody sees; take another"
        )
    return chosen, join_strings(name, group, role, host or _host_name())


def _checked_id(neuron_id: object) -> int:
    """The id that was given, as an int; those of numpy are whole numbers, too."""
    try:
        chosen = operator.index(neuron_id)  # type: ignore[arg-type]
    except TypeError:
        chosen = 0
    if not 0 < chosen <= _ID_MAX:
        raise ValueError(f"neuron_id must be an int in 1 … 2^64 - 1, not {neuron_id!r:.60}")
    return chosen


def class_of(importance: str) -> int:
    """The number of a class of importance; raises ValueError where there is no such class."""
    if importance not in IMPORTANCE:
        raise ValueError(f"importance is {', '.join(IMPORTANCE)}, and not {importance!r:.60}")
    return IMPORTANCE[importance]


def peer_of(peer_id: object) -> int:
    """The id at the other end of a link; TypeError or ValueError where this is none."""
    try:
        found = operator.index(peer_id)  # type: ignore[arg-type]
    except TypeError:
        found = None
    if found is None or isinstance(peer_id, bool):
        raise TypeError(f"a link goes to a neuron or to an id, not to {peer_id!r:.60}")
    if not 0 < found <= _ID_MAX:
        raise ValueError(f"the id of a neuron is in 1 … 2^64 - 1, not {peer_id}")
    return found


def identities_of(
    ids: Iterable[int], names: Sequence[str], group: str | Sequence[str], role: str
) -> dict[int, bytes]:
    """The same for many; `group` is one or one each. What is too long is shortened.

    Raises TypeError or ValueError before any is told.
    """
    groups = [group] * len(names) if isinstance(group, str) else group
    end = join_strings(role, _host_name())
    known = {own_group: join_strings(own_group) + end for own_group in set(groups)}
    named = {
        int(neuron_id): join_strings(name) + known[own_group]
        for neuron_id, name, own_group in zip(ids, names, groups, strict=True)
    }
    for extreme in (min(named, default=1), max(named, default=1)):
        _checked_id(extreme)
    return named


def _host_name() -> str:
    return os.uname().nodename[:255]
