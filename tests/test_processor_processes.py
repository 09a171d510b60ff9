"""Real processes of processors: who misbehaves is cut off and counted, and the stream goes on."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from process_tools import is_running, run, until
from recording_tools import batches, entries, frames, name_of, record_to

from rnts.processors import worker as module
from rnts.processors.batch import Batching
from rnts.processors.dispatcher import Dispatcher
from rnts.processors.processing import load_states
from rnts.processors.worker import RAISED_MAX, WAITING_MAX

BUDGET_NS = 300_000_000
TESTS = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processors are found in the folder in which `rnts process` runs."""
    monkeypatch.chdir(TESTS)


@pytest.fixture
def dispatchers() -> Iterator[list[Dispatcher]]:
    """Those whose processes are to end with the test."""
    made: list[Dispatcher] = []
    yield made
    for dispatcher in made:
        dispatcher.end()


def dispatcher_of(made: list[Dispatcher], *names: str) -> Dispatcher:
    """A dispatcher to these, when they are ready."""
    specs: list[tuple[str, dict[str, Any]]] = [(f"odd_processors:{name}", {}) for name in names]
    made.append(Dispatcher(specs, BUDGET_NS))
    made[-1].wait_until_ready(lambda: False)
    return made[-1]


def offer(dispatcher: Dispatcher, count: int) -> list[dict[str, Any]]:
    """Offer so many batches, each when the one before is done with; what was found."""
    found: list[dict[str, Any]] = []
    for _ in range(count):
        dispatcher.offer(Batching().batch([]))
        until(lambda: dispatcher.watch(time.monotonic_ns()) or dispatcher.is_idle())
        found += dispatcher.alerts()
    return found


def test_who_misbehaves_is_cut_off(
    dispatchers: list[Dispatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that raises, one that hangs, one that dies: each ends by its own rule, with its counts,
    while the one beside them sees every batch."""
    monkeypatch.setattr(module, "DEATHS_MAX", 1)
    dispatcher = dispatcher_of(dispatchers, "Raises", "Hangs", "Dies", "Good")
    assert dispatcher.workers[0].name == "good"
    hanging = next(worker for worker in dispatcher.workers if worker.name == "hangs")
    pid = hanging._process.pid
    count = RAISED_MAX + 1
    found = offer(dispatcher, count)
    assert [a["summary"] for a in found if a["processor"] == "good"] == [
        f"{n} 0" for n in range(1, count + 1)
    ]
    documents = {each["name"]: each for each in dispatcher.document()["processors"]}
    assert documents["good"] == {
        "name": "good", "cut_off": None, "batches": count, "records": 0, "alerts_dropped": 0,
    }  # fmt: skip
    assert documents["raises"]["raised"] == RAISED_MAX
    assert "in a row" in documents["raises"]["cut_off"]
    assert (documents["hangs"]["overran"], documents["hangs"]["batches"]) == (1, 1)
    assert documents["hangs"]["batches_cut_off"] == count - 2
    assert documents["hangs"]["cut_off"] == "it took more than its budget of 300 ms"
    assert not is_running(pid)
    assert documents["dies"]["died"] == 2
    assert dispatcher.is_of_use()


def test_who_sleeps_or_cannot_be_made_is_cut_off(dispatchers: list[Dispatcher]) -> None:
    """Waiting is no way around the budget; one that cannot be made says why. Without any that
    works, there is nothing left to do."""
    dispatcher = dispatcher_of(dispatchers, "Sleeps", "Stillborn")
    for _ in range(WAITING_MAX + 5):
        dispatcher.offer(Batching().batch([]))
    until(lambda: dispatcher.watch(time.monotonic_ns()) or not dispatcher.is_of_use())
    documents = {each["name"]: each for each in dispatcher.document()["processors"]}
    assert documents["odd_processors:Stillborn"]["cut_off"] == (
        "it cannot be made: OSError: no model there"
    )
    assert documents["sleeps"]["overran"] == 1
    assert documents["sleeps"]["batches_behind"] >= 4
    dispatcher.end()
    (worker,) = [worker for worker in dispatcher.workers if worker.name == "sleeps"]
    reasons = ("behind", "cut_off", "unprocessed")
    assert sum(worker.counts[f"batches_{why}"] for why in reasons) == WAITING_MAX + 5


def test_a_recording_is_processed(tmp_path: Path) -> None:
    """`rnts process --from` prints each alert as JSON, leaves nothing out, keeps what was learned,
    and ends with 1 where no processor is left."""
    path, state = tmp_path / "file", tmp_path / "state"
    record_to(path, entries(frames([[name_of(1, "one", "left")], *batches(20)])))
    arguments = ("process", "--from", str(path), "--json", "--budget", "5s")
    learning = ("--processor", "anomaly,interval_ms=250,warm_up=30", "--state", str(state))
    result = run(*arguments, "--processor", "odd_processors:Good", *learning)
    *alerts, summary = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0, result.stderr
    assert (summary["records"], summary["frames_skipped"], summary["frames_lost"]) == (60, {}, {})
    assert [each["summary"].split()[1] for each in alerts] == ["0"] + ["3"] * 20
    assert all(each["records"] == 60 and not each["cut_off"] for each in summary["processors"])
    states = json.loads(state.read_text())["states"]
    assert base64.b64decode(states["odd_processors:Good"]) == b"%d" % len(alerts)
    learned = load_states(state)["anomaly,interval_ms=250,warm_up=30"]
    assert learned.startswith(b"RADS")
    result = run(*arguments, "--processor", "odd_processors:Stillborn")
    assert (result.returncode, "no model there" in result.stderr) == (1, True)
