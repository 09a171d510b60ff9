"""A real alert process in a folder of the test's own, with an aggregator that the test plays."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from process_tools import until

from rnts.alerts.control import ask_alerts
from rnts.errors import RntsError

PROGRAM = Path(__file__).with_name("alert_program.py")
RULE = {
    "name": "hot",
    "condition": "queue_depth > 1 for 200ms",
    "severity": "critical",
    "interval": "100ms",
    "action": "note",
}


class AlertProcess:
    """Rules, a file that notifications are appended to, and the process while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.memory = folder, folder / "memory"
        self.rules_file, self.noted_file = folder / "rules.yaml", folder / "noted"
        self.may_end_file, self.began_file = folder / "may_end", folder / "began"
        self.errors_file = folder / "errors"
        self._socket_path = folder / "source.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.process: subprocess.Popen[bytes] | None = None
        self.write_rules(RULE)

    def write_rules(self, *rules: dict[str, Any], **sections: Any) -> None:
        """Write the file of rules at once, as an editor does; `note` is its action."""
        # The document is one line, and is written at once: two commands may run at a time.
        script = f"""document=$(cat); printf '%s\\n' "$document" >> {self.noted_file}"""
        note = {"name": "note", "kind": "command", "command": ["/bin/sh", "-c", script]}
        waits = f"until test -e {self.may_end_file}; do sleep 0.02; done; {script}"
        hang = {**note, "name": "hang"}
        hang["command"] = ["/bin/sh", "-c", f"echo >> {self.began_file}; {waits}"]
        document = {
            "alerts": list(rules),
            "actions": [note, hang],
            "alerting": {"folder": str(self.memory)},
            **sections,
        }
        fresh = self.rules_file.with_suffix(".new")
        fresh.write_text(json.dumps(document))
        fresh.replace(self.rules_file)

    def start(self, *flags: str) -> None:
        """Start it, and wait until it has begun."""
        self.spawn(*flags)
        if "--dry-run" not in flags:
            until(lambda: self.status()["pid"] == self.running.pid)

    def spawn(self, *flags: str) -> subprocess.Popen[bytes]:
        """Start it without waiting."""
        with self.errors_file.open("ab") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    str(PROGRAM),
                    str(self.rules_file),
                    str(self._socket_path),
                    *flags,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(PROGRAM.parent)},
            )
        return self.process

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process; fails where it has ended."""
        assert self.process is not None
        assert self.process.poll() is None, self.errors()
        return self.process

    def kill(self) -> None:
        """Kill it as nothing can prevent."""
        self.running.kill()
        self.running_end()

    def running_end(self) -> int:
        """Wait for its end; its exit code."""
        assert self.process is not None
        code = self.process.wait(30)
        self.process = None
        return code

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; its exit code."""
        self.running.send_signal(number)
        return self.running_end()

    def tell(self, rule: str = "", **said: Any) -> None:
        """Tell what the aggregator would; waits until somebody listens."""
        document = json.dumps(
            {**({"rule": rule} if rule else {}), "is_live": True, **said}
        ).encode()

        def is_sent() -> bool:
            with suppress(FileNotFoundError, ConnectionRefusedError):
                self._socket.sendto(document, str(self._socket_path))
                return True
            return False

        until(is_sent)

    def ask(self, kind: str, **more: Any) -> dict[str, Any]:
        """The answer of the process; empty while there is none."""
        with suppress(RntsError):
            return ask_alerts(self.memory, {"type": kind, **more}, 1_000)
        return {}

    def status(self) -> dict[str, Any]:
        """What the process says of itself; its pid is 0 where it does not."""
        self.running  # noqa: B018  fails with its last words
        return dict(self.ask("alerts").get("process") or {"pid": 0, "counts": {}})

    def states(self) -> dict[str, str]:
        """The state of each alert, by the names of rule and neuron."""
        alerts = self.ask("alerts").get("alerts", [])
        return {f"{a['rule']} {a['labels'].get('neuron', '')}": a["state"] for a in alerts}

    def wait_state(self, state: str, entity: str = "a/n1", rule: str = "hot") -> None:
        """Wait until an alert is in a state; None is inactive or over."""
        until(lambda: self.states().get(f"{rule} {entity}", "none") == state)

    def wait_settled(self) -> None:
        """Wait until nothing that was told is on its way."""
        until(lambda: self.status().get("waiting") == 0)

    def noted(self) -> list[dict[str, Any]]:
        """The notifications that arrived, in order."""
        text = self.noted_file.read_text() if self.noted_file.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def kinds(self) -> list[str]:
        """Rule and kind of each notification that arrived."""
        return [f"{each['rule']} {each['kind']}" for each in self.noted()]

    def keys(self) -> Counter[str]:
        """How often each idempotency key arrived."""
        return Counter(each["key"] for each in self.noted())

    def errors(self) -> str:
        """What it said on stderr so far, in all its lives."""
        return self.errors_file.read_text() if self.errors_file.exists() else ""

    def close(self) -> None:
        """End what is left."""
        self.may_end_file.touch()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self._socket.close()


@contextmanager
def alert_process(folder: Path) -> Iterator[AlertProcess]:
    """One that is gone afterwards."""
    process = AlertProcess(folder)
    try:
        yield process
    finally:
        process.close()
