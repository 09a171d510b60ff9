"""The loop of `rnts up`: children under supervision, snapshots on the screen, an orderly end."""

import json
import math
import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import typer

from rnts.errors import ConnectError, RntsError

if TYPE_CHECKING:
    from rich.console import Console

    from rnts.process import StopEvent
    from rnts.query import Client
    from rnts.supervisor import Supervisor

_START_S = 120.0  # for the first answer; kernels may have to be compiled
_REFRESH_S = 0.25
_LINE_S = 2.0  # between lines where there is no screen
_SETTLE_S = 2.0  # for what was recorded last to arrive
_NEXT_STEPS = (
    "next: rnts status · rnts audit · rnts demo --fault storm · `import rnts` in your program"
)


def run_live(
    children: dict[str, list[str]],
    endpoint: str | None,
    stop: "StopEvent",
    duration_s: float | None,
    as_json: bool,
) -> int:
    """Run `children` (name → arguments) until stopped; the exit code.

    `duration_s` counts from the aggregator's first answer at `endpoint`, so that a slow start takes
    nothing from it.
    """
    from rich.console import Console

    from rnts.commands._screen import is_live
    from rnts.query import Client
    from rnts.supervisor import Supervisor

    console = Console()
    has_screen = not as_json and is_live(console)
    supervisor = Supervisor(echo=not has_screen)
    deadline = time.monotonic() + _START_S
    snapshot: dict[str, Any] | None = None
    try:
        for name, arguments in children.items():
            supervisor.start(name, arguments, is_needed=name != "demo")
        with Client(endpoint) as client, ExitStack() as stack:
            show = _screen(console, stack) if has_screen else _lines(as_json)
            while not stop.is_set() and supervisor.failed is None:
                if time.monotonic() >= deadline:
                    break
                supervisor.check()
                answer = _ask(client)
                if snapshot is None and answer is not None:
                    deadline = time.monotonic() + (math.inf if duration_s is None else duration_s)
                snapshot = answer or snapshot
                show(snapshot, supervisor)
                stop.wait(_REFRESH_S)
            snapshot = _wind_down(supervisor, client) or snapshot
    finally:
        supervisor.stop()
    if supervisor.failed is not None:
        words = "\n".join(supervisor.failed.last_words) or "it said nothing"
        raise RntsError(f"{supervisor.failed.name} cannot run:\n{words}")
    if snapshot is None and not stop.is_set():
        raise RntsError(f"the aggregator gave no answer in {_START_S:.0f} s")
    if as_json:
        typer.echo(json.dumps(snapshot))
    elif has_screen:
        typer.echo(_NEXT_STEPS)
    return stop.exit_code


def _ask(client: "Client") -> dict[str, Any] | None:
    try:
        return client.ask({"type": "snapshot"}, timeout_ms=500)
    except ConnectError:
        return None


def _wind_down(supervisor: "Supervisor", client: "Client") -> dict[str, Any] | None:
    """End the sources, then the agent, which delivers the rest; the last snapshot of all."""
    supervisor.stop("demo")
    supervisor.stop("agent")
    snapshot = _ask(client)
    deadline = time.monotonic() + _SETTLE_S
    while snapshot and snapshot["accounting"]["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.05)
        snapshot = _ask(client) or snapshot
    return snapshot


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
