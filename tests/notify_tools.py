"""The service manager, played by a test: a datagram socket, and what processes say to it."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from process_tools import until

Word = dict[str, str]


class PlayedManager:
    """Keeps each message; `variables` are those of a process that it starts."""

    def __init__(self, address: str, watchdog_s: float = 0.3) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        self.variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(int(watchdog_s * 1e6))}
        self.heard: list[Word] = []

    def listen(self) -> list[Word]:
        """All that was said so far."""
        while True:
            try:
                message = self._socket.recv(65536).decode()
            except BlockingIOError:
                return self.heard
            self.heard.append(dict(line.split("=", 1) for line in message.splitlines()))

    def count(self, name: str) -> int:
        """How many messages had a line of this name."""
        return sum(name in word for word in self.listen())

    def names(self) -> list[str]:
        """The names of all lines but the status, in order, repeated ones once."""
        found: list[str] = []
        for name in (name for word in self.listen() for name in word if name != "STATUS"):
            if name not in found[-1:]:
                found.append(name)
        return found

    def wait(self, name: str, more: int = 1) -> Word:
        """Wait for so many further messages with a line of this name; the last of them."""
        wanted = self.count(name) + more
        until(lambda: self.count(name) >= wanted)
        return next(word for word in reversed(self.heard) if name in word)

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@contextmanager
def played_manager(folder: Path, watchdog_s: float = 0.3) -> Iterator[PlayedManager]:
    """One whose socket is a file, gone afterwards."""
    path = folder / f"notify-{os.getpid()}"
    manager = PlayedManager(str(path), watchdog_s)
    try:
        yield manager
    finally:
        manager.close()
        path.unlink(missing_ok=True)
