"""Activations with either emitter: errors go on, objects come and go, misuse harms nobody."""

import asyncio
import gc
import sys
from pathlib import Path
from typing import Any

import pytest
from capture_tools import Taker, producing, read_lane

import rnts


def test_what_ends_an_activation_goes_on(emitter: str, runtime_folder: Path) -> None:
    """It is reported, and an error in it is the program's."""
    with producing() as (producer, _):
        assert producer.attach() == emitter
        neuron = producer.neuron("n")
        with pytest.raises(KeyError), neuron.activation():
            raise KeyError("mine")
        for _ in range(3):
            with neuron.activation() as activation:
                assert isinstance(activation, rnts.Activation)

        async def work() -> None:
            async with neuron.activation():
                await asyncio.sleep(0)

        asyncio.run(work())
        seen = [record.values["activation_count"] for record in Taker(runtime_folder).take()]
    assert seen == [1, 2, 3, 4, 5]


def test_activations_are_objects_like_others(emitter: str) -> None:
    """Each is one of its own, knows its neuron, and is gone when nobody has it any more."""
    with producing(lane_slots=1024) as (producer, _):
        assert producer.attach() == emitter
        neuron = producer.neuron("n")

        def use() -> None:
            with neuron.activation() as first, neuron.activation() as second:
                assert first is not second
            with first, first:  # begun again, and ended twice
                pass
            neuron.activation()

        use()
        gc.collect()
        results = (None, True, False)
        before = sys.getrefcount(neuron), [sys.getrefcount(value) for value in results]
        for _ in range(200):
            use()
        after = sys.getrefcount(neuron), [sys.getrefcount(value) for value in results]
        assert before[0] == after[0]
        assert all(abs(a - b) < 50 for a, b in zip(before[1], after[1], strict=True))
        # By their type: some objects ask others what they are.
        assert not [o for o in gc.get_objects() if issubclass(type(o), rnts.Activation)]


def test_an_activation_that_never_began_is_misuse(emitter: str) -> None:
    """It has no time; that is said, and nothing is counted."""
    with producing() as (producer, segment):
        assert producer.attach() == emitter
        neuron = producer.neuron("n")
        with pytest.raises((AttributeError, TypeError)):
            neuron.activation().__exit__(None, None, None)
        other: Any = object()
        with pytest.raises((AttributeError, TypeError)):
            type(neuron.activation()).__exit__(other, None, None, None)
        assert read_lane(segment).attempts == 0


def test_activations_end_quietly_where_telemetry_has_ended(emitter: str) -> None:
    """What began before a producer was closed is not reported, and raises nothing."""
    with producing() as (producer, segment):
        assert producer.attach() == emitter
        neuron = producer.neuron("n")
        with neuron.activation():
            producer.close(unlink=True)
        with neuron.activation():
            pass
        assert read_lane(segment).attempts <= 1
