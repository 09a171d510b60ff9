"""Which emitter serves a process: asked for, ready for free, or the one that needs nothing."""

import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from capture_tools import producing, run_python

import rnts
from rnts import choice
from rnts.neuron import SilentNeuron
from rnts.producer import Producer


def test_disabled_processes_have_silent_neurons(monkeypatch: pytest.MonkeyPatch) -> None:
    """RNTS_DISABLE=1: nothing is compiled, nothing written, and each call says so."""
    monkeypatch.setenv("RNTS_DISABLE", "1")
    producer = Producer()
    neuron = producer.neuron("n")
    assert type(neuron) is SilentNeuron
    assert producer.attach(jit=True) == "off"
    assert neuron.record(1, queue_depth=math.pi) is False  # type: ignore[arg-type]
    assert neuron.event(rnts.Deactivated("done")) is False
    assert neuron.health(rnts.CRITICAL, "bad") is False
    with neuron.activation():
        pass
    assert os.environ["RNTS_DISABLE"] == "1"


@pytest.mark.parametrize("has_ctypes", [True, False])
def test_silent_neurons_take_whatever_they_are_given(has_ctypes: bool) -> None:
    """By a builtin where ctypes is there; else by Python's function, which knows its arguments."""
    run = run_python(
        f"""
        import sys
        if not {has_ctypes}:
            sys.modules["ctypes"] = None
        import rnts
        assert "rnts.silence" not in sys.modules
        neuron = rnts.neuron("n")
        everything = [1, 2.0, None, "x"] * 4
        for _ in range(100):
            assert neuron.record() is False
            assert neuron.record(*everything) is False
            assert neuron.record(*everything[:14], timestamp_ns=object()) is False
            assert rnts.Neuron.record is not type(neuron).record
            assert neuron.record(queue_depth=neuron) is False
        references = sys.getrefcount(everything[3]), sys.getrefcount(neuron)
        for _ in range(100):
            neuron.record(*everything, timestamp_ns=neuron)
        assert references == (sys.getrefcount(everything[3]), sys.getrefcount(neuron))
        assert "Report what the neuron did" in neuron.record.__doc__
        print(type(neuron.record).__name__)
        """,
        RNTS_DISABLE="1",
    )
    kind = "builtin_function_or_method" if has_ctypes else "method"
    assert (run.stdout, run.stderr) == (f"{kind}\n", "")


@pytest.mark.parametrize("jit", ["0", "1"])
def test_where_nothing_can_be_compiled_python_writes(
    jit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A Python without a GIL, or a Numba that fails, costs speed and nothing else."""

    def fail(attach: Any) -> Any:
        raise RuntimeError("no GIL here")

    monkeypatch.setattr("rnts.producer.make_compiled", fail)
    monkeypatch.setenv("RNTS_JIT", jit)
    with producing() as (producer, _):
        assert producer.attach() == "python"
        assert producer.neuron("n").record(queue_depth=1) is True
    assert ("no GIL here" in caplog.text) == (jit == "1")


def test_the_gil_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it threads would write one lane at once."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(RuntimeError, match="GIL"):
        choice.make_compiled(lambda records: None)


@pytest.mark.parametrize("has_numba", [False, True])
def test_numba_is_not_loaded_unasked(has_numba: bool, runtime_folder: Path) -> None:
    """A program that has no Numba keeps without; one that has it gets the compiled emitter."""
    code = """
        import sys
        if sys.argv[1] == "True":
            import numba
        import rnts
        rnts.neuron("n").record(queue_depth=1)
        print(rnts.attach(), "numba" in sys.modules)
    """
    result = run_python(code, str(has_numba), RNTS_JIT="")
    said = ["compiled", "True"] if has_numba else ["python", "False"]
    assert result.stdout.split() == said, result.stderr
