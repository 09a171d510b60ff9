"""`rnts.instrument`: any of the libraries, as often as one likes, and all of it can be undone."""

import asyncio
import logging
import threading
from asyncio import BaseEventLoop
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from capture_tools import run_python
from trace_tools import Watched

import rnts
from rnts import instrumentation
from rnts.instrument_patch import Patch

PLACES: list[tuple[str, Any, str]] = [
    ("asyncio", BaseEventLoop, "run_forever"),
    ("threading", threading.Thread, "_bootstrap_inner"),
    ("threading", threading, "excepthook"),
    ("multiprocessing", BaseProcess, "start"),
    ("logging", logging.Logger, "callHandlers"),
]


def patched() -> set[str]:
    """Libraries in which something is not as Python made it."""
    return {library for library, owner, name in PLACES if getattr(owner, name) != ORIGINAL[name]}


ORIGINAL = {name: getattr(owner, name) for _, owner, name in PLACES}


@pytest.mark.parametrize("library", instrumentation.LIBRARIES)
def test_one_library_is_instrumented_and_taken_back(process: Watched, library: str) -> None:
    """Only what is named is touched, and `close` leaves it as it was; twice is no mistake."""
    instrumented = rnts.instrument(library)
    assert patched() == {library}
    instrumented.close()
    assert patched() == set()
    instrumented.close()
    assert repr(instrumented) == f"<rnts.Instrumentation of {library} (closed)>"


def test_asking_twice_does_no_harm(process: Watched) -> None:
    """What two ask for is there once, and stays until both have closed."""
    with rnts.instrument("threading", "logging", "threading"):
        once = [getattr(owner, name) for _, owner, name in PLACES]
        with rnts.instrument("threading", log_level=10):
            assert [getattr(owner, name) for _, owner, name in PLACES] == once
        assert patched() == {"threading", "logging"}
        threading.Thread(target=int).start()
    assert patched() == set()
    assert len(process.of("threads")) == 2  # it began and it ended, each told once


@pytest.mark.parametrize(
    ("libraries", "options", "error", "says"),
    [
        ((), {}, ValueError, "any of asyncio, threading, multiprocessing, logging"),
        (("threads",), {}, ValueError, "'threads' cannot be .*; did you mean 'threading'?"),
        (("sockets",), {}, ValueError, "it may be asyncio, threading"),
        ((threading,), {}, TypeError, "is a name, not <module 'threading'"),
        (("asyncio",), {"loop_interval_s": 0}, ValueError, "in 0.001 … 3600, not 0"),
        (("asyncio",), {"loop_interval_s": float("nan")}, ValueError, "not nan"),
        (("asyncio",), {"loop_interval_s": "1"}, TypeError, "number of seconds, not '1'"),
        (("logging",), {"log_level": "LOUD"}, ValueError, "log_level must be one of CRITICAL, "),
        (("logging",), {"log_level": None}, TypeError, "a number or a name of logging"),
    ],
)
def test_misuse_is_told_and_changes_nothing(
    process: Watched,
    libraries: tuple[Any, ...],
    options: dict[str, Any],
    error: type[Exception],
    says: str,
) -> None:
    """A wrong name or option raises with what may be meant, before anything is touched."""
    with pytest.raises(error, match=says):
        rnts.instrument("logging", *libraries, **options) if libraries else rnts.instrument()
    assert patched() == set()


def test_others_may_patch_over_ours(process: Watched) -> None:
    """What someone else put in front of it stays, and ours is without effect from then on."""

    class Library:
        @staticmethod
        def function() -> str:
            return "original"

    def make(original: Callable[[], str], patch: Patch) -> Callable[[], str]:
        return lambda: "ours" if patch.is_on else original()

    patch = Patch(Library, "function", make)
    assert Library.function() == "ours"
    ours = Library.function
    Library.function = lambda: f"theirs, {ours()}"  # type: ignore[method-assign, assignment]
    patch.undo()
    assert Library.function() == "theirs, original"


def test_instrumenting_is_light(runtime_folder: Path) -> None:
    """It starts no thread and makes no segment; `import rnts` loads none of the libraries."""
    run = run_python("""
        import os, sys, threading
        import rnts
        print({"asyncio", "multiprocessing", "logging.handlers"} & set(sys.modules))
        with rnts.instrument("asyncio", "threading", "multiprocessing", "logging"):
            print(threading.active_count(), os.listdir(os.environ["RNTS_RUNTIME_DIR"]))
    """)
    assert run.stdout == "set()\n1 []\n", run.stderr


def test_a_child_after_a_fork_reports_for_itself(runtime_folder: Path) -> None:
    """It goes on being instrumented, with neurons of its own that count from nothing."""
    run = run_python("""
        import os, threading
        from pathlib import Path
        import rnts
        from rnts.local_neuron import local_neuron, program
        from capture_tools import Taker
        rnts.instrument("asyncio", "threading", "multiprocessing", "logging")

        def use():
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
            return local_neuron("threads", program(), "threads").id

        read_end, write_end = os.pipe()
        first = use()
        child = os.fork()
        if not child:
            os.write(write_end, str(use()).encode())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        second = int(os.read(read_end, 100))
        seen = Taker(Path(os.environ["RNTS_RUNTIME_DIR"])).take()
        for neuron in (first, second):
            print(*[list(s.values.values()) for s in seen if s.neuron_id == neuron])
        print(first != second)
    """)
    assert run.stderr == ""
    assert run.stdout == "[1, 2] [1, 1]\n[1, 2] [1, 1]\nTrue\n"


def test_all_at_once_in_one_program(process: Watched) -> None:
    """Threads that run loops that log errors are told by all three."""
    with rnts.instrument("asyncio", "threading", "logging", loop_interval_s=0.001):

        async def main() -> None:
            logging.getLogger("app").error("e")
            while not any(name.startswith("asyncio/") for name, _, _ in made()):
                await asyncio.sleep(0.001)

        thread = threading.Thread(target=lambda: asyncio.run(main()), name="runner")
        thread.start()
        thread.join(60)
    assert {name for name, _, _ in made()} >= {
        "asyncio/runner",
        "logging",
        "threads",
        "threads/runner",
    }


def made() -> list[tuple[str, str, str]]:
    """Names, groups and roles of neurons that this process has made for itself."""
    from rnts import local_neuron

    return list(local_neuron._made)
