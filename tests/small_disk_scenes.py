"""What happens on a file system that is really full; see test_small_disk.py."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from process_tools import (
    accounting,
    audit,
    balanced,
    has_agent,
    program,
    road,
    running,
    settled,
    snapshot,
    stalled,
    until,
)
from test_ledger_trouble import ledger
from test_spool_processes import LITTLE_MEMORY, record

from rnts.ledger_conditions import CONDITIONS
from rnts.spool import RETRY_S


@pytest.fixture
def disk(runtime_folder: Path) -> Iterator[Path]:
    """The state folder as a disk of 8 MB."""
    state = Path(f"{runtime_folder}-state")
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", state], check=True)
    yield state
    subprocess.run(["umount", "--lazy", state], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """No byte more goes onto the disk while the block lasts."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


def test_a_ledger_on_a_full_disk(disk: Path) -> None:
    """The aggregator counts on in memory and says what to do; with room all is written."""
    with road(), program() as producer:
        neuron = producer.neuron("counted")
        for i in range(300):
            neuron.record(activation_count=i)
        until(lambda: ledger()["records"] > 2)
        with full(disk):
            until(lambda: ledger()["condition"] == "full")
            assert ledger()["advice"] == CONDITIONS["full"]
            for i in range(300, 500):
                neuron.record(activation_count=i)
            until(lambda: accounting().get("aggregated") == 500)
            until(lambda: ledger()["windows_behind"] > 1)
            stuck = ledger()["records"]
        until(lambda: ledger()["records"] > stuck and ledger()["condition"] is None)
        code, account = audit()
        assert (code, account["dropped"], account["emitted"]) == (0, {}, 500)


def test_a_spool_on_a_full_disk(disk: Path) -> None:
    """The agent says why it cannot spool; what it lets go of meanwhile is declared, and no more."""
    with program() as producer, ExitStack() as stack:
        aggregator = stack.enter_context(
            running("-q", "aggregate", RNTS_AGGREGATOR__GRACE_MS="60000")
        )
        stack.enter_context(running("-q", "agent", "--no-host", **LITTLE_MEMORY))
        until(lambda: has_agent(snapshot()))
        attempts = record(producer, 1)
        until(lambda: settled(accounting()) == attempts)
        with full(disk), stalled(aggregator.pid):
            attempts += record(producer, 40)
        tried_again_s = time.monotonic() + RETRY_S
        books = balanced(attempts)
        (agent,) = snapshot()["agents"]
        assert agent["spool"]["failures"]["full"] > 0
        lost = books["dropped"].pop("backlog_full")
        assert books["dropped"] == {} and lost > 0
        assert books["aggregated"] == attempts - lost
        until(lambda: time.monotonic() > tried_again_s)  # else the spool still spares the disk
        with stalled(aggregator.pid):
            attempts += record(producer, 8)
        again = balanced(attempts)
        assert again["dropped"] == {"backlog_full": lost}
