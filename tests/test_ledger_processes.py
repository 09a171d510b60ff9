"""Real aggregators that share a ledger: one is killed, one is stopped in the middle of a commit."""

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

from command_tools import here
from process_tools import accounting, audit, has_agent, program, run, running, snapshot, until

from rnts.ledger_writer import STALL_VARIABLE


def test_a_killed_aggregator_goes_on_where_it_stood(runtime_folder: Path) -> None:
    """After kill -9 the books go on, nothing is lost or counted twice, and the ledger is sound."""
    with ExitStack() as stack:
        first = stack.enter_context(running("-q", "aggregate"))
        stack.enter_context(running("-q", "agent", "--no-host"))
        producer = stack.enter_context(program())
        until(lambda: has_agent(snapshot()))
        neuron = producer.neuron("counted")
        for i in range(500):
            neuron.record(activation_count=i)
        until(lambda: snapshot().get("aggregator", {}).get("ledger", {}).get("records", 0) > 3)
        until(lambda: accounting().get("aggregated") == 500)
        first.kill()
        first.wait()
        for i in range(500, 800):
            neuron.record(activation_count=i)
        stack.enter_context(running("-q", "aggregate"))
        until(lambda: accounting().get("aggregated") == 800)
        until(lambda: (snapshot().get("window") or {}).get("complete"))
        code, found = audit()
        assert (code, found["dropped"], found["emitted"]) == (0, {}, 800)
        assert snapshot()["aggregator"]["ledger"]["epoch"] == 2
    deep = here("audit", "--deep", "--json")
    (log,) = json.loads(deep.stdout)["logs"]
    assert (deep.returncode, log["problems"], log["epochs"]) == (0, [], 2)


def test_a_zombie_is_fenced_by_the_ledger(runtime_folder: Path) -> None:
    """One that was stopped before its append, and replaced, cannot append, says why and ends."""
    stall = runtime_folder.parent / f"{runtime_folder.name}.stall"
    reached = Path(f"{stall}.reached")
    places = [f"ipc://{runtime_folder}/{name}.sock" for name in ("one", "two")]
    shared = {
        "RNTS_AGGREGATOR__LEDGER": f"{os.environ['RNTS_STATE_DIR']}/shared.sqlite",
        "RNTS_TRANSPORT__ENDPOINTS": json.dumps(places),
    }
    with ExitStack() as stack:
        stack.callback(lambda: [path.unlink(missing_ok=True) for path in (stall, reached)])
        own = shared | {"RNTS_AGGREGATOR__BIND": places[0], STALL_VARIABLE: str(stall)}
        zombie = stack.enter_context(running("aggregate", **own))
        stack.enter_context(running("-q", "agent", "--no-host", **shared))
        producer = stack.enter_context(program())
        neuron = producer.neuron("counted")
        until(lambda: has_agent(snapshot(places[0])))
        for i in range(300):
            neuron.record(activation_count=i)
        until(lambda: accounting(places[0]).get("aggregated") == 300)
        stall.touch()
        until(reached.exists)  # it stands before its append
        zombie.send_signal(signal.SIGSTOP)
        heir = shared | {"RNTS_AGGREGATOR__BIND": places[1]}
        stack.enter_context(running("-q", "aggregate", **heir))
        for i in range(300, 500):
            neuron.record(activation_count=i)
        until(lambda: accounting(places[1]).get("aggregated") == 500)
        stall.unlink()
        zombie.send_signal(signal.SIGCONT)
        assert zombie.wait(60) == 5
        assert zombie.stderr is not None
        assert "has taken over the ledger" in zombie.stderr.read()
        code, found = audit("--endpoint", places[1])
        assert (code, found["dropped"], found["emitted"]) == (0, {}, 500)
    deep = run("audit", "--deep", "--ledger", shared["RNTS_AGGREGATOR__LEDGER"])
    assert deep.returncode == 0, deep.stdout
    assert "sound" in deep.stdout
