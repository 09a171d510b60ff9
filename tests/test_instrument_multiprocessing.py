"""Instrumented child processes: begin and end are events, a failure is an error that stays."""

import json
from pathlib import Path
from typing import Any

import pytest
from capture_tools import run_python

from rnts.instrument_multiprocessing import Child, reason_of

PROGRAM = """
import json, multiprocessing, os, signal, sys, threading
from pathlib import Path
import rnts
from capture_tools import Taker
from rnts import local_neuron
from trace_tools import log_and_tell, told

def report(method, heard):
    context = multiprocessing.get_context(method)
    names = {}

    def start(name, target, *arguments):
        process = context.Process(target=target, args=arguments, name=name)
        process.start()
        assert not hasattr(process, "_rnts_instrumentation")
        key = f"multiprocessing/{name}", local_neuron.program(), "process"
        names[local_neuron._made[key].id] = name
        return process

    for name, target, argument in (
        ("fine", int, 5), ("exit", sys.exit, 3), ("error", int, "x"),
        ("signal", signal.raise_signal, 9), ("log", log_and_tell, heard),
    ):
        start(name, target, argument).join()
    asked = start("asked", signal.pause)
    asked.terminate()
    asked.join()
    with context.Pool(1) as pool:
        assert pool.map(abs, [-1]) == [1]
    made = local_neuron._made["multiprocessing", local_neuron.program(), "processes"]
    names[made.id] = "all"
    seen = sorted(Taker(Path(os.environ["RNTS_RUNTIME_DIR"])).take(), key=lambda s: s.time_ns)
    told_by = {name: [] for name in names.values()}
    for record in seen:
        if record.neuron_id in names:
            told_by[names[record.neuron_id]].append([told(record), record.strings])
    print(json.dumps([told_by, json.loads(Path(heard, "heard").read_text()),
                      threading.active_count()]))

if __name__ == "__main__":
    rnts.instrument("logging", "multiprocessing")
    report(*sys.argv[1:])
"""


@pytest.fixture(scope="module", params=["fork", "spawn", "forkserver"])
def reported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a program told that started children by one method; what one child told; threads."""
    folder = tmp_path_factory.mktemp("run")
    folder.chmod(0o700)
    heard = folder / "child"
    heard.mkdir(mode=0o700)
    run = run_python(PROGRAM, request.param, str(heard), RNTS_RUNTIME_DIR=str(folder), RNTS_JIT="0")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def without_pid(text: str) -> str:
    """`process 123 …` without the number."""
    return " ".join(word for word in text.split() if not word.isdigit() or len(word) < 2)


def story(told: list[Any]) -> list[Any]:
    """What a child's neuron told, numbers of processes aside."""
    return [
        [seen[0], *map(without_pid, strings)] if isinstance(seen, list) else [seen, *strings]
        for seen, strings in told
    ]


def test_a_child_that_ends_well_leaves(reported: Any) -> None:
    """It begins and it ends, and its number is told."""
    assert story(reported[0]["fine"]) == [
        ["Activated", "process"],
        ["Deactivated", "process ended with exit code 0"],
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("exit", "ended with exit code 3"),
        ("error", "ended with exit code 1"),
        ("signal", "was killed by SIGKILL"),
    ],
)
def test_a_child_that_fails_stays_critical(reported: Any, name: str, reason: str) -> None:
    """Its failure is an event, and its neuron stays among the sick."""
    begun, failed, (sick, (why,)) = reported[0][name]
    assert begun[0][0] == "Activated"
    assert story([failed]) == [["ErrorOccurred", "ChildProcessError", f"process {reason}"]]
    assert sick == {"health": 2}
    assert without_pid(why) == f"process {reason}"


def test_a_child_that_is_asked_to_end_has_not_failed(reported: Any) -> None:
    """`terminate` is how pools end their workers every day."""
    assert story(reported[0]["asked"]) == [
        ["Activated", "process"],
        ["Deactivated", "process was killed by SIGTERM"],
    ]


def test_children_are_counted(reported: Any) -> None:
    """How many were started, and how many of them are not known to have ended."""
    counts = [tuple(seen.values()) for seen, _ in reported[0]["all"]]
    expected = [pair for number in range(1, 8) for pair in ((number, 1), (number, 0))]
    assert counts == expected


def test_a_child_is_instrumented_as_its_parent(reported: Any) -> None:
    """An error that it logs is told by a neuron of its own, whichever way it was started."""
    assert reported[1] == [{"activation_count": 1}, ["ErrorOccurred", ["child", "failed"]]]


def test_no_thread_watches(reported: Any) -> None:
    """A program that forks must not have threads that it does not know of."""
    assert reported[2] == 1


class Popen:
    """A child as the library sees it, of which the test says how it ended."""

    def __init__(self) -> None:
        self.returncode: int | None = None

    def poll(self, flag: int = 0) -> int | None:
        return self.returncode

    def terminate(self) -> None:
        self.returncode = -15

    kill = terminate


def test_the_end_is_told_once() -> None:
    """However often anybody asks; what they are answered is what they always were."""
    popen, ends = Popen(), []
    Child(popen, lambda code, is_asked: ends.append((code, is_asked)))
    assert popen.poll() is None
    popen.returncode = 7
    assert [popen.poll(), popen.poll(1), popen.poll(flag=1)] == [7, 7, 7]
    assert ends == [(7, False)]


def test_being_asked_does_not_excuse_an_exit_code() -> None:
    """Who was asked to end and ends by itself with an error has failed."""
    popen, ends = Popen(), []
    Child(popen, lambda code, is_asked: ends.append((code, is_asked)))
    popen.terminate()
    popen.returncode = 1
    popen.poll()
    assert ends == [(1, False)]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, "ended with exit code 0"),
        (255, "ended with exit code 255"),
        (-9, "was killed by SIGKILL"),
        (-63, "was killed by signal 63"),
    ],
)
def test_an_end_is_told_in_words(code: int, reason: str) -> None:
    """Signals by their names, where they have one."""
    assert reason_of(code) == reason


def test_what_is_closed_says_no_more(runtime_folder: Path) -> None:
    """The end of a child that was seen to begin is not told after `close`."""
    run = run_python("""
        import multiprocessing, os, signal
        from pathlib import Path
        import rnts
        from capture_tools import Taker
        with rnts.instrument("multiprocessing"):
            process = multiprocessing.get_context("fork").Process(target=signal.pause)
            process.start()
        process.kill()
        process.join()
        print(process.exitcode, len(Taker(Path(os.environ["RNTS_RUNTIME_DIR"])).take()))
    """)
    assert run.stdout == "-9 2\n", run.stderr
