"""What a service manager that waits for word is told, as systemd's sd_notify defines it.

Word is one datagram of lines `NAME=VALUE` to the socket that `NOTIFY_SOCKET` names. Nothing here
raises and nothing waits: what could not be told is counted by its reason, and the caller may try
again.
"""

import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import MutableMapping

_STATUS_CHARACTERS_MAX = 400  # one line of `systemctl status`
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

log = logging.getLogger("rnts")


class Manager:
    """The service manager above this process; where there is none, nobody is told.

    Its variables are taken out of the environment: they are for this process and not for those
    that it starts, whose word would be taken for ours.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        address, period_us, pid = (environment.pop(name, "") for name in _VARIABLES)
        self.untold: Counter[str] = Counter()  # messages that did not go, by reason
        self._address = _socket_address(address)
        self._socket: socket.socket | None = None
        # Who is given another's pid was started by a process that kept the variables.
        is_meant = self.is_there and pid in ("", str(os.getpid()))
        is_asked = is_meant and period_us.isdecimal() and period_us.isascii()
        # By how many nanoseconds without a sign of life this process is killed; 0 if it is not.
        self.watchdog_ns = int(period_us[:18]) * 1000 if is_asked else 0

    @property
    def is_there(self) -> bool:
        """Whether anybody waits for word."""
        return self._address != b""

    def tell(self, *lines: str) -> bool:
        """Send lines `NAME=VALUE`; whether they went."""
        if not self.is_there:
            return False
        message = "\n".join(lines).encode("utf-8", "replace")
        try:
            if self._socket is None:
                kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
                self._socket = socket.socket(socket.AF_UNIX, kind)
            self._socket.sendto(message, self._address)
        except OSError as error:  # also "AF_UNIX path too long", which has no number
            reason = errno.errorcode.get(error.errno or 0, "address")
            if not self.untold[reason]:
                log.warning("the service manager cannot be told how this process is: %s", error)
            self.untold[reason] += 1
            return False
        return True


def status_line(text: str) -> str:
    """`STATUS=` with what fits into one line."""
    return f"STATUS={' '.join(text.split())[:_STATUS_CHARACTERS_MAX]}"


def _socket_address(name: str) -> bytes:
    """Where a datagram goes: a path, or an abstract name, which is written with an @ in front."""
    if name.startswith("@") and len(name) > 1:
        return b"\0" + os.fsencode(name[1:])
    # Anything else, as vsock:CID:PORT, speaks to the first process of a machine only.
    return os.fsencode(name) if name.startswith("/") else b""
