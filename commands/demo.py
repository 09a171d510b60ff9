"""`rnts demo`: a network of spiking neurons, each of which reports itself."""

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnts.commands._options import Config

if TYPE_CHECKING:
    from rnts.demo import Fault


def demo(
    neurons: Annotated[int, typer.Option(help="How many, 10 to 1,000,000.")] = 1_000,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="End by itself, such as after 10s.")
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(help="Records a second to aim at; else 40 a neuron, at most 200,000."),
    ] = None,
    fault: Annotated[
        str | None, typer.Option(help="Break a group: kill, storm, silence or slow.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the fault begins; else after 10s.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which group breaks; else cortex-1.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same network and spikes.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary at the end; docs/demo.md.")
    ] = False,
    config: Config = None,
) -> None:
    """Run a population of spiking neurons that report themselves, and break it if asked to."""
    from rnts.durations import parse_duration_ns
    from rnts.process import stop_event
    from rnts.settings import load

    started_s = time.monotonic()
    stop = stop_event()
    load(config)  # what is wrong with it is said before anything starts
    duration_ns = None if duration is None else parse_duration_ns(duration)
    chosen = choose_fault(fault, at, group)
    tell(f"making {neurons:,} neurons; the first start compiles")
    from rnts.demo import Demo

    population = Demo(neurons, seed, rate, chosen, stop.is_set)
    population.announce()
    tell(greeting(population.summary(), time.monotonic() - started_s))
    population.run(duration_ns, lambda: tell(progress(population.summary()), passing=True))
    summary = population.summary()
    tell(progress(summary))
    if as_json:
        typer.echo(json.dumps(summary))
    raise typer.Exit(stop.exit_code)


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
