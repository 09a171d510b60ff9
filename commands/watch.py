"""`rnts watch`: what expressions are, told whenever it changes."""

from typing import Annotated

import typer

from rnts.commands._options import Config, Endpoint

_EVERY_S, _EVERY_SCREEN_S = 1.0, 0.25  # how often numbers are told, unless one says otherwise


def watch(
    expressions: Annotated[
        list[str], typer.Argument(metavar="EXPRESSION...", help="As docs/rules.md has them.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line; docs/watch.md.")
    ] = False,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="End by itself after that.")
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Tell no more often; numbers otherwise once a second."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, help="So many entities of each, the largest first.")
    ] = 1000,
    endpoint: Endpoint = None,
    config: Config = None,
) -> None:
    """Watch numbers and conditions of neurons, groups, hosts or all, as they change.

    For example: rnts watch "p99_processing_time_ms by group" "error_rate > 0.5 by host"
    """
    from rnts.commands._watch_lines import JsonLines, PlainLines, Show
    from rnts.commands._watch_loop import run_watch
    from rnts.commands._watched import understand
    from rnts.durations import parse_duration_ns
    from rnts.process import stop_event
    from rnts.query import where
    from rnts.standing.watching import Watching

    duration_s = parse_duration_ns(duration) / 1e9 if duration else None
    every_ms = parse_duration_ns(every) // 1_000_000 if every else None
    watched = understand(expressions)
    stop = stop_event()
    address, options = where(endpoint, config)
    show: Show = JsonLines() if as_json else PlainLines(len(watched) > 1)
    default_s = _EVERY_S
    if not as_json:
        from rich.console import Console

        from rnts.commands._plain import is_live

        if is_live(console := Console()):
            from rnts.commands._watch_table import Table

            show, default_s = Table(console, list(watched.values())), _EVERY_SCREEN_S
    default_ms = round(default_s * 1000)
    queries = {key: one.query(every_ms, default_ms, limit) for key, one in watched.items()}
    with Watching(address, queries, options) as watching, show:
        raise typer.Exit(run_watch(watching, watched, show, stop, duration_s))
