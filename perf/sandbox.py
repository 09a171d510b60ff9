"""A place of a benchmark's own: a private runtime folder, and processes that end with it."""

import contextlib
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnts.errors import ConnectError, RntsError
from rnts.process import SUPERVISED
from rnts.query import Client
from rnts.runtime import SHARED_MEMORY

_START_S = 60.0
_POLL_S = 0.01
_LAST_LINES = 5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Sandbox:
    """The folder, and the children that were started in it; made by `sandbox`."""

    def __init__(self, folder: Path, has_sessions: bool = False) -> None:
        self.folder = folder
        self._has_sessions = has_sessions
        self.children: list[subprocess.Popen[str]] = []
        self._killed: set[int] = set()  # pids of children that were to end
        self._settings = folder / "settings.yaml"
        self._settings.touch()

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Start `python -m ARGUMENTS`, with `settings` in its environment, spoken to by pipes."""
        log = self.folder / f"{len(self.children)}.log"
        with log.open("w") as errors:
            child = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=self._has_sessions,
                env={**os.environ, SUPERVISED: str(os.getpid()), **settings},
            )
        self.children.append(child)
        return child

    def start_rnts(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Start `rnts ARGUMENTS` without the settings that a person may have on this machine."""
        return self.start("rnts", "-q", *arguments, "--config", str(self._settings), **settings)

    def wait(self, what: str, is_done: Callable[[], Any]) -> Any:
        """Wait until `is_done` returns something true, and return that.

        Raises RntsError with a child's last words if one has ended, or when it takes too long.
        """
        deadline = time.monotonic() + _START_S
        while not (done := is_done()):
            self.require_alive()
            if time.monotonic() > deadline:
                raise RntsError(f"{what}: not within {_START_S:.0f} s")
            time.sleep(_POLL_S)
        return done

    def require_alive(self) -> None:
        """Raise RntsError with the last words of a child that has ended."""
        for child in self.children:
            if child.poll() is not None and child.pid not in self._killed:
                raise RntsError(self.last_words(child))

    def last_words(self, child: subprocess.Popen[str]) -> str:
        """Which child has ended, how, and what it said last."""
        lines = (self.folder / f"{self.children.index(child)}.log").read_text().splitlines()
        words = "\n".join(lines[-_LAST_LINES:]) or "it said nothing"
        command = " ".join(map(str, child.args[2:]))  # type: ignore[index]
        return f"{command} ended ({child.returncode}): {words}"

    def ask(self, child: subprocess.Popen[str], line: str, timeout_s: float) -> str:
        """Write a line to a child and read its answer, as `hear`."""
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, which `hear` tells
            child.stdin.write(line)
            child.stdin.flush()
        return self.hear(child, timeout_s)

    def hear(self, child: subprocess.Popen[str], timeout_s: float = _START_S) -> str:
        """Read a line from a child that says one at a time.

        Raises RntsError with its last words if there comes none; then it is gone.
        """
        assert child.stdout is not None
        poll = select.poll()
        poll.register(child.stdout, select.POLLIN)
        line = child.stdout.readline() if poll.poll(timeout_s * 1000) else ""
        if not line:
            self.kill(child)
            raise RntsError(self.last_words(child))
        return line

    def kill(self, child: subprocess.Popen[str]) -> None:
        """Kill one child, which then is no failure; it is gone when this returns."""
        self._killed.add(child.pid)
        child.kill()
        child.wait()

    def stop(self) -> None:
        """Kill the children: what they would still deliver is of no use, and takes its time."""
        for child in self.children:
            child.kill()
        for child in self.children:
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()


@contextmanager
def sandbox(has_sessions: bool = False) -> Iterator[Sandbox]:
    """Make this process and its children meet in a folder of their own, gone when the block ends.

    Settings and switches of the environment are left out meanwhile. With `has_sessions` each child
    begins one, as children of `rnts up` do.
    """
    before = dict(os.environ)
    folder = Path(tempfile.mkdtemp(prefix=f"rnts-bench-{os.getpid()}-", dir=SHARED_MEMORY))
    for name in before:
        if name == "RNTS_DISABLE" or (name.startswith("RNTS_") and "__" in name):
            del os.environ[name]
    os.environ["RNTS_RUNTIME_DIR"] = str(folder)
    os.environ["RNTS_STATE_DIR"] = str(folder / "state")  # spools go with the sandbox
    box = Sandbox(folder, has_sessions)
    try:
        yield box
    finally:
        box.stop()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def ask_snapshot(client: Client) -> dict[str, Any] | None:
    """The aggregator's snapshot; None while nobody answers."""
    try:
        return client.ask({"type": "snapshot"}, timeout_ms=200)
    except ConnectError:
        return None


def cpu_ns(pid: int) -> int:
    """CPU time that a process has used so far, all its threads together."""
    # The clock of another process, as clock_getcpuclockid(3) makes its number: to the nanosecond
    # where /proc/PID/stat counts ticks of 10 ms.
    return time.clock_gettime_ns((~pid << 3) | 2)


def memory_bytes(pid: int) -> tuple[int, int]:
    """Memory that a process has in RAM: all of it, and what it shares with no file and nobody."""
    with open(f"/proc/{pid}/statm") as file:
        resident, shared = (int(pages) * _PAGE_BYTES for pages in file.read().split()[1:3])
    return resident, resident - shared
