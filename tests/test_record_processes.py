"""Real processes are recorded and played back: over restarts, full disks, to other aggregators."""

import itertools
import json
import shutil
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from process_tools import (
    accounting,
    all_alive,
    has_agent,
    program,
    road,
    run,
    running,
    snapshot,
    until,
)
from recording_tools import record_to

from rnts.recordings.reader import Reader


def records_in(path: Path) -> int:
    """Records that a recording has by now; names too, and again with each keyframe asked for."""
    return int(Reader(path).summary()["records"]) if path.exists() and path.stat().st_size else 0


def frames_in(path: Path) -> int:
    """Frames that a recording has by now."""
    return int(Reader(path).summary()["frames"]) if path.exists() and path.stat().st_size else 0


def taps() -> int:
    """How many taps the aggregator has."""
    return int(snapshot().get("aggregator", {}).get("taps", {}).get("open", 0))


def test_what_is_recorded_is_played_back(runtime_folder: Path, tmp_path: Path) -> None:
    """A recorder that comes late has names too, goes on after kill -9 of the aggregator without
    writing anything twice, ends on Ctrl-C, and another aggregator makes the same of it."""
    path, other = tmp_path / "file", f"ipc://{runtime_folder}/other.sock"
    with ExitStack() as stack:
        first = stack.enter_context(running("-q", "aggregate"))
        stack.enter_context(running("-q", "agent", "--no-host"))
        until(lambda: has_agent(snapshot()))
        producer = stack.enter_context(program())
        neuron = producer.neuron("told", group="before")
        neuron.record(activation_count=0)
        until(lambda: accounting().get("aggregated") == 1)
        recorder = stack.enter_context(running("record", str(path), "--json"))
        until(lambda: all_alive([recorder]) and records_in(path))  # the name
        for i in range(1, 400):
            neuron.record(activation_count=i)
        until(lambda: records_in(path) >= 400)
        more = itertools.count(400)
        first.kill()
        first.wait()
        stack.enter_context(running("-q", "aggregate"))
        until(taps)
        until(lambda: accounting().get("aggregated", 0) >= 400)
        # What is folded before the tap has a keyframe again is not in it.
        until(lambda: neuron.record(activation_count=next(more)) or records_in(path) > 410)
        recorder.send_signal(signal.SIGINT)
        said = json.loads(recorder.communicate(timeout=30)[0])
        assert recorder.returncode == 130
        until(lambda: taps() == 0)
        stack.enter_context(
            running(
                "-q", "aggregate", RNTS_AGGREGATOR__BIND=other, RNTS_AGGREGATOR__LEDGER="off",
                RNTS_AGGREGATOR__GRACE_MS="1000",
            )
        )  # fmt: skip
        result = run(
            "replay", str(path), "--speed", "max", "--shift-to-now", "--to", other, "--json"
        )
        played = json.loads(result.stdout)
        account = accounting(other)
        groups = snapshot(other)["groups"]
    summary = Reader(path).summary()
    assert (said["records"], said["problem"], summary["ended"]) == (summary["records"], None, True)
    assert said["frames_lost"].keys() <= {"aggregator_restarted", "repeated", "left_out"}
    assert (result.returncode, played["skipped"]) == (0, {})
    assert summary["records"] - 10 < played["records"] < summary["records"]  # names are no records
    assert (account["balanced"], account["dropped"]) == (True, {})
    assert account["aggregated"] == played["records"]
    assert groups["before"]["neurons"] == 1


def test_a_full_disk_ends_a_recording_cleanly(tmp_path: Path) -> None:
    """What was written before is whole and said, with exit code 1."""
    if not shutil.which("prlimit"):
        pytest.skip("prlimit, which makes a disk full, is not installed")
    path = tmp_path / "file"
    with road(), program() as producer:
        neuron = producer.neuron("told")
        limited = ("prlimit", "--fsize=20000", "--")
        with running("record", str(path), under=limited) as recorder:
            until(lambda: all_alive([recorder]) and frames_in(path))
            for count in range(1_000_000):
                neuron.record(activation_count=count)
                if count % 100 == 0 and recorder.poll() is not None:
                    break
                time.sleep(0.0001)
            said = recorder.communicate()[1]
    assert recorder.returncode == 1
    assert "File too large; what was written before is whole" in said
    reader = Reader(path)
    assert reader.summary()["frames"] > 0
    assert (reader.torn_bytes, reader.damaged_bytes) == (0, 0)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """No aggregator, a file that is there, a speed that is none: exit codes and words."""
    path = tmp_path / "file"
    result = run("record", str(path), "--connect", f"ipc://{tmp_path}/nobody")
    assert (result.returncode, "no aggregator answers" in result.stderr) == (4, True)
    result = run("record", str(path), "--for", "1ms", "--connect", f"ipc://{tmp_path}/nobody")
    assert (result.returncode, "no aggregator answers" in result.stderr) == (4, True)
    assert not path.exists()
    record_to(path, [])
    result = run("record", str(path))
    assert (result.returncode, "--force" in result.stderr) == (2, True)
    result = run("replay", str(path), "--speed", "fast")
    assert (result.returncode, "--speed is a number" in result.stderr) == (2, True)
