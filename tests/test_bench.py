"""`rnts bench`: every benchmark runs and says what it lost, and two runs compare."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_tools import here
from process_tools import command

import rnts
from rnts.commands import bench
from rnts.errors import RntsError, UsageError
from rnts.kernels import histogram
from rnts.perf import codec, ours, peers, pipeline, sketches, suite
from rnts.perf.goals import GOALS

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `rnts bench --smoke --json` prints: one run of all benchmarks for all tests."""
    state = tmp_path_factory.mktemp("state")
    environment = {**os.environ, "RNTS_STATE_DIR": str(state)}
    words = command("bench", "--smoke", "--json")
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert not list(state.iterdir())  # what the ledgers of benchmarks were in
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_all_benchmarks_run_in_their_small_size(document: dict[str, Any]) -> None:
    """The document has every benchmark, the machine, and what size it was."""
    assert list(document["benchmarks"]) == [benchmark.name for benchmark in suite.BENCHMARKS]
    assert document["version"] == 1
    assert document["smoke"] is True
    assert {"processor", "cores", "python", "numba"} <= document["machine"].keys()


def test_what_is_measured_on_the_wire_arrives(document: dict[str, Any]) -> None:
    """Integers come back as they were, floats within half a step of what is declared."""
    wire = document["benchmarks"]["wire"]
    assert wire["integers_exact"] is True
    assert 0.0 < wire["decoded_error_steps"] <= 0.5 + 1e-9


def is_left_out(benchmark: str, figure: str) -> bool:
    """Whether a figure may be absent: a peer's, or that of a decorator which is not there."""
    is_traced = figure.startswith("trace_ns") and not hasattr(rnts, "trace")
    return figure in suite.PEERS[benchmark] or is_traced


def test_figures_are_flat_and_say_their_unit(document: dict[str, Any]) -> None:
    """Each figure is a value under a plain name; what can be better or worse has a unit in it."""
    for name, found in document["benchmarks"].items():
        for figure, value in found.items():
            assert re.fullmatch(r"[a-z0-9_]+", figure)
            if figure == "hash":
                assert re.fullmatch(r"[0-9a-f]{16}", value)
            elif value is None:
                assert is_left_out(name, figure)
            else:
                assert isinstance(value, int | float)


def test_references_of_ratios_are_measured(document: dict[str, Any]) -> None:
    """Each figure that is said to have a reference is there, and so is its reference."""
    for benchmark in suite.BENCHMARKS:
        measured = document["benchmarks"][benchmark.name].keys()
        assert {*benchmark.references, *benchmark.peers} - measured == set()


def test_nothing_is_lost_in_the_small_size(document: dict[str, Any]) -> None:
    """Losses stand beside what was measured, and there are none; the pipeline's books balance."""
    found = document["benchmarks"]
    losses = {name: figures["lost"] for name, figures in found.items() if "lost" in figures}

    names = ("capture", "drain", "reflex", "pipeline", "delivery", "sustained")
    assert losses == dict.fromkeys(names, 0)
    assert all(found[name]["balanced"] is True for name in ("pipeline", "delivery", "sustained"))


def test_pipeline_says_what_it_is_asked_for(document: dict[str, Any]) -> None:
    """Rate, bytes, latencies and the CPU time of each process are among its figures."""
    found = document["benchmarks"]["pipeline"]

    assert found["records_per_second"] == pytest.approx(pipeline.RATES[0], rel=0.05)
    assert 5 < found["bytes_per_record"] < 200
    assert 0 < found["latency_ns_p50"] <= found["latency_ns_p99"] <= found["latency_ns_p999"]
    for process in ("producer", "agent", "aggregator"):
        assert found[f"{process}_cpu_seconds_per_million"] > 0


def test_capture_says_what_a_call_costs_beside_the_installed_peers(
    document: dict[str, Any],
) -> None:
    """Median and tails of each call are there, ours and those of each library that can be found."""
    found = document["benchmarks"]["capture"]
    ours_there = [figure for figure in ours.FIGURES if not is_left_out("capture", figure)]
    installed = [peer for peer in peers.PEERS.values() if peers.is_installed(peer)]
    for figure in (*ours_there, *(figure for peer in installed for figure in peer.figures)):
        assert 0 <= found[figure] <= found[f"{figure}_p99"] <= found[f"{figure}_p999"]

    assert found["snapshot_python_ns"] > 0
    assert found["multiprocessing_queue_ns"] > 0  # which is everywhere
    assert {"trace_ns", *suite.BY_NAME["capture"].references} <= found.keys()


def test_capture_says_what_a_lane_carries_and_what_a_death_costs(document: dict[str, Any]) -> None:
    """Records came through the lane at their rate, and the segment of the dead was removed."""
    found = document["benchmarks"]["capture"]

    assert found["burst_records_per_second"] > 0
    carried, offered = (f"{way}flat_out_records_per_second" for way in ("", "overload_"))
    assert 0 < found[carried] <= found[offered]
    assert 0 < found["reclaim_ms"] <= found["reclaim_ms_max"]
    assert found["other_lanes_wait_ms"] >= 0
    assert found["import_ms"] > 0


def test_sustained_says_what_it_is_asked_for(document: dict[str, Any]) -> None:
    """The rate that was carried, by how many programs, and what the agent took of a core."""
    found = document["benchmarks"]["sustained"]

    assert found["records_per_second"] == pytest.approx(100_000, rel=0.05)
    assert found["producers"] == 1  # four at full size
    assert found["agent_core_percent"] > 0
    assert not [figure for figure in found if figure.startswith("lost_")]


def test_the_same_work_has_the_same_hash(document: dict[str, Any]) -> None:
    """A second run, in another process, codes the same records to the same bytes and values."""
    for name, measure in (("encode", codec.encode), ("decode", codec.decode), ("fold", codec.fold)):
        assert measure(True)["hash"] == document["benchmarks"][name]["hash"]


def test_delivery_says_what_it_is_asked_for(document: dict[str, Any]) -> None:
    """Rates of links, the cost of durability and a restart, with its way in their order."""
    found = document["benchmarks"]["delivery"]
    rates = ("ipc", "tcp", "curve", "ipc_bare", "tcp_bare")

    assert all(found[f"{link}_mib_per_second"] > 0 for link in rates)
    assert found["durability_cost_percent"] < 100  # below 0 where turns differ by more than it
    way = [f"restart_seconds{part}" for part in ("_until_answer", "_until_hello", "")]
    assert 0 < found[way[0]] <= found[way[1]] <= found[way[2]]
    assert 0 < found["ledger_append_ms_p50"] <= found["ledger_append_ms_p99"]


def test_reflex_says_what_it_is_asked_for(document: dict[str, Any]) -> None:
    """All that has a goal is measured, and sketches that are installed stand beside our histogram.

    What our percentiles are off by is within the error that the histogram promises.
    """
    found = document["benchmarks"]["reflex"]

    assert all(found[figure] >= 0 for figure in GOALS["reflex"])
    bound_percent = 100 * histogram.RELATIVE_ERROR
    assert 0 < found["histogram_error_percent"] <= bound_percent * (1 + 1e-9)
    for name, peer in sketches.PEERS.items():
        is_there = find_spec(peer.module) is not None
        assert (found[f"{name}_insert_ns"] is not None) == is_there
        assert (found[f"{name}_error_percent"] is not None) == is_there


@pytest.fixture
def compared(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """One benchmark against a former run that drained so many records a second.

    What it finds is what it found before.
    """
    found = document["benchmarks"]["drain"]
    monkeypatch.setattr(suite, "run", lambda course, smoke: [found] * len(course))
    former = tmp_path / "former.json"

    def compare(rate: float, *arguments: str) -> subprocess.CompletedProcess[str]:
        before = {"drain": {"records_per_second": rate}}
        former.write_text(json.dumps({"version": 1, "smoke": True, "benchmarks": before}))
        return here("bench", "drain", "--smoke", "--compare", str(former), *arguments)

    return compare


def test_exit_code_6_tells_that_something_became_worse(
    compared: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """A loss beyond `--fail-over` is exit code 6, and the document names it."""
    done = compared(1e15, "--fail-over", "10%", "--json")

    assert done.returncode == 6, done.stderr
    (change,) = json.loads(done.stdout)["changes"]
    assert change["figure"] == "drain.records_per_second"
    assert change["worse_percent"] > 99


def test_better_or_unjudged_is_exit_code_0(
    compared: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """What became better passes any limit; without a limit a loss is only told."""
    better = compared(1, "--fail-over", "0")
    told = compared(1e15)

    assert (better.returncode, told.returncode) == (0, 0), better.stderr + told.stderr
    assert "% worse" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pipelin"], "did you mean pipeline?"),
        (["--fail-over", "ten"], "--fail-over is a percentage"),
        (["--fail-over", "-1"], "--fail-over is a percentage"),
        (["--compare", "/nowhere/at/all"], "--compare /nowhere/at/all"),
        (["--compare", str(ROOT / "pyproject.toml")], "--compare"),
        (["--compare", str(ROOT / "tests" / "data" / "snapshot.json")], "has no benchmarks"),
    ],
)
def test_misuse_is_told_before_anything_runs(arguments: list[str], says: str) -> None:
    """A wrong name, limit or file is exit code 2 with what is wrong, and nothing was measured."""
    done = here("bench", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_sizes_do_not_mix() -> None:
    """A small run cannot be compared with a full one."""
    with pytest.raises(UsageError, match="--smoke size"):
        bench.require_same_size({"smoke": True}, {"smoke": False, "machine": {}})


def test_a_benchmark_that_fails_says_why() -> None:
    """The process's last words are in the error."""
    broken = suite.BENCHMARKS[0]._replace(name="nothing")

    with pytest.raises(RntsError, match=r"benchmark nothing failed[^$]*KeyError: 'nothing'"):
        suite.run([broken], smoke=True)
