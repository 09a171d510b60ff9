"""What every long-running process of RNTS does alike: it ends on signals, and with its parent."""

import contextlib
import ctypes
import gc
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from rnts.errors import UsageError
from rnts.notify import Manager
from rnts.runtime import runtime_folder

SUPERVISED = "RNTS_SUPERVISED_BY"  # pid of the supervisor, in the environment of its children
_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK = 1, 29


class Stop(Protocol):
    """What a loop asks whether it is to end; a threading.Event is one, too."""

    def is_set(self) -> bool:
        """Whether to end."""


class StopEvent:
    """Set by SIGTERM and SIGINT; `signal` says by which. A second SIGINT ends the process.

    No threading.Event: its lock may be held by the very thread that a signal interrupts.
    """

    def __init__(self, manager: Manager | None = None) -> None:
        self.signal = 0
        self.manager = manager or Manager({})  # who is told how this process is
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """Readable from the signal on."""
        return self._read_end

    def is_set(self) -> bool:
        """Whether a signal came."""
        return self.signal != 0

    def wait(self, timeout_s: float) -> bool:
        """Sleep until a signal comes, at most `timeout_s`; whether one came."""
        poll = select.poll()  # select() ends at descriptor 1023
        poll.register(self._read_end, select.POLLIN)
        poll.poll(timeout_s * 1000)
        return self.is_set()

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as a shell would say it; 0 without one."""
        return 128 + self.signal if self.signal else 0

    def on_signal(self, number: int, frame: object) -> None:
        """Handle a signal."""
        if number == signal.SIGINT and self.signal == signal.SIGINT:
            os._exit(128 + signal.SIGINT)
        self.signal = number
        with contextlib.suppress(BlockingIOError):
            os.write(self._write_end, b"!")


class HangUp:
    """Set by SIGHUP from now on: somebody wants that settings are read again."""

    def __init__(self) -> None:
        self._has_come = False
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGHUP, self._on_signal)

    def fileno(self) -> int:
        """Readable from the signal until it is taken."""
        return self._read_end

    def take(self) -> bool:
        """Whether the signal came since the last call."""
        if not self._has_come:  # to read nothing costs as much as much else of a turn
            return False
        self._has_come = False
        with contextlib.suppress(BlockingIOError):
            os.read(self._read_end, 4096)
        return True

    def _on_signal(self, number: int, frame: object) -> None:
        self._has_come = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._write_end, b"!")


def stop_event() -> StopEvent:
    """Handle the signals from now on, and end with the supervisor if there is one."""
    event = StopEvent(Manager(os.environ))
    signal.signal(signal.SIGTERM, event.on_signal)
    signal.signal(signal.SIGINT, event.on_signal)
    parent = os.environ.get(SUPERVISED)
    if parent is not None:
        end_with(int(parent), signal.SIGTERM)
    return event


def end_with(parent: int, number: int) -> None:
    """Be sent a signal when the parent ends; or rather the thread of it that started us."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:  # it died before this could be asked for
        sys.exit(128 + number)


def sleep_precisely() -> None:
    """Let sleeps of this thread end when they are due; Linux may add 50 us to each of them."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)


def settle() -> None:
    """Take what is loaded as there to stay: a search for garbage in it would halt us for 25 ms."""
    gc.freeze()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Search for no garbage while this lasts: amid what is told of a storm it halts us for 10 ms.

    What nothing refers to any more is freed all the same; only circles have to wait.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def own_usage() -> dict[str, Any]:
    """What this process says about itself in documents: its pid, CPU time and memory."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "pid": os.getpid(),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "memory_bytes": usage.ru_maxrss * 1024,
    }


def claim_role(role: str, folder: Path | None = None) -> socket.socket:
    """Be the only process of this `role` for a runtime folder, until the socket is closed.

    An abstract socket: the kernel frees it with the process, however that ends. Raises UsageError
    where another process has the role.
    """
    place = folder or Path(runtime_folder())
    guard = socket.socket(socket.AF_UNIX)
    try:
        guard.bind(f"\0rnts-{role}:{str(place)[-80:]}")
    except OSError as error:
        guard.close()
        raise UsageError(f"another {role} of this user works in {place}") from error
    return guard
