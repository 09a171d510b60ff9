"""Times of short calls: contenders take turns, so that what disturbs one disturbs all of them."""

import statistics
import time
from collections.abc import Callable, Mapping

Batch = Callable[[], int]  # does some calls and returns how many


def _nothing() -> None:
    """What happens between two batches unless the caller has something to tidy up."""


def call_times_ns(
    contenders: Mapping[str, Batch], repeats: int, between: Callable[[], None] = _nothing
) -> dict[str, float]:
    """The median CPU time of one call of each contender, over `repeats` batches of each.

    It is the time of this thread alone: what others do on a shared machine meanwhile does not
    count, but for what they do to its caches. The first batch of each warms up and does not count.
    `between` runs after each batch, untimed.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, batch in contenders.items():
            start_ns = time.thread_time_ns()
            calls = batch()
            elapsed_ns = time.thread_time_ns() - start_ns
            if turn > 0:
                times[name].append(elapsed_ns / calls)
            between()
    return {name: statistics.median(values) for name, values in times.items()}
