"""The slow twin of an alert's life: what fires after each sample, from the whole history."""

import math
from itertools import pairwise

History = list[tuple[float, int]]  # truth and event time


def held(history: History, truth: float, gap_ns: int) -> tuple[int, int]:
    """Time and samples for which a truth has held at the end of a history."""
    tail: History = []
    for sample in reversed(history):
        if not math.isnan(sample[0]) and sample[0] != truth:
            break
        tail.insert(0, sample)
    time_ns = 0
    for (first, first_ns), (second, second_ns) in pairwise(tail):
        if first == second == truth and second_ns - first_ns <= gap_ns:
            time_ns += second_ns - first_ns
    return time_ns, sum(sample[0] == truth for sample in tail)


def firing(history: History, for_ns: int, keep_ns: int, gap_ns: int) -> list[bool]:
    """Whether the alert fires after each sample."""
    found, is_firing = [], False
    for length in range(1, len(history) + 1):
        so_far = history[:length]
        truth = so_far[-1][0]
        if truth == 1 and not is_firing:
            time_ns, samples = held(so_far, 1, gap_ns)
            is_firing = for_ns == 0 or (time_ns >= for_ns and samples >= 2)
        elif truth == 0 and is_firing:
            time_ns, _ = held(so_far, 0, gap_ns)
            is_firing = time_ns < keep_ns
        found.append(is_firing)
    return found
