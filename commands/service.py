"""`rnts service`: units for systemd that run agent, aggregator and alerts from boot or login on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnts.commands._options import Config

if TYPE_CHECKING:
    from rnts.unit_places import Places

app = typer.Typer(help="Run RNTS under systemd, from boot or login on.", no_args_is_help=True)

IsSystem = Annotated[
    bool | None,
    typer.Option("--system/--user", help="For whom; root's are the system's unless it is said."),
]


@app.command()
def install(
    roles: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ROLE]...", help="agent, aggregate, alert; or up for all in one."),
    ] = None,
    is_system: IsSystem = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the units, do nothing.")
    ] = False,
    cores: Annotated[
        list[str] | None,
        typer.Option(metavar="[ROLE=]LIST", help="Cores to run on, as 0-3,6 or agent=2."),
    ] = None,
    starts: Annotated[
        bool, typer.Option("--start/--no-start", help="Start them now, not at the next boot only.")
    ] = True,
    config: Config = None,
) -> None:
    """Write units for systemd, and have it start them now and whenever the user or machine does."""
    import os

    from rnts.cpu_list import online_cpus
    from rnts.settings import load
    from rnts.unit_cores import parse_cores
    from rnts.unit_files import handover, unit_folder
    from rnts.unit_places import places_here
    from rnts.unit_plan import ROLES, chosen_roles, plan

    is_system = _for_system(is_system)
    # As the services will read them: without this shell's folder and variables.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RNTS_")}
    settings = load(config, environ=kept, cwd=Path("/"))
    chosen = chosen_roles(roles or [], settings)
    places = places_here(is_system, settings, config)
    units = plan(chosen, settings, places, parse_cores(cores or [], ROLES, online_cpus()))
    folder = unit_folder(is_system)
    files = {folder / name: text for name, text in units.items()} | handover(places)
    if dry_run:
        typer.echo("\n".join(f"# {path}\n{text}" for path, text in files.items()), nl=False)
        return
    _refuse_what_cannot_run(places)
    _put_in_force(places, files, starts)
    if starts:  # of one that ends at once systemd says nothing by itself
        raise typer.Exit(int(not _tell_states(is_system, as_json=False)))


def _for_system(is_system: bool | None) -> bool:
    """Whose systemd is meant."""
    import os

    return os.geteuid() == 0 if is_system is None else is_system


def _refuse_what_cannot_run(places: "Places") -> None:
    """Raise UsageError where units could be written and would never run."""
    import os

    from rnts.errors import UsageError
    from rnts.unit_places import closed_folder

    if not places.is_system:
        return
    if os.geteuid() != 0:
        raise UsageError("--system needs root; --user installs for this user alone")
    for path in (places.python, __file__):
        if (closed := closed_folder(path)) is not None:
            raise UsageError(
                f"{path} lies in {closed}, which only its owner may enter; install RNTS where all "
                "may (python -m venv /opt/rnts) and call `rnts service install` from there"
            )


def _put_in_force(places: "Places", files: dict[Path, str], starts: bool) -> None:
    """Write the files, remove former ones, and have systemd follow."""
    import os

    from rnts.commands.warmup import compile_if_cold
    from rnts.errors import ConnectError
    from rnts.systemctl import systemctl
    from rnts.unit_files import make_folders, our_files, write_files
    from rnts.unit_places import left_variables
    from rnts.unit_plan import TARGET

    make_folders(places)
    compile_if_cold()
    for path in write_files(files):
        typer.echo(f"{path}  written")
    if left := left_variables(os.environ):
        typer.echo(f"not in force for services: {', '.join(left)}; write them to a file", err=True)
    try:
        for path in our_files(places.is_system):
            if path not in files:
                if starts and path.suffix == ".service":
                    systemctl(places.is_system, "stop", path.name)
                path.unlink()
                typer.echo(f"{path}  removed")
        systemctl(places.is_system, "daemon-reload")
        systemctl(places.is_system, "enable", TARGET)
        if starts:
            systemctl(places.is_system, "restart", TARGET)
    except ConnectError as error:
        raise ConnectError(
            f"{error}; the units are written and not in force: install them again where systemd "
            "can be reached"
        ) from error
    if not places.is_system:
        typer.echo("they end with your last session, unless: loginctl enable-linger", err=True)


@app.command()
def uninstall(is_system: IsSystem = None) -> None:
    """Stop the services and remove their units; what they recorded, and drop-ins, stay."""
    from rnts.errors import ConnectError
    from rnts.systemctl import systemctl
    from rnts.unit_files import our_files
    from rnts.unit_plan import TARGET

    is_system = _for_system(is_system)
    paths = our_files(is_system)
    if not paths:
        typer.echo("nothing is installed")
        return
    trouble = None
    try:
        systemctl(is_system, "disable", "--now", TARGET)
    except ConnectError as error:  # no reason to leave units there that can be removed
        trouble = error
    for path in paths:
        path.unlink()
        typer.echo(f"{path}  removed")
    if trouble is not None:
        raise trouble
    systemctl(is_system, "daemon-reload")


@app.command()
def status(
    is_system: IsSystem = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell how the services are; exit code 1 where one of them does not run."""
    raise typer.Exit(int(not _tell_states(_for_system(is_system), as_json)))


def _tell_states(is_system: bool, as_json: bool) -> bool:
    """Print how the services are; whether there are any, and all of them run."""
    from rnts.systemctl import unit_states
    from rnts.unit_files import our_files

    names = [path.name for path in our_files(is_system) if path.suffix == ".service"]
    states = unit_states(is_system, names)
    if as_json:
        typer.echo(json.dumps({"version": 1, "system": is_system, "units": states}))
    elif not names:
        typer.echo("nothing is installed: `rnts service install`")
    else:
        typer.echo("\n".join(_line(name, states.get(name, {})) for name in names))
    active = [states.get(name, {}).get("ActiveState") == "active" for name in names]
    return bool(active) and all(active)


def _line(name: str, state: dict[str, str]) -> str:
    """A unit in one line."""
    words = [f"{name:<24}", f"{state.get('ActiveState', '?')} ({state.get('SubState', '?')})"]
    if state.get("Result", "success") != "success":
        words.append(f"because of {state['Result']}")
    words.append(f"pid {state.get('MainPID', '?')}, {state.get('NRestarts', '?')} restarts")
    return "  ".join([*words, *filter(None, [state.get("StatusText", "")])])
