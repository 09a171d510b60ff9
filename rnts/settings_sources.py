"""Where settings come from: the shipped file, the user's files, the environment and flags."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rnts.nearest import suggest
from rnts.settings_models import leaves
from rnts.settings_tree import KeyPath, Place, Tree, merge, report
from rnts.settings_yaml import NOT_YAML, parse

SYSTEM_FILE = Path("/etc/rnts/config.yaml")
LOCAL_FILE = Path("rnts.yaml")
FILE_BYTES_MAX = 1 << 20
PATHS: tuple[KeyPath, ...] = tuple(path for path, _ in leaves())


@cache
def shipped() -> dict[str, Any]:
    """The defaults; complete, not to be changed."""
    text = files("rnts.config").joinpath("rnts.yaml").read_text("utf-8")
    tree = parse(text, "config/rnts.yaml")
    assert not tree.problems, report(tree.problems)
    return tree.plain


def read(path: Path, source: str, optional: bool = False) -> Tree | None:
    """The settings of a file, called `source` in messages; None if it is optional and not there."""
    tree = Tree(source, {})
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        tree.refuse(Place(source), (), f"cannot be read: {error.strerror or error}")
        return tree
    if len(data) > FILE_BYTES_MAX:
        tree.refuse(Place(source), (), f"is larger than {FILE_BYTES_MAX} bytes")
        return tree
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        message = f"byte {data[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        tree.refuse(Place.after(source, before), (), message)
        return tree
    tree = parse(text, source)
    if not isinstance(tree.plain, dict | None):
        message = "the file is not a mapping; it begins with a section, for example telemetry:"
        tree.refuse(tree.place(()), (), message)
    tree.plain = tree.plain if isinstance(tree.plain, dict) else {}
    return tree


def file_places(environ: Mapping[str, str], cwd: Path) -> Iterator[tuple[Path, str]]:
    """Files that are read where they exist, least important first, and their names in messages."""
    yield SYSTEM_FILE, str(SYSTEM_FILE)
    folder = environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification has relative folders ignored.
    if not os.path.isabs(folder) and os.path.isabs(environ.get("HOME", "")):
        folder = os.path.join(environ["HOME"], ".config")
    if os.path.isabs(folder):
        path = Path(folder, "rnts", "config.yaml")
        yield path, os.fspath(path)
    yield cwd / LOCAL_FILE, str(LOCAL_FILE)


@cache
def variables() -> dict[str, KeyPath]:
    """The names of environment variables; the word telemetry is left out of them."""
    names = {path: [str(step).upper() for step in path if step != "telemetry"] for path in PATHS}
    return {f"RNTS_{'__'.join(name)}": path for path, name in names.items() if len(name) > 1}


def environment_tree(environ: Mapping[str, str]) -> Tree:
    """Settings of the environment; names without `__` are no settings and are passed over."""
    tree = Tree("environment", {})
    for name in sorted(environ):
        if not name.startswith("RNTS_") or "__" not in name.removeprefix("RNTS_"):
            continue
        source = f"environment {name}"
        path = variables().get(name)
        if path is None:
            tree.refuse(Place(source), (), f"unknown setting{suggest(name, variables())}")
            continue
        value = parse(environ[name], source)
        for problem in value.problems:
            quote = "; text with such characters needs quotes inside the value"
            hint = quote if problem.message.startswith(NOT_YAML) else ""
            tree.refuse(Place(source), path + problem.path, problem.message + hint)
        if not value.problems:
            tree.plain = merge(tree.plain, _nested(path, value.plain))
            tree.places[path] = Place(source)
        for below, place in value.places.items():
            tree.places[path + below] = replace(place, line=0, column=0)
    return tree


def flag_tree(overrides: Mapping[str, object]) -> Tree:
    """Settings that were given as flags."""
    tree = Tree("flag", {})
    for name, value in overrides.items():
        if value is not None:
            value = tuple(value) if isinstance(value, list) else value
            value = os.fspath(value) if isinstance(value, Path) else value
            tree.plain = merge(tree.plain, _nested(tuple(name.split(".")), value))
    return tree


def _nested(path: KeyPath, value: object) -> dict[str, Any]:
    """The mapping that holds only `value`, at `path`."""
    nested: Any = value
    for step in reversed(path):
        nested = {step: nested}
    return nested
