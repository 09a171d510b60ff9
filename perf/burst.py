"""What one lane takes: a burst that finds room in it, and a program that reports without a pause.

Without a pause the program and an agent's pass after pass have a core of their own, where there are
two. It does not wait when its lane is full, so what it attempts beyond is dropped and stands beside
as `overload_…`.
"""

import select
import statistics
import time
from typing import Any

from rnts.errors import RntsError
from rnts.perf.drain import Drain
from rnts.perf.processes import Process
from rnts.perf.sandbox import Sandbox, sandbox
from rnts.segment import LANE_SLOTS_DEFAULT

_NEURONS, _SEED = 256, 1
_SECONDS, _REPEATS = 0.5, 7
_SMOKE_SECONDS, _SMOKE_REPEATS = 0.1, 1
_BURSTS, _ANSWER_S = 100, 10.0
# After a pass that brought less, the agent rests, too: each look at a lane takes a piece of memory
# away from the core of the program, and costs the program more than it costs us.
_WORTH_A_PASS = LANE_SLOTS_DEFAULT // 2
_PAUSE_S = 0.0001


def burst(smoke: bool) -> dict[str, Any]:
    """Records a second: of bursts that find room, of all that came through without a pause."""
    seconds, repeats = (_SMOKE_SECONDS, _SMOKE_REPEATS) if smoke else (_SECONDS, _REPEATS)
    carried, offered, lost = [], [], []
    with sandbox() as box:
        producer = box.start("rnts.perf.producer", str(_NEURONS), str(_SEED))
        box.hear(producer)
        drain = Drain()
        drain.empty()
        bursts = [_burst_rate(box, producer, drain) for _ in range(_BURSTS)]
        for _ in range(repeats):
            drained, (attempted, taken, elapsed_ns) = _run(producer, seconds, drain)
            if drained != taken:
                raise RntsError(f"{taken} records were taken, and {drained} came out of the lane")
            carried.append(taken * 1e9 / elapsed_ns)
            offered.append(attempted * 1e9 / elapsed_ns)
            lost.append(attempted - taken)
        if drain.lost() != sum(lost):
            raise RntsError(f"{sum(lost)} records were not taken, {drain.lost()} were counted")
        drain.close()
    return {
        "burst_records_per_second": statistics.median(bursts),
        "flat_out_records_per_second": statistics.median(carried),
        "overload_flat_out_records_per_second": statistics.median(offered),
        "overload_flat_out_lost": sum(lost),
    }


def _burst_rate(box: Sandbox, producer: Process, drain: Drain) -> float:
    """Let the program fill a part of its lane, and then empty it; records a second, by the wall."""
    attempted, taken, elapsed_ns = map(int, box.ask(producer, "0 0.0001\n", _ANSWER_S).split())
    drain.empty()
    if taken < attempted:
        raise RntsError(f"of {attempted} records {attempted - taken} found no room")
    return taken * 1e9 / elapsed_ns


def _run(producer: Process, seconds: float, drain: Drain) -> tuple[int, list[int]]:
    """Drain while the program reports; how many came out, and what it says itself."""
    assert producer.stdin is not None and producer.stdout is not None
    answer = select.poll()
    answer.register(producer.stdout, select.POLLIN)
    producer.stdin.write(f"0 {seconds}\n")
    producer.stdin.flush()
    drained = 0
    while not answer.poll(0):
        count = drain.take()
        drained += count
        if count < _WORTH_A_PASS:
            time.sleep(_PAUSE_S)
    while count := drain.take():
        drained += count
    return drained, [int(word) for word in producer.stdout.readline().split()]
