"""Gives back what processes that started after `rnts tune` took for themselves by its wish."""

from rnts.errors import RntsError
from rnts.tuning.journal import Journal
from rnts.tuning.machine import Machine
from rnts.tuning.places import Places
from rnts.tuning.plan import Kind
from rnts.tuning.scheduling_parts import process_place, targets
from rnts.wish import CORES, GROUP_NICE, NICE, SLICE_NS


def give_back(places: Places, machine: Machine, journal: Journal) -> int:
    """Free the threads that hold what was wished for and that no entry tells of; how many values.

    The wish itself is the oldest entry of its part and so undone last: a death in between leaves
    what is needed for doing the rest.
    """
    noted = {(entry.kind, entry.place) for entry in journal.entries.values()}
    wished = {entry.place: entry.ours for entry in journal.entries.values() if entry.kind == "wish"}
    own_ns = str(places.calls.slice_ns(0) or 0)
    # Where it is, the name of the wish, what is there, and what is there without a wish.
    held: list[tuple[Kind, str, str, str, str]] = []
    for process in machine.processes:
        group = str(process.group_nice)
        held.append(("group_nice", process_place(process), GROUP_NICE, group, "0"))
    for target in targets(machine):
        thread, place = target.thread, target.place
        cores = CORES + target.process.role
        held.append(("cpus", place, cores, thread.cpus, machine.allowed))
        held.append(("nice", place, NICE, str(thread.nice), "0"))
        held.append(("slice_ns", place, SLICE_NS, str(thread.slice_ns), own_ns))
    given = 0
    for kind, place, name, present, free in held:
        if wished.get(name) == present and (kind, place) not in noted:
            try:
                places.write(kind, place, free)
                given += 1
            except ProcessLookupError:
                continue  # it has ended, and holds nothing
            except OSError as error:
                raise RntsError(f"{kind} {place} cannot be {free}: {error.strerror}") from error
    return given
