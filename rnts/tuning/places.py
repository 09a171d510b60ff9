"""Reads and writes the values that steps are about, wherever they are."""

import re
from pathlib import Path
from typing import NamedTuple

from rnts.cpu_list import format_cpus, parse_cpus
from rnts.errors import UsageError
from rnts.tuning.calls import Calls, Coalescing
from rnts.tuning.files import Files
from rnts.tuning.plan import Kind
from rnts.tuning.running import group_nice, read_thread, start_time
from rnts.wish import read_wish, write_wish

# What a place of each kind looks like. A journal is a file of its user, and root may undo it: so it
# cannot have anything else changed than what is tuned.
_THREAD = r"\d+:\d+/\d+:\d+"
_PATTERNS: dict[Kind, str] = {
    "file": r"/proc/sys/net/core/[rw]mem_max"
    r"|/sys/devices/system/cpu/cpufreq/policy\d+/scaling_governor",
    "choice": r"/sys/kernel/mm/transparent_hugepage/(enabled|defrag)",
    "interrupt": r"\d+",
    "cpus": _THREAD,
    "nice": _THREAD,
    "slice_ns": _THREAD,
    "group_nice": r"\d+:\d+",
    "coalescing": r"[^/\s]+",
    "wish": r"[a-z_.]+",
}


class Places(NamedTuple):
    """All places of a machine; `wish` is the file for processes that start."""

    files: Files
    calls: Calls
    wish: Path

    def read(self, kind: Kind, place: str) -> str | None:
        """The present value; None where the place is gone. Raises OSError or ValueError."""
        _check(kind, place)
        if kind == "wish":
            return read_wish(self.wish).get(place, "")
        if kind == "coalescing":
            usecs, is_adaptive = self.calls.coalescing(place)
            return f"rx-usecs {usecs} adaptive-rx {'on' if is_adaptive else 'off'}"
        if kind == "group_nice":
            return self._of_group(place)
        if kind in ("cpus", "nice", "slice_ns"):
            return self._of_thread(kind, place)
        path = f"/proc/irq/{place}/smp_affinity_list" if kind == "interrupt" else place
        text = self.files.text(path)
        if not text:
            return None
        if kind == "choice":
            return text.partition("[")[2].partition("]")[0]
        return _list(text) if kind == "interrupt" else text

    def write(self, kind: Kind, place: str, value: str) -> None:
        """Make it another value. Raises OSError where that is refused, or the place is gone."""
        _check(kind, place)
        if kind == "wish":
            wish = read_wish(self.wish)
            wish.pop(place, None)
            write_wish({**wish, **({place: value} if value else {})}, self.wish)
        elif kind == "coalescing":
            _, usecs, _, adaptive = value.split()
            self.calls.set_coalescing(place, Coalescing(int(usecs), adaptive == "on"))
        elif kind == "group_nice":
            if self._of_group(place) is None:
                raise ProcessLookupError(place)
            self.files.write(f"/proc/{place.partition(':')[0]}/autogroup", value)
        elif kind in ("cpus", "nice", "slice_ns"):
            self._to_thread(kind, place, value)
        elif kind == "interrupt":
            self.files.write(f"/proc/irq/{place}/smp_affinity_list", value)
        else:
            self.files.write(place, value)

    def _of_group(self, place: str) -> str | None:
        number, _, start = place.partition(":")
        if str(start_time(self.files, number)) != start:
            return None
        found = group_nice(self.files, number)
        return None if found is None else str(found)

    def _of_thread(self, kind: Kind, place: str) -> str | None:
        """A thread is told by its numbers and when it began, since numbers are used again."""
        process, _, thread = place.partition("/")
        number, _, start = thread.partition(":")
        folder = f"/proc/{process.partition(':')[0]}/task/{number}"
        found = read_thread(self.files, self.calls, folder)
        if found is None or str(found.start) != start:
            return None
        if kind == "cpus":
            return found.cpus
        if kind == "nice":
            return str(found.nice)
        return None if found.slice_ns is None else str(found.slice_ns)

    def _to_thread(self, kind: Kind, place: str, value: str) -> None:
        if self._of_thread(kind, place) is None:
            raise ProcessLookupError(place)
        number = int(place.partition("/")[2].partition(":")[0])
        if kind == "cpus":
            self.calls.set_cpus(number, parse_cpus(value))
        elif kind == "nice":
            self.calls.set_nice(number, int(value))
        else:
            # As long as our own is as long as the kernel makes them of itself.
            is_own = self.calls.slice_ns(0) == int(value)
            self.calls.set_slice_ns(number, 0 if is_own else int(value))


def _check(kind: Kind, place: str) -> None:
    if not re.fullmatch(_PATTERNS.get(kind, ""), place, re.ASCII):
        raise ValueError(f"{place} is nothing that is tuned")


def _list(text: str) -> str | None:
    try:
        return format_cpus(parse_cpus(text))
    except UsageError:
        return None
