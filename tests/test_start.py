"""What keeps a start short: quick looks until there is something to see, and nothing in the way."""

import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from capture_tools import ROOT, run_python

from rnts.agent import Agent, AgentOptions
from rnts.commands import _live
from rnts.errors import ConnectError
from rnts.notify import Manager
from rnts.process import settle, undisturbed
from rnts.sender import Limits

CHILD = SimpleNamespace(name="aggregator", pid=7)


class Watching:
    """Stands for supervisor, client, screen and stop event of `_watch`; writes down its pauses."""

    failed = None
    children = (CHILD,)
    manager = Manager({})  # there is none

    def __init__(self, known: list[int | None], looks: int) -> None:
        self.pauses_s: list[float] = []
        self._known, self._looks = known, looks

    def check(self) -> None:
        """Nothing dies."""

    def is_set(self) -> bool:
        """Whether there were as many looks as were asked for."""
        return len(self.pauses_s) >= self._looks

    def ask(self, request: dict[str, Any], timeout_ms: int) -> dict[str, Any]:
        """The next answer of the list, again and again the last one; None stands for silence."""
        known = self._known[min(len(self.pauses_s), len(self._known) - 1)]
        if known is None:
            raise ConnectError("nobody is there")
        return {"aggregator": {"pid": CHILD.pid}, "neurons": {"known": known}}

    def wait(self, timeout_s: float) -> bool:
        """Write down how long the pause would be."""
        self.pauses_s.append(timeout_s)
        return False

    def run(self) -> list[float]:
        """All pauses between looks, in seconds."""
        played: Any = self
        _live._watch(played, played, lambda snapshot, supervisor: None, played, None)
        return self.pauses_s


def test_looks_are_quick_until_a_neuron_is_known() -> None:
    """Silence and an empty snapshot are followed by a short pause, data by a usual one."""
    pauses_s = Watching([None, None, 0, 0, 3], looks=6).run()

    assert pauses_s == [_live._FIRST_REFRESH_S] * 4 + [_live._REFRESH_S] * 2


def test_an_empty_population_is_not_looked_at_quickly_for_ever() -> None:
    """Where no program reports anything, the screen comes to its usual pace."""
    pauses_s = Watching([0], looks=100).run()

    assert pauses_s[0] == _live._FIRST_REFRESH_S < pauses_s[-1] == _live._REFRESH_S


def test_an_agent_without_an_aggregator_looks_for_it_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence makes an agent sleep long only when it is connected; before, it may be the first."""
    limits = Limits(retained_bytes_max=1 << 20, timeout_ns=50_000_000, retry_count=1000)
    endpoint = f"ipc://{tmp_path}/a.sock"
    options = AgentOptions(
        endpoints=[endpoint],
        batch_size=100,
        batch_timeout_ns=1_000_000,
        window_ns=1_000_000_000,
        compression="none",
        segments_folder=tmp_path,
        limits=limits,
    )
    agent = Agent(options, dict)
    waits_ns: list[int] = []
    monkeypatch.setattr(
        agent._collector,
        "wait",
        lambda step_ns, timeout_ns, with_bells: waits_ns.append(timeout_ns),
    )
    agent._connect(0)
    try:
        for is_ready in (False, True):
            agent._sender.is_ready = is_ready
            agent._pass(time.monotonic_ns() + is_ready * 10**9)  # far from the last record
        assert agent.summary().startswith("delivers to")
        for second in range(2, 14):  # frames that nobody takes
            agent._pass(time.monotonic_ns() + second * 10**9)
        assert agent.summary().startswith("looks for an aggregator at")
    finally:
        agent._link.close()
        agent._collector.close()

    assert waits_ns[0] < waits_ns[1]


def test_what_is_loaded_is_not_searched_for_garbage() -> None:
    """After the start, objects that are there to stay are out of the collector's sight."""
    try:
        settle()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_nothing_is_searched_for_garbage_amid_what_must_not_wait() -> None:
    """The collector is off meanwhile and on again afterwards, also after an error; where it was off
    before it stays so."""
    with pytest.raises(RuntimeError), undisturbed():
        assert not gc.isenabled()
        with undisturbed():
            pass
        assert not gc.isenabled()
        raise RuntimeError
    assert gc.isenabled()


COMMAND_LINE = """
    import gc, json, sys
    from rnts import __main__

    sys.argv = ["rnts", "--version"]
    try:
        __main__.main()
    except SystemExit:
        pass
    print(json.dumps({"threshold": gc.get_threshold()[0], "enabled": gc.isenabled()}))
"""


def test_searches_for_garbage_are_rare_and_not_off() -> None:
    """A start is not halted by the collector again and again; a long run is still cleaned up."""
    answer = json.loads(run_python(COMMAND_LINE).stdout.splitlines()[-1])

    assert answer["enabled"] and answer["threshold"] > 10_000


LIGHT = """
    import json, sys
    from rnts.warmup import is_warm

    is_warm()
    heavy = {"numpy", "numba", "llvmlite", "importlib.metadata", "tempfile"}
    print(json.dumps(sorted(heavy & set(sys.modules))))
"""


def test_asking_whether_kernels_are_compiled_loads_nothing() -> None:
    """`rnts up` asks on each start; neither Numba nor what reads its version is imported."""
    assert json.loads(run_python(LIGHT).stdout) == []


UNWANTED = {
    "dataclasses", "importlib.metadata", "inspect", "logging", "pathlib", "re", "typing",
    "numpy", "numba",
}  # fmt: skip
DOING = {
    "importing": "",
    "recording": """
neuron = rnts.neuron("worker")
assert neuron.record(queue_depth=1) and neuron.event(rnts.Deactivated(reason="done"))
with neuron.activation():
    assert neuron.link(7).sent()
""",
}


@pytest.mark.parametrize("doing", DOING)
def test_an_application_loads_only_what_reporting_takes(doing: str) -> None:
    """Neither importing rnts nor reporting with it loads what costs milliseconds and is not used.

    Without `site`, which may load some of it for reasons of its own.
    """
    code = f"import sys, rnts\n{DOING[doing]}\nprint(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    loaded = set(ran.stdout.split())

    assert "rnts.producer" in loaded
    assert not loaded & UNWANTED
