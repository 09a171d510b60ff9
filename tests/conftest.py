"""What all tests share: a private runtime folder, the size of a run, settings of hypothesis."""

import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from rnts.warmup import import_kernels, load_kernels, prefer_objects

if TYPE_CHECKING:
    from trace_tools import Watched

# "ready": kernels are run from ready code, as agent and aggregator do; see tests/test_objects.py.
IS_READY = os.environ.get("RNTS_TEST_KERNELS") == "ready"
if IS_READY:
    prefer_objects()

NIGHTLY = os.environ.get("RNTS_TEST_SIZE") == "nightly"

gc.set_threshold(50_000)  # as the processes of RNTS do: see `rnts.__main__`

# No deadline: a shared machine is sometimes slow, and tests do not time.
settings.register_profile("everyday", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("nightly", max_examples=1000, deadline=None)
settings.load_profile("nightly" if NIGHTLY else "everyday")

# Files that take longest, by what each is busy and waits: who begins with them ends on time.
LONG = (
    "test_bench.py", "test_up_processes.py", "test_simulation_seeds_1.py",
    "test_kill_at_every_instruction.py", "test_columns.py", "test_bad_input.py", "test_jit.py",
    "test_simulation_mutants.py", "test_objects.py", "test_writer.py",
    "test_simulation_seeds_2.py", "test_record_processes.py", "test_spool_processes.py",
    "test_watch_processes.py", "test_ledger_processes.py", "test_road_soak.py",
    "test_ledger_trouble.py", "test_alert_process.py", "test_sessions.py",
    "test_settings_mistakes.py", "test_road.py", "test_instrument_multiprocessing.py",
    "test_demo_command.py", "test_sampling.py", "test_ledger_restart.py",
    "test_sampling_processes.py", "test_hostile_program.py", "test_cli.py", "test_alert_up.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; where each process takes the next file, the last one must not be long."""
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONG)))


@pytest.fixture(autouse=True, scope="session")
def frozen_kernels() -> None:
    """Kernels are compiled and take no other types than declared, as in a running process."""
    if IS_READY:
        from rnts.kernels import _jit

        assert _jit.OBJECTS is not None, "there is no ready code"
    else:
        import_kernels()
        load_kernels()
    # Numba, Hypothesis and four thousand tests are a million objects: a second for each search.
    gc.freeze()


@pytest.fixture(autouse=True)
def runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of the test's own; its path is short, as paths of sockets have to be."""
    shared_memory = Path("/dev/shm")
    parent = shared_memory if os.access(shared_memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="rnts-test-", dir=parent))
    monkeypatch.setenv("RNTS_RUNTIME_DIR", str(folder))
    state = Path(f"{folder}-state")  # a ledger outlives the runtime folder, and not the test
    monkeypatch.setenv("RNTS_STATE_DIR", str(state))
    monkeypatch.setenv("RNTS_JIT", "0")  # Numba is loaded here; who tests its emitter says so
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def size() -> Callable[[int, int], int]:
    """`size(everyday, nightly)` is the one of the two that this run asks for."""
    return lambda everyday, nightly: nightly if NIGHTLY else everyday


@pytest.fixture(params=["python", "compiled"])
def emitter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What writes the records of this test: both emitters in turn."""
    monkeypatch.setenv("RNTS_JIT", str(int(request.param == "compiled")))
    return str(request.param)


@pytest.fixture
def process(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Watched"]:
    """This process, with a producer of the test's own."""
    from trace_tools import watched_process  # which loads kernels, of which sort is decided above

    with watched_process(runtime_folder, monkeypatch) as watched:
        yield watched


@pytest.fixture
def played_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Time is what the worlds of the simulation make of it; disks that refuse are not told of."""
    from simulation import stop_time

    stop_time(monkeypatch)
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def clock(process: "Watched", monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock of this process that stands still until the test moves it."""
    from trace_tools import standing_clock

    return standing_clock(monkeypatch)
