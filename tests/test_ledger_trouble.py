"""A running aggregator whose ledger cannot be written: it counts on, says so, and recovers."""

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from command_tools import here
from process_tools import Document, accounting, audit, program, road, running, snapshot, until

from rnts.doctor_road import road as road_of_doctor
from rnts.ledger_conditions import CONDITIONS

# Root may write anywhere; without this capability permissions hold for root as for everybody.
_DROP_CAPABILITY, _DAC_OVERRIDE = 24, 1
_BECOME = (
    f"import ctypes, os, sys; ctypes.CDLL(None).prctl({_DROP_CAPABILITY}, {_DAC_OVERRIDE}, 0, 0, 0)"
    "; os.execv(sys.argv[1], sys.argv[1:])"
)
AS_ANYBODY = (sys.executable, "-c", _BECOME)


def ledger() -> Document:
    """What the snapshot says of the ledger, once somebody answers."""
    found: Document = until(lambda: snapshot().get("aggregator", {}).get("ledger"))
    return found


@contextmanager
def no_room_for(pid: int) -> Iterator[None]:
    """No file of a process may grow while the block lasts, as on a full disk."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_without_room_it_counts_on_and_recovers(runtime_folder: Path) -> None:
    """Windows close, nothing is committed, all views say why; with room all of it is written."""
    with road() as processes, program() as producer:
        neuron = producer.neuron("counted")
        for i in range(300):
            neuron.record(activation_count=i)
        until(lambda: ledger()["records"] > 2)
        assert next(road_of_doctor()).verdict == "ok"
        with no_room_for(processes["aggregate"].pid):
            until(lambda: ledger()["condition"] == "limited")
            for i in range(300, 500):
                neuron.record(activation_count=i)
            until(lambda: accounting().get("aggregated") == 500)
            until(lambda: ledger()["windows_behind"] > 1)
            stuck = ledger()["records"]
            found, status = next(road_of_doctor()), here("status").stdout
            assert (found.check, found.verdict) == ("ledger", "warn")
            assert found.fix == CONDITIONS["limited"]
            assert "the ledger is not written: its process may write no larger files" in status
            assert "ledger limited" in status
            assert ledger()["records"] == stuck
        until(lambda: ledger()["records"] > stuck)
        assert (ledger()["condition"], ledger()["windows_behind"]) == (None, 0)
        code, account = audit()
        assert (code, account["dropped"], account["emitted"]) == (0, {}, 500)
    deep = here("audit", "--deep", "--json")
    (log,) = json.loads(deep.stdout)["logs"]
    assert (deep.returncode, log["problems"]) == (0, [])


def test_a_folder_that_may_not_be_written_costs_nothing_once_it_may(tmp_path: Path) -> None:
    """It counts in memory and says what to do; given the right it asks to be started again.

    The next one begins the ledger, and hears from the agent all that was never committed.
    """
    folder = tmp_path / "closed"
    folder.mkdir(0o500)
    chosen = {"RNTS_AGGREGATOR__LEDGER": str(folder / "ledger.sqlite")}
    with (
        running("aggregate", under=AS_ANYBODY, **chosen) as first,
        running("-q", "agent", "--no-host"),
        program() as producer,
    ):
        neuron = producer.neuron("counted")
        for i in range(300):
            neuron.record(activation_count=i)
        until(lambda: accounting().get("aggregated") == 300)
        assert (ledger()["condition"], ledger()["records"]) == ("readonly", 0)
        assert ledger()["advice"] == CONDITIONS["readonly"]
        folder.chmod(0o700)
        assert first.wait(60) == 1
        assert first.stderr is not None
        said = first.stderr.read()
        assert "until then agents keep what they send" in said
        assert "it can be used again; start anew" in said
        with running("-q", "aggregate", **chosen):
            for i in range(300, 500):
                neuron.record(activation_count=i)
            until(lambda: accounting().get("aggregated") == 500)
            until(lambda: ledger()["records"] > 1)
            code, account = audit()
            assert (code, account["dropped"], account["emitted"]) == (0, {}, 500)
