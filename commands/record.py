"""`rnts record`: keep the frames that an aggregator folds in a file."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from rnts.commands._options import Config


def record(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The recording; must not exist.")],
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="End by itself, such as after 10s.")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--connect", "--endpoint", metavar="ADDR", help="The aggregator's address."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary at the end; docs/recording.md.")
    ] = False,
    config: Config = None,
) -> None:
    """Write each frame that the aggregator folds into a file, until Ctrl-C or for a time."""
    from rnts.durations import parse_duration_ns
    from rnts.errors import RntsError
    from rnts.process import stop_event
    from rnts.query import where
    from rnts.warmup import load_kernels, prefer_objects

    stop = stop_event()
    duration_ns = None if duration is None else parse_duration_ns(duration)
    address, options = where(endpoint, config)
    prefer_objects()
    from rnts.recordings.writer import Writer, require_free
    from rnts.tap_client import TapClient
    from rnts.tapping import tapped

    load_kernels()
    require_free(file, replaces=force)
    until_ns = None if duration_ns is None else time.monotonic_ns() + duration_ns
    client, writer = TapClient(), None
    try:
        for found in tapped(address, options, stop, until_ns, client):
            if writer is None and client.is_live(time.monotonic_ns()):
                writer = Writer(file, time.time_ns(), replaces=force)
            if writer is not None and not writer.take_all(found, time.monotonic_ns()):
                break
    finally:
        if writer is not None:
            writer.close(time.time_ns())
            _tell(writer.document(), as_json)
    if writer is not None and writer.problem:
        raise RntsError(f"{writer.problem}; what was written before is whole")
    raise typer.Exit(stop.exit_code)


def _tell(document: dict[str, object], as_json: bool) -> None:
    """What was written, and what is missing in it."""
    if as_json:
        typer.echo(json.dumps(document))
        return
    lost = document["frames_lost"]
    assert isinstance(lost, dict)
    missing = ", ".join(f"{count:,} {reason}" for reason, count in lost.items()) or "none"
    typer.echo(
        f"{document['records']:,} records in {document['frames']:,} frames, "
        f"{document['bytes']:,} bytes; gaps: {document['gaps']}, frames left out: {missing}",
        err=True,
    )
