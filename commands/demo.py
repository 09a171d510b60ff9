"""`rnts demo`: a network of spiking neurons, each of which reports itself."""

import json
import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rnts.demo import Fault


def demo(
    neurons: Annotated[int, typer.Option(help="How many, 10 to 1,000,000.")] = 1_000,
    for_: Annotated[
        str | None, typer.Option("--for", help="Stop by itself, as in 10s.", metavar="TIME")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="Records a second; 40 a neuron, at most 200,000.")
    ] = None,
    fault: Annotated[
        str | None, typer.Option(help="Break a group: kill, storm, silence or slow.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="When, after the start; 10s.", metavar="TIME")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Which group breaks; cortex-1.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same network and spikes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary at the end.")] = False,
) -> None:
    """Run a population of spiking neurons that report themselves, and break it if asked to."""
    from rnts.demo import Demo
    from rnts.durations import parse_duration_ns

    duration_ns = None if for_ is None else parse_duration_ns(for_)
    chosen = choose_fault(fault, at, group)
    caught: list[int] = []
    running: list[Demo] = []

    def stop(number: int, frame: FrameType | None) -> None:
        """End at the next burst; asked once more, at once."""
        caught.append(number)
        signal.signal(number, signal.SIG_DFL)
        for one in running:
            one.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    started_s = time.monotonic()
    tell(f"making {neurons:,} neurons; the first start compiles")
    running.append(Demo(neurons, seed, rate, chosen))
    if not caught:
        running[0].announce()
    tell(greeting(running[0].summary(), time.monotonic() - started_s))
    if not caught:
        running[0].run(duration_ns, lambda one: tell(progress(one.summary()), passing=True))
    summary = running[0].summary()
    tell(progress(summary))
    if as_json:
        typer.echo(json.dumps(summary))
    if caught:
        raise typer.Exit(128 + caught[0])


def choose_fault(kind: str | None, at: str | None, group: str | None) -> "Fault | None":
    """The fault that the options ask for; when and where alone is no fault."""
    from rnts.errors import UsageError

    if kind is None:
        if at is not None or group is not None:
            raise UsageError("--at and --group say when and where a fault comes; add --fault")
        return None
    from rnts.demo import Fault
    from rnts.durations import parse_duration_ns

    given: dict[str, Any] = {} if group is None else {"group": group}
    if at is not None:
        given["at_ns"] = parse_duration_ns(at)
    return Fault(kind, **given)


def greeting(summary: dict[str, Any], took_s: float) -> str:
    """What has been made."""
    made = f"{summary['neurons']:,} neurons and {summary['synapses']:,} synapses in {took_s:.1f} s"
    return f"{made}; Ctrl-C ends"


def progress(summary: dict[str, Any]) -> str:
    """One line of how it goes."""
    records = summary["records"]
    parts = [
        f"{summary['seconds']:.1f} s",
        f"{summary['neurons']:,} neurons",
        f"{summary['spikes_per_second']:,.0f} spikes/s",
        f"{records['offered']:,} records offered ({records['per_second']:,.0f}/s)",
        f"{records['refused']:,} dropped (lane_full)",
        f"{summary['real_time_factor']:.2f} of real time",
    ]
    if not summary["telemetry"]:
        parts[3:5] = ["telemetry off"]
    fault = summary["fault"]
    if fault and fault["at_seconds"] is not None:
        parts.append(f"{fault['kind']} of {fault['group']} since {fault['at_seconds']:.1f} s")
    return " · ".join(parts)


def tell(line: str, passing: bool = False) -> None:
    """A line on stderr; one that passes is overwritten by the next, and left out in files."""
    from rnts.logs import QUIET, inherited_verbosity

    if inherited_verbosity() == QUIET or (passing and not sys.stderr.isatty()):
        return
    start = "\r\033[K" if sys.stderr.isatty() else ""
    typer.echo(f"{start}rnts demo: {line}", err=True, nl=not passing)
