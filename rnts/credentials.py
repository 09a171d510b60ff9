"""Hides what lets somebody in, wherever settings of actions are shown: in files, logs, messages."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"
SECRET_SETTINGS = ("headers", "url", "environment", "command")  # of an action, which may hold some
# Pieces of a path that no person has made up: the addresses of chats end in such.
_LONG_CHARACTERS = 16
_NAMED = re.compile(r"(?i)pass|pwd|secret|token|key|auth(?!ors?\b)|credential|cookie|dsn")
_GIVEN = re.compile(r"([\w.-]+)(=|: *)(.+)", re.DOTALL)  # --token=a, TOKEN=a, Authorization: a
_USER = re.compile(r"(//)[^/?#@\s]*@|^[^/?#@\s]+:[^/?#@\s]*@")
_QUERY_VALUE = re.compile(r"=[^&#]+")


def hide_address(address: str) -> str:
    """An address as it may be shown: those of apprise have credentials anywhere but in front."""
    scheme, colon, _ = address.partition("://")
    if colon and scheme.lower() not in ("http", "https"):
        return f"{scheme}://{HIDDEN}"
    return hide_http(address)


def hide_http(address: str) -> str:
    """An address, or its end, without user, values of the query, and long pieces of the path."""
    front = _USER.sub(rf"\g<1>{HIDDEN}@", address.partition("#")[0])
    path, mark, query = front.partition("?")
    pieces = path.split("/")
    first = 3 if "://" in path else 1  # what comes before is scheme and host
    hidden = [*pieces[:first], *(HIDDEN if _is_long(each) else each for each in pieces[first:])]
    if mark:
        query = _QUERY_VALUE.sub(f"={HIDDEN}", query) if "=" in query else HIDDEN
    return "/".join(hidden) + mark + query


def _is_long(piece: str) -> bool:
    return len(piece) >= _LONG_CHARACTERS and any(map(str.isdigit, piece))


def hide_arguments(arguments: Sequence[str]) -> list[str]:
    """A command without what a name such as `--token` gives, and without that of addresses."""
    shown: list[str] = []
    is_next = False
    for argument in arguments:
        given = _GIVEN.fullmatch(argument)
        if is_next:
            shown.append(HIDDEN)
        elif given and _NAMED.search(given[1]):
            shown.append(given[1] + given[2] + HIDDEN)
        else:
            shown.append(hide_address(argument) if "://" in argument else argument)
        is_option = argument.startswith("-") and not given and not is_next
        is_next = is_option and bool(_NAMED.search(argument))
    return shown


def hide_variable(name: str, value: str) -> str:
    """The value of a variable, unless its name says that it lets somebody in."""
    if _NAMED.search(name):
        return HIDDEN
    return hide_address(value) if "://" in value else value


def hide_action(said: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an action as they may be shown to anybody."""
    shown = dict(said)
    if said.get("url"):
        shown["url"] = hide_address(said["url"])
    if "headers" in said:
        shown["headers"] = dict.fromkeys(said["headers"], HIDDEN)
    if "environment" in said:
        variables = said["environment"].items()
        shown["environment"] = {name: hide_variable(name, value) for name, value in variables}
    if "command" in said:
        shown["command"] = hide_arguments(said["command"])
    return shown


def may_hold(path: Sequence[str | int]) -> bool:
    """Whether what stands at a path of settings may let somebody in."""
    steps = zip(path, path[2:], strict=False)
    return any(one == "actions" and other in SECRET_SETTINGS for one, other in steps)
