"""The whole road with real processes: one command shows the truth, and deaths are accounted for."""

import json
from pathlib import Path

import pytest
from process_tools import accounting, audit, program, road, run, running, settled, until


def test_up_shows_this_machine_and_leaves_nothing(runtime_folder: Path) -> None:
    """One document, balanced, with this very process in it; no socket and no segment stays."""
    result = run("up", "--for", "3s", "--json")
    document = json.loads(result.stdout)

    assert result.returncode == 0, result.stderr
    assert document["accounting"]["balanced"] is True
    assert document["accounting"]["emitted"] > document["neurons"]["known"] > 0
    assert list(runtime_folder.iterdir()) == []


@pytest.mark.parametrize("victim", ["agent", "aggregate"])
def test_a_killed_process_comes_back_and_the_audit_balances(victim: str) -> None:
    """After kill -9 the next one goes on; the producer's own counters agree with the books."""
    with program() as producer, road() as processes:
        neuron = producer.neuron("worker")
        for i in range(2000):
            assert neuron.record(processing_time_ns=i)
        until(lambda: accounting()["aggregated"] == 2000)
        processes[victim].kill()
        processes[victim].wait()
        for i in range(2000):
            assert neuron.record(processing_time_ns=i)
        with running("-q", victim, *(["--no-host"] if victim == "agent" else [])):
            until(lambda: accounting().get("aggregated", 0) >= 2000)
            until(lambda: (found := audit()) and found[0] == 0 and settled(found[1]) == 4000)
