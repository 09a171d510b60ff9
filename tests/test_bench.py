"""`rnts bench`: every benchmark runs and says what it lost, and two runs compare."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rnts
from rnts.commands import bench
from rnts.errors import RntsError, UsageError
from rnts.perf import codec, figures, ours, peers, pipeline, suite

ROOT = Path(__file__).resolve().parent.parent
INFINITE = float("inf")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `rnts bench ARGUMENTS` as a person would."""
    command = [sys.executable, "-m", "rnts", "bench", *arguments]
    return subprocess.run(command, check=False, capture_output=True, cwd=ROOT, text=True)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """What `rnts bench --smoke --json` prints: one run of all benchmarks for all tests."""
    done = run("--smoke", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_all_benchmarks_run_in_their_small_size(document: dict[str, Any]) -> None:
    """The document has every benchmark, the machine, and what size it was."""
    assert list(document["benchmarks"]) == [benchmark.name for benchmark in suite.BENCHMARKS]
    assert document["version"] == 1
    assert document["smoke"] is True
    assert {"processor", "cores", "python", "numba"} <= document["machine"].keys()


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

    assert losses == {"capture": 0, "drain": 0, "pipeline": 0, "sustained": 0}
    assert found["pipeline"]["balanced"] is found["sustained"]["balanced"] is True


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
    assert found["producers"] == 4
    assert found["agent_core_percent"] > 0
    assert not [figure for figure in found if figure.startswith("lost_")]


def test_the_same_work_has_the_same_hash(document: dict[str, Any]) -> None:
    """A second run, in another process, codes the same records to the same bytes and values."""
    for name, measure in (("encode", codec.encode), ("decode", codec.decode), ("fold", codec.fold)):
        assert measure(True)["hash"] == document["benchmarks"][name]["hash"]


@pytest.mark.parametrize(
    ("name", "towards"),
    [
        ("records_per_second", 1),
        ("balanced", 1),
        ("njit_ns", -1),
        ("latency_ns_p99", -1),
        ("bytes_per_record", -1),
        ("agent_cpu_seconds_per_million", -1),
        ("agent_memory_mib", -1),
        ("core_percent", -1),
        ("lost", -1),
        ("overload_lost", 0),
        ("other_cpu_percent", 0),
        ("lane_slots", 0),
        ("hash", 0),
    ],
)
def test_names_say_which_way_is_better(name: str, towards: int) -> None:
    """The unit decides; circumstances, and what happens beyond the limit, are not judged."""
    assert figures.direction(name) == towards


def documents(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Two documents with one benchmark each."""
    return tuple({"version": 1, "benchmarks": {"one": found}} for found in (before, after))


@pytest.mark.parametrize(
    ("name", "before", "after", "worse_percent"),
    [
        ("call_ns", 100, 120, 20),
        ("call_ns", 100, 80, -20),
        ("records_per_second", 200, 150, 25),
        ("records_per_second", 200, 250, -25),
        ("lost", 0, 3, INFINITE),
        ("lost", 3, 0, -100),
        ("records_per_second", 0, 5, -INFINITE),
        ("balanced", True, False, 100),
        ("call_ns", 0, 0, 0),
    ],
)
def test_change_is_told_in_per_cent(
    name: str, before: float, after: float, worse_percent: float
) -> None:
    """Worse is above 0, whichever way is better; anything against nothing is beyond all limits."""
    (change,) = figures.compare(*documents({name: before}, {name: after}), peers={})

    assert change.worse_percent == worse_percent


def test_only_what_both_runs_have_is_compared() -> None:
    """Figures that are new, gone, absent or no numbers make no change."""
    before = {"a_ns": 1, "gone_ns": 1, "absent_ns": None, "hash": "0"}
    after = {"a_ns": 1, "new_ns": 1, "absent_ns": 2, "hash": "1"}
    changes = figures.compare(*documents(before, after), peers={})

    assert [change.figure for change in changes] == ["a_ns"]
    assert figures.changed_results(*documents(before, after)) == ["one"]


def test_peers_are_shown_and_not_judged() -> None:
    """That another library became slower is told, and is no regression of ours."""
    peers = {"one": frozenset({"peer_ns"})}
    before, after = {"peer_ns": 1, "our_ns": 100}, {"peer_ns": 9, "our_ns": 101}
    changes = figures.compare(*documents(before, after), peers)

    assert [change.is_peer for change in changes] == [True, False]
    assert figures.worst(changes) == pytest.approx(1)
    assert figures.worst([]) == 0


def compared(tmp_path: Path, rate: float, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one benchmark against a former run that drained so many records a second."""
    former = tmp_path / "former.json"
    found = {"drain": {"records_per_second": rate}}
    former.write_text(json.dumps({"version": 1, "smoke": True, "benchmarks": found}))
    return run("drain", "--smoke", "--compare", str(former), *arguments)


def test_exit_code_6_tells_that_something_became_worse(tmp_path: Path) -> None:
    """A loss beyond `--fail-over` is exit code 6, and the document names it."""
    done = compared(tmp_path, 1e15, "--fail-over", "10%", "--json")

    assert done.returncode == 6, done.stderr
    (change,) = json.loads(done.stdout)["changes"]
    assert change["figure"] == "drain.records_per_second"
    assert change["worse_percent"] > 99


def test_better_or_unjudged_is_exit_code_0(tmp_path: Path) -> None:
    """What became better passes any limit; without a limit a loss is only told."""
    better = compared(tmp_path, 1, "--fail-over", "0")
    told = compared(tmp_path, 1e15)

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
    done = run(*arguments)

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
        suite.run(broken, smoke=True)
