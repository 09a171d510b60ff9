"""Ticks: numbers and times of a neuron's activations, which agree whoever takes them."""

import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from capture_tools import producing

from rnts.ticks import Tick, new_ticks, ticks_of


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval_s)


@pytest.mark.parametrize("is_locked", [True, False])
def test_a_later_number_has_a_later_time(
    is_locked: bool, hasty_threads: None, size: Callable[[int, int], int]
) -> None:
    """However threads interrupt each other, numbers in order of time are in order."""
    if not is_locked or getattr(sys, "_is_gil_enabled", lambda: True)():
        ticks, count, taken = new_ticks(is_locked), size(20_000, 500_000), []

        def take() -> None:
            own = [next(ticks) for _ in range(count)]
            taken.extend(own)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(number for number, _, _ in taken) == list(range(1, 4 * count + 1))
        taken.sort()
        for clock in (1, 2):
            times = [tick[clock] for tick in taken]
            assert times == sorted(times)


def test_handles_of_a_neuron_have_the_same_ticks() -> None:
    """They are those of the neuron in its producer, and another neuron has its own."""
    with producing() as (producer, _), producing() as (other, _):
        ticks: Iterator[Tick] = ticks_of(producer, 5)
        assert ticks_of(producer, 5) is ticks is producer.neuron("n", neuron_id=5).ticks()
        assert ticks_of(producer, 6) is not ticks
        assert ticks_of(other, 5) is not ticks
