"""`rnts keys`: this machine's pair of keys, and the keys of others that it lets in or believes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnts.commands._options import Config

if TYPE_CHECKING:
    from rnts.keys import Allowed, KeyFolder

_NOBODY = "nobody is let in or believed yet; `rnts keys allow KEY NAME` lets a machine in"

app = typer.Typer(
    help="Make keys for links that other machines can reach, and say whose are let in.",
    no_args_is_help=True,
)


def _folder(config: Path | None) -> "KeyFolder":
    from rnts.keys import KeyFolder
    from rnts.links.options import configured

    return KeyFolder(configured(config).keys)


@app.command()
def generate(
    force: Annotated[
        bool, typer.Option("--force", help="Replace the keys that there are.")
    ] = False,
    config: Config = None,
) -> None:
    """Make a pair of keys for this user, and print the public one."""
    from rnts.links.zmq_curve import make_secret, public_key

    keys, secret = _folder(config), make_secret()
    keys.keep_secret(secret, force)
    typer.echo(public_key(secret))


@app.command()
def show(config: Config = None) -> None:
    """Print this user's public key; the secret one is shown to nobody."""
    from rnts.links.zmq_curve import public_key

    typer.echo(public_key(_folder(config).secret()))


@app.command()
def allow(
    key: Annotated[str, typer.Argument(help="Public key, as `rnts keys show` prints it there.")],
    name: Annotated[str, typer.Argument(help="What to call it, such as the machine's name.")],
    agent: Annotated[
        int | None, typer.Option(metavar="ID", help="The only agent that it may speak for.")
    ] = None,
    viewer: Annotated[bool, typer.Option("--viewer", help="It may ask, and send nothing.")] = False,
    config: Config = None,
) -> None:
    """Let a key in at this user's aggregator; a running one notices."""
    from rnts.errors import UsageError
    from rnts.keys import Allowed, check_key, check_key_name

    if viewer and agent is not None:
        raise UsageError("a viewer speaks for no agent; leave out --agent or --viewer")
    if agent is not None and not 0 <= agent < 1 << 64:
        raise UsageError(f"{agent} is no agent's id: a whole number below 2^64")
    role = "viewer" if viewer else "agent"
    _folder(config).allow(Allowed(check_key(key), role, check_key_name(name), agent))


@app.command()
def trust(
    endpoint: Annotated[str, typer.Argument(help="Address as in the settings: tcp://host:port.")],
    key: Annotated[str, typer.Argument(help="Public key, as `rnts keys show` prints it there.")],
    config: Config = None,
) -> None:
    """Say which key the aggregator at an address has; agents and viewers talk to no other."""
    from rnts.errors import UsageError
    from rnts.keys import check_key
    from rnts.settings_values import check_endpoint, with_scheme

    try:
        address = with_scheme(check_endpoint(endpoint))
    except ValueError as error:
        raise UsageError(str(error)) from error
    _folder(config).trust(address, check_key(key))


@app.command()
def remove(
    what: Annotated[str, typer.Argument(metavar="KEY|NAME|ADDRESS", help="What to take off.")],
    config: Config = None,
) -> None:
    """Let a key in no more, or believe an aggregator no more; a running one notices."""
    from rnts.errors import UsageError

    keys = _folder(config)
    if not keys.remove(what):
        raise UsageError(f"no key has the key, name or address {what!r}; see `rnts keys list`")


@app.command(name="list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    config: Config = None,
) -> None:
    """Print which keys are let in, and which aggregators are believed."""
    keys = _folder(config)
    allowed, trusted = list(keys.allowed().values()), keys.trusted()
    if as_json:
        typer.echo(json.dumps(_document(allowed, trusted)))
        return
    for each in allowed:
        pinned = "" if each.agent_id is None else f"  only agent {each.agent_id}"
        typer.echo(f"{each.key}  {each.role:<6}  {each.name}{pinned}")
    for endpoint, key in trusted.items():
        typer.echo(f"{key}  trusted {endpoint}")
    if not allowed and not trusted:
        typer.echo(f"rnts: {_NOBODY}", err=True)


def _document(allowed: "list[Allowed]", trusted: dict[str, str]) -> dict[str, Any]:
    """The lists as programs read them; an id is text, as it may have 64 bits."""
    let_in = [
        {
            "key": each.key,
            "role": each.role,
            "name": each.name,
            "agent_id": None if each.agent_id is None else str(each.agent_id),
        }
        for each in allowed
    ]
    believed = [{"endpoint": endpoint, "key": key} for endpoint, key in trusted.items()]
    return {"version": 1, "allowed": let_in, "trusted": believed}
