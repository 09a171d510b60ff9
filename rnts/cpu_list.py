"""Sets of processors as Linux writes them: `0-3,8`."""

from collections.abc import Iterable

from rnts.errors import UsageError

CPUS_MAX = 8192  # CONFIG_NR_CPUS of the largest kernels


def parse_cpus(text: str) -> frozenset[int]:
    """The processors of a list; empty for an empty text. Raises UsageError where it is no list."""
    cpus: set[int] = set()
    for piece in text.strip().split(","):
        first, is_range, last = piece.strip().partition("-")
        try:
            if piece.strip():
                numbers = range(int(first), int(last if is_range else first) + 1)
                if not 0 <= numbers.start < numbers.stop <= CPUS_MAX:
                    raise ValueError(piece)
                cpus.update(numbers)
        except ValueError as error:
            raise UsageError(f"{text!r} is no list of processors; write 0-3,8") from error
    return frozenset(cpus)


def format_cpus(cpus: Iterable[int]) -> str:
    """The shortest list of these processors, in order."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
