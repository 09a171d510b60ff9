"""The alert process: sleeps until an aggregator, a person or the time has something for it."""

import logging
import math
import select
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from rnts.alerts.canary_cage import CanaryCage
from rnts.alerts.control import control_endpoint
from rnts.alerts.memory import Memory
from rnts.alerts.plan import memory_folder
from rnts.alerts.service import AlertService
from rnts.alerts.source import Source
from rnts.alerts.workshop import Workshop
from rnts.errors import RntsError, UsageError
from rnts.file_watch import FileWatch
from rnts.links.zmq_control import ControlLink
from rnts.process import HangUp, StopEvent, claim_role, settle, undisturbed
from rnts.rules.ranges import doubts_of
from rnts.runtime import make_runtime_folder
from rnts.settings import Settings
from rnts.standing.query import AskAbout, Query
from rnts.tuned import take_place
from rnts.turns import Turns

# A thread of an action that has something to do waits so long at most while alerts are computed,
# and not the 5 ms that Python would have it wait.
_TURN_S = 0.0005

OpenSource = Callable[[Settings, Mapping[str, Query], AskAbout, int], Source]

log = logging.getLogger("rnts.alerts")


class Reader(NamedTuple):
    """Where settings come from: how they are read again, and the files that they are in."""

    read: Callable[[], Settings]
    paths: Sequence[Path]


def run_alert(
    reader: Reader, stop: StopEvent, open_source: OpenSource, is_dry_run: bool = False
) -> None:
    """Run alerts until told to stop; a dry run says what it would do, and remembers nothing."""
    settings = reader.read()
    if not settings.all_rules:
        raise UsageError("there are no rules: give --rules FILE, or a section alerts in rnts.yaml")
    take_place("alert")
    make_runtime_folder()
    sys.setswitchinterval(_TURN_S)
    with ExitStack() as stack:
        folder = memory_folder(settings)
        if is_dry_run:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rnts-alerts-")))
        stack.enter_context(_claim(folder))
        memory = _memory(folder)
        workshop = Workshop(is_dry_run)
        stack.callback(workshop.close)
        cage = CanaryCage(None if is_dry_run else folder)
        service = AlertService(settings, memory, workshop, is_dry_run, cage=cage)
        control = ControlLink(control_endpoint(folder))
        stack.callback(control.close)
        now_ns = time.monotonic_ns()
        source = open_source(settings, service.queries, service.about, now_ns)
        stack.callback(source.close)
        service.begin(now_ns, time.time_ns())
        stack.callback(lambda: service.close(time.monotonic_ns()))
        log.info("%d rules, remembered in %s", len(service.plan.rules), folder)
        _tell_doubts(settings)
        settle()
        _loop(service, source, control, reader, stop)


def _claim(folder: Path) -> socket.socket:
    """Be the only process that remembers its alerts in a folder."""
    return claim_role("rnts alert", folder.absolute())


def _memory(folder: Path) -> Memory:
    try:
        return Memory(folder)
    except OSError as error:
        raise UsageError(
            f"alerts cannot be remembered in {folder}: {error.strerror}; "
            "alerting.folder names another folder"
        ) from error


def _loop(
    service: AlertService, source: Source, control: ControlLink, reader: Reader, stop: StopEvent
) -> None:
    hang_up = HangUp()
    watch = FileWatch(reader.paths, time.monotonic_ns())
    turns = Turns(stop, stop.manager, service.summary)
    while not turns.is_set():
        now_ns = time.monotonic_ns()
        is_asked = hang_up.take()
        if watch.has_changed(now_ns, is_asked) or is_asked:
            with turns.reloading():
                _reload(service, source, reader, now_ns)
        requests = control.receive()
        bodies = [request.body for request in requests]
        with undisturbed():
            answers = service.step(source, bodies, now_ns, time.time_ns())
        for request, answer in zip(requests, answers, strict=True):
            control.answer(request, answer)
        if not control.is_readable():
            ends = (stop.fileno(), hang_up.fileno(), control.fileno(), *source.filenos())
            _sleep(min(service.due_ns(source, now_ns), turns.due_ns), ends)


def _sleep(due_ns: int, ends: Iterable[int]) -> None:
    """Wait until it is due, or something happens at an end."""
    poll = select.poll()  # select() ends at descriptor 1023
    for end in ends:
        poll.register(end, select.POLLIN)
    poll.poll(max(0, math.ceil((due_ns - time.monotonic_ns()) / 1e6)))


def _tell_doubts(settings: Settings) -> None:
    """Say what is odd about rules that are valid: who waits for such an alert has to know."""
    for alert in settings.alerts:
        for doubt in doubts_of(alert.condition, alert.resolve_when):
            log.warning("%s: %s", alert.name, doubt)


def _reload(service: AlertService, source: Source, reader: Reader, now_ns: int) -> None:
    """Read the settings again; those that cannot be leave all as it is, and it is said why."""
    try:
        settings = reader.read()
        service.reload(settings, source, now_ns)
        _tell_doubts(settings)
    except RntsError as error:
        for line in str(error).splitlines():
            log.error("%s", line)
        log.error("the rules that were in force stay so")
