"""The action that runs a command: no shell, the notification on its stdin, ended in time."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO

from rnts.alerts.action import ActionError
from rnts.alerts.notification import Notification
from rnts.credentials import hide_arguments
from rnts.process import SUPERVISED
from rnts.settings_values import ALERT_VARIABLES
from rnts.tuned import give_place

OUTPUT_BYTES_MAX = 2_000  # of what a failed command said, to be shown


class CommandAction:
    """Runs `arguments`; its whole process group is killed at the time-out."""

    def __init__(
        self,
        arguments: Sequence[str],
        timeout_s: float = 10.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not arguments or isinstance(arguments, str):
            raise ValueError(f"a command is a list of arguments, not {arguments!r}")
        self._arguments, self._timeout_s = list(arguments), timeout_s
        self._environment = dict(environment or {})

    def run(self, notification: Notification) -> None:
        """Run it once; raises ActionError unless it ends with 0 in time."""
        document = json.dumps(notification.document()).encode()
        # What it says goes into a file: a pipe would be held open by whatever it leaves running.
        with tempfile.TemporaryFile() as said:
            with self._start(notification, said) as process:
                try:
                    process.communicate(document, self._timeout_s)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so it is its group
                    message = f"{self._arguments[0]} did not end within {self._timeout_s:g} s"
                    raise ActionError(message) from None
            if process.returncode:
                said.seek(max(0, said.seek(0, os.SEEK_END) - OUTPUT_BYTES_MAX))
                shown = said.read().decode("utf-8", "replace").strip()
                raise ActionError(f"{self._arguments[0]} ended with {process.returncode}: {shown}")

    def _start(self, notification: Notification, said: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start it in a process group of its own."""
        try:
            process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={**_inherited(), **self._environment, **_variables(notification)},
                start_new_session=True,
            )
        except OSError as error:
            is_final = isinstance(error, FileNotFoundError | PermissionError)
            message = f"{self._arguments[0]} cannot be run: {error.strerror}"
            raise ActionError(message, is_final) from error
        give_place(process.pid)
        return process

    def describe(self, notification: Notification) -> str:
        """What `run` would do."""
        return f"run {hide_arguments(self._arguments)} for {notification.title}"


def _inherited() -> dict[str, str]:
    """The environment of this process; whose child it is says nothing about the command's."""
    return {name: value for name, value in os.environ.items() if name != SUPERVISED}


def _variables(notification: Notification) -> dict[str, str]:
    """The plain facts, for scripts that do not read JSON."""
    facts = {
        "KEY": notification.key,
        "KIND": notification.kind,
        "RULE": notification.rule,
        "SEVERITY": notification.severity,
        "TITLE": notification.title,
        "COUNT": str(notification.count),
    }
    return {ALERT_VARIABLES + name: value.replace("\0", "") for name, value in facts.items()}
