"""`rnts demo` as a program: how it keeps time, ends, and answers options that make no sense."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_tools import here

from rnts.demo_pace import BURST_NS, LAG_NS_MAX, Pacer

SECOND, STEP_NS = 1_000_000_000, 1_000_000
compiled_only = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"), reason="reports through addresses"
)


def test_pace_follows_the_clock() -> None:
    """As many steps are due as time has passed, in bursts that end soon."""
    pacer = Pacer(0, STEP_NS)
    assert pacer.steps_due(-1) == 0
    assert pacer.steps_due(0) == 1  # the first burst measures what a step costs
    pacer.note(1, 20_000)
    assert pacer.steps_due(STEP_NS - 1) == 0
    assert pacer.steps_due(5 * STEP_NS) == 5
    pacer.note(5, 100_000)
    assert pacer.interval_ns == STEP_NS


def test_pace_keeps_bursts_short() -> None:
    """Where a step takes longer than it stands for, a burst has few of them, but at least one."""
    pacer = Pacer(0, STEP_NS)
    pacer.note(1, 20 * STEP_NS)
    assert pacer.interval_ns == 20 * STEP_NS
    assert pacer.steps_due(SECOND) == BURST_NS // (20 * STEP_NS)
    pacer.note(1, 1_000 * STEP_NS)
    assert pacer.steps_due(2 * SECOND) == 1


def test_pace_forgets_a_dear_first_burst() -> None:
    """A step that took far longer than those that follow does not count for long."""
    pacer = Pacer(0, STEP_NS)
    pacer.note(1, 300 * STEP_NS)
    pacer.note(1, 30 * STEP_NS)
    assert pacer.interval_ns == 30 * STEP_NS
    pacer.note(1, 40 * STEP_NS)
    assert 30 * STEP_NS < pacer.interval_ns < 40 * STEP_NS


def test_pace_slips_when_far_behind() -> None:
    """After a stop the steps of the last moment are caught up on, the others never happen."""
    pacer = Pacer(0, STEP_NS)
    pacer.note(1, 20_000)
    steps = pacer.steps_due(10 * SECOND)
    assert steps == LAG_NS_MAX // STEP_NS + 1
    pacer.note(steps, steps * 20_000)
    assert pacer.steps_due(10 * SECOND) == 0


def command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """`rnts demo` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "rnts", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@compiled_only
def test_command_prints_a_summary() -> None:
    """`--for` ends the demo by itself; `--json` prints one document with all records counted."""
    with command("--neurons", "50", "--for", "300ms", "--json") as process:
        out, err = process.communicate(timeout=120)
    document = json.loads(out)
    records = document["records"]

    assert process.returncode == 0, err
    assert document["version"] == 1
    assert document["neurons"] == 50
    assert document["spikes"] > 0
    assert records["offered"] == records["accepted"] + records["refused"] > 0
    assert sum(document["health"].values()) == 50
    assert "50 neurons" in err


@compiled_only
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_ends_on_signals(runtime_folder: Path, number: signal.Signals) -> None:
    """A signal ends the demo with 128 and its number, the last line said and no segment left.

    Until then it has compiled nothing: `rnts warmup`, here the tests, has done that.
    """
    with command("--neurons", "50", NUMBA_DEBUG_CACHE="1") as process:
        assert process.stderr is not None
        while "synapses" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 128 + number
    assert "data loaded" in out
    assert "data saved" not in out
    assert "records offered" in err
    assert not list(runtime_folder.glob("*.seg"))


@compiled_only
def test_command_works_without_telemetry() -> None:
    """RNTS_DISABLE=1 leaves the network alone and says that nobody hears it."""
    with command("--neurons", "50", "--for", "100ms", "--json", RNTS_DISABLE="1") as process:
        out, err = process.communicate(timeout=120)
    document = json.loads(out)

    assert process.returncode == 0, err
    assert not document["telemetry"]
    assert document["records"]["offered"] == 0
    assert document["spikes"] > 0
    assert "telemetry off" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--for", "10"], "write 10s"),
        (["--at", "3s"], "add --fault"),
        (["--group", "motor"], "add --fault"),
        (["--fault", "strom"], "did you mean storm"),
        (["--neurons", "5"], "10 to 1,000,000"),
    ],
)
def test_command_refuses_nonsense(arguments: list[str], message: str) -> None:
    """Options that make no sense end with exit code 2 and what to write instead."""
    done = here("demo", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
