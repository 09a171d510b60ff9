"""The loop of `rnts up`: children under supervision, snapshots on the screen, an orderly end."""

import json
import os
import shutil
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rnts.errors import ConnectError

if TYPE_CHECKING:
    from rich.console import Console

    from rnts.commands._alert_end import AlertEnd
    from rnts.links.options import LinkOptions
    from rnts.process import StopEvent
    from rnts.query import Client
    from rnts.supervisor import Supervisor

_REFRESH_S = 0.25
_FIRST_REFRESH_S, _FIRST_LOOKS = 0.05, 40  # until a neuron is known, or so many answers came
_LINE_S = 2.0  # between lines where there is no screen
_START_S = 120.0  # for the first answer; kernels may have to be compiled
_OF_A_WINDOW = (
    "window",
    "neurons",
    "metrics",
    "records_per_second",
    "latency_ns",
    "groups",
    "busiest",
    "sickest",
)


def run_live(
    children: dict[str, list[str]],
    endpoint: str,
    link: "LinkOptions",
    stop: "StopEvent",
    duration_s: float | None,
    as_json: bool,
    alerts_folder: Path | None = None,
) -> int:
    """Run `children` (name → arguments) until stopped; the exit code.

    `duration_s` counts from the aggregator's first answer at `endpoint`, so that a slow start takes
    nothing from it. `alerts_folder` is the memory of the alert process, if that is a child.
    """
    from rnts.supervisor import Supervisor

    console = None if as_json else _screen_console()
    supervisor = Supervisor(echo=console is None)
    snapshot: dict[str, Any] | None = None
    try:
        for name, arguments in children.items():
            supervisor.start(name, arguments, is_needed=name != "demo")
        from rnts.commands._alert_end import AlertEnd  # the children start meanwhile
        from rnts.query import Client

        with Client(endpoint, link) as client, closing(AlertEnd(alerts_folder)) as alerts:
            with ExitStack() as stack:
                show = _screen(console, stack) if console else _lines(as_json)
                snapshot = _watch(supervisor, client, show, stop, duration_s, alerts)
            # The screen is left first: a second Ctrl-C may end this at any time.
            if supervisor.failed is None:
                snapshot = _last_document(snapshot, _wind_down(supervisor, client))
    finally:
        supervisor.stop()
    if supervisor.failed is not None:
        if console:
            typer.echo("\n".join(supervisor.failed.last_words), err=True)
        return supervisor.failed.exit_code
    if snapshot is None and not stop.is_set():
        raise ConnectError(f"no aggregator answered at {endpoint}; `rnts doctor` may know why")
    if as_json and snapshot is not None:
        typer.echo(json.dumps(snapshot))
    elif console:
        typer.echo(_next_steps())
    return stop.exit_code


def _next_steps() -> str:
    """What to try beside the next `rnts up`; `scripts/up` puts no `rnts` on the PATH."""
    command = "rnts" if shutil.which("rnts") else str(Path(sys.executable).with_name("rnts"))
    return (
        "next: start it again, and `import rnts` in your program; in another terminal:\n"
        f"  {command} status\n  {command} audit\n  {command} demo --fault storm"
    )


def _watch(
    supervisor: "Supervisor",
    client: "Client",
    show: Any,
    stop: "StopEvent",
    duration_s: float | None,
    alerts: "AlertEnd | None" = None,
) -> dict[str, Any] | None:
    """Look at the population until it is time, or a child cannot run; the last snapshot."""
    from rnts.commands._plain import plain_line
    from rnts.turns import Turns

    snapshot: dict[str, Any] | None = None
    looks = 0

    def summary() -> str | None:
        is_whole = all(child.pid for child in supervisor.children if child.is_needed)
        return plain_line(snapshot) if snapshot and is_whole else None

    turns = Turns(stop, stop.manager, summary)
    deadline = None if duration_s is None else time.monotonic() + _START_S
    while not turns.is_set() and (deadline is None or time.monotonic() < deadline):
        supervisor.check()
        if supervisor.failed is not None:
            break
        newest = _ask(supervisor, client)
        if newest is not None and alerts is not None:
            alerts.add_to(newest)
        if snapshot is None and newest is not None and duration_s is not None:
            deadline = time.monotonic() + duration_s
        snapshot = newest or snapshot
        looks += newest is not None
        show(snapshot, supervisor)
        is_empty = snapshot is None or not snapshot["neurons"]["known"]
        pause_s = _FIRST_REFRESH_S if is_empty and looks < _FIRST_LOOKS else _REFRESH_S
        rest_s = pause_s if deadline is None else deadline - time.monotonic()
        stop.wait(max(0.0, min(pause_s, rest_s)))
    return snapshot


def _ask(supervisor: "Supervisor", client: "Client") -> dict[str, Any] | None:
    """A snapshot, if one comes, and from our aggregator: another may sit at the address."""
    try:
        snapshot = client.ask({"type": "snapshot"}, timeout_ms=500)
    except ConnectError:
        return None
    ours = [child.pid for child in supervisor.children if child.name == "aggregator"]
    return snapshot if snapshot["aggregator"]["pid"] in ours else None


def _wind_down(supervisor: "Supervisor", client: "Client") -> dict[str, Any] | None:
    """End the sources, then the agent, which delivers the rest; the last snapshot of all."""
    supervisor.stop("demo")
    supervisor.stop("agent")
    snapshot = _ask(supervisor, client)
    while snapshot and snapshot["accounting"]["in_flight"] and supervisor.has_time:
        time.sleep(0.05)
        snapshot = _ask(supervisor, client) or snapshot
    return snapshot


def _last_document(
    at_work: dict[str, Any] | None, after: dict[str, Any] | None
) -> dict[str, Any] | None:
    """What the population did while it was watched, with the account after the last record.

    Windows that close while all comes to its end tell of less and less, and then of nothing.
    """
    if at_work is None or after is None:
        return after or at_work
    watched = {key: at_work[key] for key in _OF_A_WINDOW} if at_work["window"] else {}
    alerts = {"alerts": at_work["alerts"]} if "alerts" in at_work else {}
    return after | watched | alerts


def _screen_console() -> "Console | None":
    """The terminal if a screen can be drawn there."""
    from rich.console import Console

    from rnts.commands._plain import is_live

    console = Console()
    return console if is_live(console) else None


def _lines(as_json: bool) -> Any:
    """What shows progress where no screen is: a line every other second, on stderr with --json."""
    from rnts.commands._plain import plain_line

    due = time.monotonic() + _LINE_S

    def show(snapshot: dict[str, Any] | None, supervisor: "Supervisor") -> None:
        nonlocal due
        if snapshot is not None and time.monotonic() >= due:
            due = time.monotonic() + _LINE_S
            typer.echo(plain_line(snapshot), err=as_json)

    return show


def _screen(console: "Console", stack: ExitStack) -> Any:
    """What draws the live screen."""
    from rich.live import Live

    from rnts.commands._screen import Screen, no_autowrap

    screen = Screen(console, title=f"rnts up · {os.uname().nodename}")
    live = Live(console=console, screen=True, auto_refresh=False)
    stack.enter_context(live)
    stack.enter_context(no_autowrap(console))
    started = time.monotonic()

    def show(snapshot: dict[str, Any] | None, supervisor: "Supervisor") -> None:
        notices = list(supervisor.notices)
        elapsed_s = time.monotonic() - started
        live.update(screen.render(snapshot, notices=notices, elapsed_s=elapsed_s), refresh=True)

    return show
