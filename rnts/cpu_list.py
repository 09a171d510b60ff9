"""Sets of processors as Linux writes them: `0-3,8`."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from rnts.errors import UsageError

CPUS_MAX = 8192  # CONFIG_NR_CPUS of the largest kernels
_ONLINE = Path("/sys/devices/system/cpu/online")
_PIECE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def parse_cpus(text: str) -> frozenset[int]:
    """The processors of a list; empty for an empty text. Raises UsageError where it is no list."""
    cpus: set[int] = set()
    for piece in text.strip().split(","):
        if not piece.strip():
            continue
        match = _PIECE.fullmatch(piece.strip())
        numbers = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
        if not 0 <= numbers.start < numbers.stop <= CPUS_MAX:
            raise UsageError(f"{text!r} is no list of processors; write 0-3,8")
        cpus.update(numbers)
    return frozenset(cpus)


def online_cpus(path: Path = _ONLINE) -> frozenset[int]:
    """The processors that are on; where that is not told they are counted."""
    try:
        return parse_cpus(path.read_text())
    except (OSError, UsageError):
        return frozenset(range(os.cpu_count() or 1))


def format_cpus(cpus: Iterable[int]) -> str:
    """The shortest list of these processors, in order."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
