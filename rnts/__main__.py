"""The roof: `rnts` with all its commands, the exit codes, and how an error is told to a person.

Commands import what they need when they run: `rnts --help` costs no numba, numpy or pydantic.
"""

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated

import typer

from rnts import __version__, logs
from rnts.errors import RntsError
from rnts.platform import require_supported

# New objects between two searches for garbage: at the usual 700 a start spends a tenth of its CPU
# on searching what the modules that it imports are made of.
_GARBAGE_SEARCH_OBJECTS = 50_000

# As `rnts --help` shows them. Module `rnts.commands.NAME` has a function of that name, or `app`.
COMMANDS = (
    "up",
    "demo",
    "status",
    "watch",
    "audit",
    "agent",
    "aggregate",
    "alert",
    "record",
    "replay",
    "process",
    "spool",
    "config",
    "rules",
    "keys",
    "service",
    "bench",
    "tune",
    "doctor",
    "warmup",
)

_BEFORE_A_COMMAND = ("-q", "--quiet", "-v", "--verbose")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rnts {__version__}")
        raise typer.Exit


def root(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only warnings and errors.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More, and tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Watch a population of neurons: any unit of work that runs many times a second.

    Begin with `rnts up`. Exit codes: 0 done, 1 failure, 2 usage, 3 configuration, 4 cannot connect,
    6 slower than `bench` allows, 130 and 143 ended by a signal.
    """
    verbosity = logs.QUIET if quiet else logs.VERBOSE if verbose else None
    logs.set_up(f"rnts {context.invoked_subcommand}", verbosity)


def wanted(words: Sequence[str]) -> Sequence[str]:
    """The one command that is called; all of them where none is known by that name.

    To import all and to read their options takes 50 ms, a tenth of the start of an agent.
    """
    first = next((word for word in words if word not in _BEFORE_A_COMMAND), "")
    return [first] if first in COMMANDS else COMMANDS


def build(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The program with these of its commands."""
    # Plain help and errors: rich would double the time of `--help`.
    app = typer.Typer(
        name="rnts",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for name in names:
        module = import_module(f"rnts.commands.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def report(error: RntsError) -> int:
    """Tell a person what went wrong, and return the exit code."""
    from rnts.commands._format import visible

    for line in str(error).splitlines() or [type(error).__name__]:
        typer.echo(f"rnts: {visible(line)}", err=True)
    if logs.inherited_verbosity() >= logs.VERBOSE:
        import traceback

        traceback.print_exception(error)
    return error.exit_code


def main() -> None:
    """Run the command line; always ends in SystemExit."""
    gc.set_threshold(_GARBAGE_SEARCH_OBJECTS)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows "?" for "µ"
    try:
        try:
            require_supported()
            build(wanted(sys.argv[1:]))(prog_name="rnts")
        except RntsError as error:
            sys.exit(report(error))
        except KeyboardInterrupt:  # while the commands were being loaded
            sys.exit(130)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough, as in `rnts status | head`; the flush at exit is to be quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
