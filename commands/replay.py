"""`rnts replay`: play a recording to an aggregator, or say what is in it."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnts.commands._options import Config

if TYPE_CHECKING:
    from rnts.recordings.reader import Reader


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `rnts record` wrote.")],
    speed: Annotated[
        str, typer.Option(metavar="NUMBER", help="1 as it was, 10 ten times as fast, or max.")
    ] = "1",
    to: Annotated[
        str | None, typer.Option(metavar="ADDR", help="The aggregator; else this user's.")
    ] = None,
    shift_to_now: Annotated[
        bool, typer.Option("--shift-to-now", help="Move all times by as many whole seconds.")
    ] = False,
    info: Annotated[bool, typer.Option("--info", help="Say what is in it, and stop.")] = False,
    dump: Annotated[bool, typer.Option("--dump", help="Print each record as JSON.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document; docs/recording.md.")
    ] = False,
    config: Config = None,
) -> None:
    """Play a recording: each frame in the order and at the pace in which it was folded."""
    from rnts.errors import UsageError
    from rnts.warmup import load_kernels, prefer_objects

    if info and dump:
        raise UsageError("--info and --dump exclude one another")
    pace = parse_speed(speed)
    prefer_objects()
    from rnts.recordings.reader import Reader

    load_kernels()
    reader = Reader(file)
    if info:
        tell(reader.summary(), as_json)
    elif dump:
        print_records(reader)
    else:
        raise typer.Exit(play(reader, pace, shift_to_now, to, config, as_json))


def parse_speed(text: str) -> float:
    """How many times as fast as it was; 0 for `max`."""
    from rnts.errors import UsageError

    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.001 <= speed <= 1_000_000:
        raise UsageError(f"--speed is a number from 0.001 on, or max, and not {text!r}")
    return speed


def print_records(reader: "Reader") -> None:
    """Each record on a line; at the end what could not be read, where there was something."""
    from rnts.recordings.dumping import dump

    skipped: Counter[str] = Counter()
    for document in dump(reader, skipped):
        typer.echo(json.dumps(document, separators=(",", ":")))
    tell_damage(reader, skipped)


def play(
    reader: "Reader",
    speed: float,
    shifts_to_now: bool,
    to: str | None,
    config: Path | None,
    as_json: bool,
) -> int:
    """Play it, and say what became of it; the exit code."""
    from rnts.links.choice import agent_link
    from rnts.process import stop_event
    from rnts.query import where
    from rnts.recordings.player import Player

    stop = stop_event()
    address, options = where(to, config)
    started_s = time.monotonic()
    link = agent_link(options)
    try:
        link.connect(address)
        player = Player(reader, link, speed, shifts_to_now)
        played = player.play(stop)
    finally:
        link.close()
    if as_json:
        typer.echo(json.dumps(played.document() | {"torn_bytes": reader.torn_bytes}))
    else:
        took_s = time.monotonic() - started_s
        typer.echo(
            f"{played.records:,} records in {played.frames:,} frames of {played.lives} agents, "
            f"in {took_s:.1f} s",
            err=True,
        )
        tell_damage(reader, played.skipped)
    return stop.exit_code


def tell_damage(reader: "Reader", skipped: "Counter[str]") -> None:
    """What of a recording was left out, on stderr."""
    if reader.damaged_bytes:
        typer.echo(f"damaged: {reader.damaged_bytes:,} bytes were stepped over", err=True)
    if reader.torn_bytes:
        typer.echo(f"torn: the last {reader.torn_bytes:,} bytes are no whole record", err=True)
    if skipped:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items())
        typer.echo(f"frames left out: {reasons}", err=True)


def tell(document: dict[str, Any], as_json: bool) -> None:
    """A recording's summary, as one document or as lines."""
    if as_json:
        typer.echo(json.dumps(document))
        return
    first_ns, last_ns = document["first_ns"], document["last_ns"]
    lasted = "" if first_ns is None else f"{(last_ns - first_ns) / 1e9:.1f} s"
    for name, value in document.items():
        if name == "lives":
            typer.echo(f"{'lives':>16}  {len(value)}")
        elif name not in ("version", "file"):
            typer.echo(f"{name.replace('_', ' '):>16}  {value}")
    typer.echo(f"{'duration':>16}  {lasted}")
