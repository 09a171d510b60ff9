"""The barrier for processors that do not keep stores in order, taken on one that may well do."""

import threading

import pytest
from capture_tools import Taker, producing

from rnts import fence, writer
from rnts.fence import Fence


@pytest.fixture(autouse=True)
def weak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go the way of processors with weak order."""
    monkeypatch.setattr(fence, "IS_ORDERED", False)
    monkeypatch.setattr(writer, "IS_ORDERED", False)


@pytest.mark.parametrize("is_held", [True, False])
def test_a_fence_works_whatever_an_interrupt_left(is_held: bool) -> None:
    """Whether its lock was left held or free, it neither raises nor waits, and holds it after."""
    made = Fence()
    if is_held:
        made._lock.acquire()
    for _ in range(3):
        made.order_stores()
        assert made._lock.locked()


def test_threads_do_not_share_a_fence() -> None:
    """Records of several threads at once all arrive; a shared lock would be given back twice."""
    count, threads = 2_000, 4
    with producing(lanes=threads, lane_slots=8192) as (producer, segment):
        neuron = producer.neuron("n")
        results: list[bool] = []
        start = threading.Barrier(threads)

        def work() -> None:
            start.wait()
            results.extend([neuron.record(queue_depth=i) for i in range(count)])

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert results.count(True) == count * threads
        assert len(Taker(segment.path.parent).take()) == count * threads
