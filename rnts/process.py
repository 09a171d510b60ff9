"""What every long-running process of RNTS does alike: it ends on signals, and with its parent."""

import ctypes
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from rnts.errors import UsageError
from rnts.runtime import runtime_folder

SUPERVISED = "RNTS_SUPERVISED_BY"  # pid of the supervisor, in the environment of its children
_PR_SET_PDEATHSIG = 1


class StopEvent(threading.Event):
    """Set by SIGTERM and SIGINT; `signal` says by which. A second SIGINT ends the process."""

    signal: int = 0

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as a shell would say it; 0 without one."""
        return 128 + self.signal if self.signal else 0

    def on_signal(self, number: int, frame: object) -> None:
        """Handle a signal."""
        if number == signal.SIGINT and self.signal == signal.SIGINT:
            os._exit(130)
        self.signal = number
        self.set()


def stop_event() -> StopEvent:
    """Handle the signals from now on, and end with the supervisor if there is one."""
    event = StopEvent()
    signal.signal(signal.SIGTERM, event.on_signal)
    signal.signal(signal.SIGINT, event.on_signal)
    parent = os.environ.get(SUPERVISED)
    if parent is not None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != int(parent):  # it died before this could be asked for
            sys.exit(128 + signal.SIGTERM)
    return event


def claim_role(role: str, folder: Path | None = None) -> socket.socket:
    """Be the only process of this `role` for a runtime folder, until the socket is closed.

    An abstract socket: the kernel frees it with the process, however that ends. Raises UsageError
    where another process has the role.
    """
    place = folder or runtime_folder()
    guard = socket.socket(socket.AF_UNIX)
    try:
        guard.bind(f"\0rnts-{role}:{str(place)[-80:]}")
    except OSError as error:
        guard.close()
        raise UsageError(f"another {role} of this user works in {place}") from error
    return guard
