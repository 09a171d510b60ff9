"""What the process of one stream processor does: takes batches, answers each with what was found.

parent → child   options as JSON, a state or nothing; then batches, pickled, or nothing
child → parent   JSON: {"ready": name, "priority": …} or {"failed": …}; then for each batch
                 {"alerts": […], "raised": null, "dropped": 0}, and for nothing its state
"""

import contextlib
import importlib
import json
import os
import pickle
import traceback
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any

from rnts.processors.batch import Batch
from rnts.processors.child import SHORT_NAMES
from rnts.processors.protocol import Alert, Resumable, TelemetryProcessor
from rnts.warmup import load_kernels

ALERTS_MAX = 100  # of one batch; what is more is counted


def make(spec: str, options: dict[str, Any]) -> TelemetryProcessor:
    """The processor of `module:Class`, or of a short name; raises with words where it is none."""
    module_name, _, class_name = SHORT_NAMES.get(spec, spec).partition(":")
    made = getattr(importlib.import_module(module_name), class_name)(**options)
    if not isinstance(made, TelemetryProcessor):
        raise TypeError(f"{spec} has no name, priority and process(batch)")
    return made


def run_one(processor: TelemetryProcessor, batch: Batch) -> dict[str, Any]:
    """What becomes of one batch; an exception is an answer, too."""
    alerts: list[dict[str, Any]] = []
    dropped, raised = 0, None
    try:
        found = iter(processor.process(batch) or ())
        for alert in islice(found, ALERTS_MAX):
            if not isinstance(alert, Alert):
                raise TypeError(f"process() yields rnts Alerts, and not {alert!r:.100}")
            document = alert.document()
            json.dumps(document)
            alerts.append(document)
        dropped = sum(1 for _ in found)
    except Exception as error:  # noqa: BLE001
        raised = "".join(traceback.format_exception(error))[-4_000:]
    return {"alerts": alerts, "raised": raised, "dropped": dropped}


def serve(connection: Connection, spec: str) -> None:
    """Work until the other end goes."""
    options, state = json.loads(connection.recv_bytes()), connection.recv_bytes()
    try:
        processor = make(spec, options)
        load_kernels()  # those that it has imported: nothing is to be compiled in its time
        if state and isinstance(processor, Resumable):
            with contextlib.suppress(ValueError):  # of another version: it learns anew
                processor.restore(state)
        priority = int(processor.priority)
        ready = {"ready": str(processor.name), "priority": priority}
    except Exception as error:  # noqa: BLE001
        connection.send_bytes(json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode())
        return
    with contextlib.suppress(OSError):
        os.nice(max(0, priority))
    connection.send_bytes(json.dumps(ready).encode())
    while True:
        if asked := connection.recv_bytes():
            answer = run_one(processor, pickle.loads(asked))
            connection.send_bytes(json.dumps(answer).encode())
        else:
            state = processor.snapshot() if isinstance(processor, Resumable) else b""
            connection.send_bytes(state)


def serve_descriptor(descriptor: int, spec: str) -> None:
    """Work until the other end of a socket goes."""
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve(Connection(descriptor), spec)
