"""What neurons say they are, as an aggregator hears it: never imported by programs that report."""

import sys
from typing import NamedTuple

from rnts.records import Records


class Identity(NamedTuple):
    """What a neuron says it is."""

    name: str
    group: str
    role: str
    host: str


def told_identity(records: Records, index: int) -> Identity:
    """What a name record says; strings that it lacks are empty.

    Many neurons share group, role and host, so each of these is kept once.
    """
    name, *shared = [*records.strings(index), "", "", "", ""][:4]
    return Identity(name, *map(sys.intern, shared))
