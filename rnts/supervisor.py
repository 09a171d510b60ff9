"""Runs processes of RNTS as children: starts them, notes what they say, restarts what dies."""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from rnts.process import SUPERVISED

_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)  # before each restart; the last one for all further ones
_STEADY_S = 10.0  # a child that lived so long begins anew with the first back-off
# For all children together, from the first SIGTERM on; who has not ended then is killed. An agent
# may take 3 s to deliver the rest. Each child has a moment of its own all the same.
_STOP_S, _STOP_S_MIN = 3.5, 0.5
_LISTEN_S = 0.5  # for what a dead child wrote to arrive; a process of its own may hold the pipe
_NOTICES_MAX = 200
# Usage, configuration, address, a ledger that another has: a restart would not change them.
_FATAL_CODES = (2, 3, 4, 5)


@dataclass
class Child:
    """One process that is to be there."""

    name: str
    arguments: list[str]
    is_needed: bool = True  # False: it may end by itself
    process: subprocess.Popen[str] | None = None
    started_s: float = 0.0
    restart_s: float = 0.0  # steady time at which it is due again
    restarts: int = 0
    exit_code: int = 0  # of its last life
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=5))
    listener: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process id, 0 while there is none."""
        return self.process.pid if self.process else 0


class Supervisor:
    """Children in the order in which they are started; they are ended in the reverse one."""

    def __init__(self, echo: bool) -> None:
        self.children: list[Child] = []
        self.notices: deque[str] = deque(maxlen=_NOTICES_MAX)
        self.failed: Child | None = None  # a child that no restart can help
        self._echo = echo
        self._failures: dict[str, int] = {}
        self._stop_s: float | None = None  # steady time by which all children are to have ended

    @property
    def has_time(self) -> bool:
        """Whether there is time left before all children have to end."""
        return self._stop_s is None or time.monotonic() < self._stop_s

    def start(self, name: str, arguments: list[str], is_needed: bool = True) -> None:
        """Start `rnts ARGUMENTS…` as a child called `name`."""
        child = Child(name, arguments, is_needed)
        self.children.append(child)
        self._spawn(child)

    def _spawn(self, child: Child) -> None:
        # A session of its own: Ctrl-C reaches the supervisor only, which ends them in order.
        child.process = subprocess.Popen(
            [sys.executable, "-m", "rnts", *child.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, SUPERVISED: str(os.getpid())},
        )
        child.started_s = time.monotonic()
        child.listener = threading.Thread(
            target=self._listen, args=(child, child.process), daemon=True
        )
        child.listener.start()

    def _listen(self, child: Child, process: "subprocess.Popen[str]") -> None:
        """Pass on what a child writes to stderr."""
        assert process.stderr is not None
        for line in process.stderr:
            child.last_words.append(line.rstrip())
            self.notices.append(line.rstrip())
            if self._echo:
                sys.stderr.write(line)

    def say(self, notice: str) -> None:
        """Note something, and print it where nothing else is on the screen."""
        self.notices.append(notice)
        if self._echo:
            sys.stderr.write(f"rnts: {notice}\n")

    def check(self) -> None:
        """Notice what has died, and start again what is due."""
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if child.restart_s and now >= child.restart_s:
                    child.restarts += 1
                    child.restart_s = 0.0
                    self._spawn(child)
            elif (code := child.process.poll()) is not None:
                self._on_end(child, code, now)

    def _on_end(self, child: Child, code: int, now: float) -> None:
        child.process = None
        child.exit_code = code
        if child.listener is not None:
            child.listener.join(_LISTEN_S)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if not child.is_needed and code == 0:
            self.say(f"{child.name} has ended")
        elif code in _FATAL_CODES:
            self.failed = self.failed or child
            self.say(f"{child.name} cannot run ({how})")
        else:
            lived_s = now - child.started_s
            failures = 0 if lived_s > _STEADY_S else self._failures.get(child.name, 0)
            wait_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
            self._failures[child.name] = failures + 1
            child.restart_s = now + wait_s
            self.say(f"{child.name} died after {lived_s:.1f} s ({how}); restart in {wait_s} s")

    def stop(self, *names: str) -> None:
        """End the children of these names, or all, last started first; kill what does not go."""
        if self._stop_s is None:
            self._stop_s = time.monotonic() + _STOP_S
        for child in reversed(self.children):
            if names and child.name not in names:
                continue
            if child.process is not None and (code := child.process.poll()) is not None:
                self._on_end(child, code, time.monotonic())
            child.restart_s = 0.0
            if child.process is None:
                continue
            child.process.terminate()
            try:
                child.process.wait(max(_STOP_S_MIN, self._stop_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
                self.say(f"{child.name} did not end by itself and was killed")
            if child.listener is not None:
                child.listener.join(_LISTEN_S)
            child.process = None
