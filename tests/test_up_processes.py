"""`rnts up` as a person has it: what dies comes back, faults show, and the end leaves nothing."""

import json
import os
import re
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from process_tools import (
    Document,
    Process,
    accounting,
    all_alive,
    children,
    has_agent,
    is_running,
    program,
    run,
    running,
    segments,
    settled,
    snapshot,
    stalled,
    until,
)

from rnts.model import METRIC_NAMES
from rnts.neuron import Neuron
from rnts.runtime import SOCKET_NAME

END_S = 5  # promised: from Ctrl-C to the end of everything


def wait_up(process: Process, *more: str) -> dict[str, int]:
    """Wait until agent and aggregator have met; the pids of all children."""
    wanted = {"agent", "aggregate", *more}
    return until(lambda: has_agent(snapshot()) and (c := children(process)).keys() >= wanted and c)


def record(neuron: Neuron, before: int, count: int) -> None:
    """Make so many records and wait until all so far have come to their end."""
    assert all(neuron.record(queue_depth=i) for i in range(count))
    until(lambda: settled(accounting()) == before + count)


def kill_and_wait(process: Process, name: str) -> None:
    """Kill a child of an `rnts up` and wait for the next of its name."""
    pid = children(process)[name]
    os.kill(pid, signal.SIGKILL)
    until(lambda: children(process).get(name, pid) != pid)
    until(lambda: has_agent(snapshot()))


def test_what_is_killed_comes_back_and_ctrl_c_ends_it(runtime_folder: Path) -> None:
    """`rnts up` says who died, a second one is refused, the books balance, nothing is left."""
    with program() as producer, running("up", "--no-host", "--json") as process:
        wait_up(process)
        neuron = producer.neuron("worker")
        record(neuron, 0, 1000)
        kill_and_wait(process, "aggregate")
        record(neuron, 1000, 1000)
        kill_and_wait(process, "agent")
        record(neuron, 2000, 1000)
        second = run("up", "--for", "1s")
        pids = wait_up(process)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=END_S)
        left = [path for path in runtime_folder.iterdir() if path not in segments(runtime_folder)]
        own = producer.segment()
        assert own is not None
        assert segments(runtime_folder) == [own.path]
    document = json.loads(output)
    assert process.returncode == 130
    assert document["accounting"]["balanced"] is True
    assert document["accounting"]["emitted"] == settled(document["accounting"]) == 3000
    for name in ("aggregator", "agent"):
        assert f"rnts: {name} died after" in errors
    assert errors.count("(signal 9); restart in 0.1 s") == 2
    assert "Traceback" not in errors
    assert second.returncode == 2
    assert f"another rnts up of this user works in {runtime_folder}" in second.stderr
    assert [pid for pid in pids.values() if is_running(pid)] == []
    assert left == []


def keys_of(value: object) -> set[str]:
    """All keys of a document and of the documents in it."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set(value if isinstance(value, dict) else ()).union(*map(keys_of, parts))


def test_what_processes_say_of_themselves_is_explained(runtime_folder: Path) -> None:
    """The documentation names each key of agents, of their host sources, and of the aggregator."""
    with running("up", "--json") as process:
        until(lambda: has_agent(document := snapshot()) and document["agents"][0]["host_source"])
        document = snapshot()
        process.send_signal(signal.SIGINT)
        process.wait(END_S)
    documentation = Path(__file__).parents[1] / "docs"
    # What happens to connections depends on how busy the machine is; links.md lists all of it.
    text = "".join((documentation / name).read_text() for name in ("snapshot.md", "links.md"))
    (agent,) = document["agents"]
    agent["host_source"]["skipped"] = agent["host_source"]["sweeps_failed"] = {}  # by reasons
    agent["segments_refused"] = document["aggregator"]["refused"] = {}
    assert set(agent.pop("error_max")) <= set(METRIC_NAMES)

    assert {"passes", "silent_ns", "frame_bytes"} <= keys_of([agent, document["aggregator"]])
    assert keys_of([agent, document["aggregator"]]) <= set(re.findall(r"`([a-z_]+)`", text))


def test_a_second_ctrl_c_does_not_wait(runtime_folder: Path) -> None:
    """It ends `rnts up` while a child still holds up the first; the kernel ends the children."""
    with running("up", "--no-host", "--json") as process:
        pids = wait_up(process)
        with stalled(pids["agent"]):
            process.send_signal(signal.SIGINT)
            until(lambda: has_pending(pids["agent"], signal.SIGTERM))
            process.send_signal(signal.SIGINT)
            assert process.wait(END_S) == 130
            assert is_running(pids["agent"])
        until(lambda: not any(map(is_running, pids.values())))
    assert segments(runtime_folder) == []


def has_pending(pid: int, number: signal.Signals) -> bool:
    """Whether a signal waits for a process that is stopped."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = dict(line.split(":", 1) for line in lines)
    return bool(int(masks["ShdPnd"], 16) >> number - 1 & 1)


def test_children_do_not_outlive_a_killed_supervisor(runtime_folder: Path) -> None:
    """After kill -9 of `rnts up` all end by themselves; a segment may stay for the next agent."""
    with running("up", "--no-host", "--demo", "--neurons", "50", "--json") as process:
        pids = wait_up(process, "demo")
        until(lambda: accounting().get("aggregated"))
        process.kill()
        process.wait()
        until(lambda: not any(map(is_running, pids.values())))
    assert sorted(runtime_folder.iterdir()) == segments(runtime_folder)


FAULTS = ("kill", "silence", "storm", "slow")
GROUP, NEURONS, GROUPS = "cortex-1", 200, 10


def is_seen(fault: str, document: Document) -> bool:
    """Whether a fault shows in a snapshot of a population that is at work."""
    groups = document.get("groups", {})
    if not sum(group["active"] for group in groups.values()):
        return False
    if fault == "kill":
        gone = document["events"]["counts"].get("Deactivated")
        return gone == NEURONS // GROUPS and GROUP not in groups
    if GROUP not in groups or document["neurons"]["known"] < NEURONS:
        return False
    hit = groups[GROUP]
    return hit["active"] == 0 if fault == "silence" else hit["health"]["critical"] > 0


def wait_seen(fault: str, process: Process, folder: Path) -> None:
    """Wait until a fault has shown in two windows, so that it is not the begin of the first."""
    windows = set()

    def look() -> bool:
        document = snapshot(f"ipc://{folder}/{SOCKET_NAME}")
        if is_seen(fault, document):
            windows.add(document["window"]["start_ns"])
        return all_alive([process]) and len(windows) > 1

    until(look)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Document]:
    """The last document of an `rnts up` with each fault; side by side, as most of it is waiting."""
    documents = {}
    folders = {fault: tmp_path_factory.mktemp(fault) for fault in FAULTS}
    with ExitStack() as stack:
        processes = {}
        for fault, folder in folders.items():
            words = ("up", "--no-host", "--demo", "--neurons", str(NEURONS), "--fault", fault)
            places = {"RNTS_RUNTIME_DIR": str(folder), "RNTS_STATE_DIR": f"{folder}-state"}
            started = running(*words, "--at", "500ms", "--json", **places)
            processes[fault] = stack.enter_context(started)
        for fault, process in processes.items():
            wait_seen(fault, process, folders[fault])
            process.send_signal(signal.SIGINT)
        for fault, process in processes.items():
            output, errors = process.communicate(timeout=120)
            assert process.returncode == 130, errors
            documents[fault] = json.loads(output)
            assert list(folders[fault].iterdir()) == []
    return documents


def others(document: Document) -> list[Document]:
    """The groups that no fault has come to."""
    return [group for name, group in document["groups"].items() if name != GROUP]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_accounted_for(faulty: dict[str, Document], fault: str) -> None:
    """Whatever breaks, every record is aggregated or dropped under a name."""
    assert faulty[fault]["accounting"]["balanced"] is True
    assert faulty[fault]["accounting"]["aggregated"] > 0


def test_a_killed_group_leaves(faulty: dict[str, Document]) -> None:
    """Its neurons say goodbye and are known no longer; the others stay."""
    document = faulty["kill"]
    assert document["events"]["counts"]["Deactivated"] == NEURONS // GROUPS
    assert document["neurons"]["known"] == NEURONS - NEURONS // GROUPS
    assert GROUP not in document["groups"]
    assert [group["neurons"] for group in others(document)] == [NEURONS // GROUPS] * (GROUPS - 1)


def test_a_silent_group_is_known_but_not_active(faulty: dict[str, Document]) -> None:
    """It has stopped without a word: known as before, with nothing in the window."""
    document = faulty["silence"]
    assert document["neurons"]["known"] == NEURONS
    assert document["groups"][GROUP]["neurons"] == NEURONS // GROUPS
    assert document["groups"][GROUP]["active"] == 0
    assert sum(group["active"] for group in others(document)) > 0


def test_a_storm_has_more_records_than_any_group(faulty: dict[str, Document]) -> None:
    """The group reports far more than the others do, and calls itself critical."""
    document = faulty["storm"]
    storm = document["groups"][GROUP]
    assert storm["records"] > 5 * max(group["records"] for group in others(document))
    assert storm["health"]["critical"] > 0


def test_a_slow_group_takes_longer_and_is_critical(faulty: dict[str, Document]) -> None:
    """Its spikes take longer than those of any other group, and its inputs pile up."""
    document = faulty["slow"]
    slow = document["groups"][GROUP]
    usual = [
        group["metrics"]["processing_time_ns"]["percentiles"]["99"]
        for group in others(document)
        if "processing_time_ns" in group["metrics"]
    ]
    assert slow["health"]["critical"] > 0
    assert slow["metrics"]["processing_time_ns"]["percentiles"]["50"] > max(usual)
