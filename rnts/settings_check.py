"""What pydantic finds wrong with settings, told to a person: what is there, what belongs there."""

import difflib
import math
from dataclasses import replace
from functools import partial
from types import UnionType
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from rnts.credentials import HIDDEN, may_hold
from rnts.nearest import suggest
from rnts.settings_alerts_check import wrong_alerts
from rnts.settings_models import Document, Section, example, expects, leaves
from rnts.settings_tree import (
    PROBLEMS_MAX,
    KeyPath,
    Place,
    Problem,
    Tree,
    dotted,
    merge,
    shorten,
)
from rnts.settings_yaml import write

Root = TypeVar("Root", bound=Section)


def validate(base: dict[str, Any], tree: Tree) -> Document | None:
    """The settings of `tree` over the complete ones in `base`; None notes problems in the tree."""
    return validate_as(Document, base, tree)


def validate_as(root: type[Root], base: dict[str, Any], tree: Tree) -> Root | None:
    """What `tree` says over `base`, as a document of another sort that has sections of alerts."""
    plain = merge(base, tree.plain)
    tree.problems += wrong_alerts(plain, tree)
    document = None
    try:
        document = root.model_validate(plain)
    except ValidationError as error:
        for index, detail in enumerate(error.errors(include_url=False)):
            # Only so many are shown, and looking for similar names takes its time.
            tell = partial(_problem, root) if index < PROBLEMS_MAX else _problem_in_short
            tree.problems.append(tell(base, tree, detail))
    return None if tree.problems else document


def _problem_in_short(_base: dict[str, Any], tree: Tree, detail: Any) -> Problem:
    """One error in pydantic's own words."""
    return Problem(tree.place(detail["loc"]), detail["loc"], shorten(detail["msg"], 200))


def _problem(root: type[Section], base: dict[str, Any], tree: Tree, detail: Any) -> Problem:
    """One error of pydantic as a problem at the place where a person can mend it."""
    path: KeyPath = detail["loc"]
    kind, value = detail["type"], detail["input"]
    place = tree.place(path)
    if kind == "extra_forbidden":
        return Problem(tree.names.get(path, place), path, _unknown(root, path))
    if kind == "missing":
        *above, name = path
        info = _field(root, path)
        assert isinstance(info, FieldInfo)
        message = f"{name} is missing; expected {expects(info)}, for example {write(example(info))}"
        return Problem(place, tuple(above), message)
    if kind == "value_error":
        return Problem(place, path, shorten(str(detail["ctx"]["error"]), 200))
    if may_hold(path):
        place = replace(place, text=HIDDEN, raw="")
        value = HIDDEN if isinstance(value, str) else value
    wanted = _field(root, path)
    found = f"found {_describe(value, place)}"
    if not isinstance(wanted, FieldInfo):
        names = ", ".join(wanted.model_fields)
        return Problem(place, path, f"{found}; expected a mapping of {names}")
    is_item = isinstance(path[-1], int) or isinstance(_field(root, path[:-1]), FieldInfo)
    shown = example(wanted) or _dig(base, path)
    if is_item and isinstance(shown, tuple):
        shown = shown[0]
    elif is_item and isinstance(shown, dict):
        shown = next(iter(shown.values()))
    shown = list(shown) if isinstance(shown, tuple) else shown
    message = f"{found}; expected {expects(wanted, is_item)}, for example {write(shown)}"
    hint = "" if expects(wanted).startswith("a duration") else _hint(kind, value, place)
    return Problem(place, path, message + hint)


def _unknown(root: type[Section], path: KeyPath) -> str:
    *above, name = path
    section = _field(root, tuple(above))
    assert not isinstance(section, FieldInfo)
    if reason := section.no_settings.get(str(name)):
        return reason
    known = list(section.model_fields)
    paths = (leaf[:length] for leaf, _ in leaves(root) for length in range(1, len(leaf) + 1))
    elsewhere = [dotted(other) for other in paths if other[-1] == name]
    if elsewhere and not difflib.get_close_matches(str(name), known, n=1):
        return f"unknown setting; did you mean {elsewhere[0]}?"
    return f"unknown setting{suggest(str(name), known)}"


def _field(root: type[Section], path: KeyPath) -> FieldInfo | type[Section]:
    """The setting at `path`, for an item that of its list; or the section that is there."""
    found: Any = root
    for step in path:
        if isinstance(step, int):
            found = _section_of(get_args(found.annotation)[0]) or found
        elif not isinstance(found, FieldInfo):  # else it is a name of a person in a mapping
            info = found.model_fields[step]
            found = _section_of(info.annotation) or info
    return found


def _section_of(annotation: Any) -> type[Section] | None:
    """The section that is to be there, perhaps or always."""
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    found = (each for each in kinds if isinstance(each, type) and issubclass(each, Section))
    return next(found, None)


def _dig(plain: Any, path: KeyPath) -> Any:
    """The value at `path`; that of the list where `path` ends inside one."""
    for step in path:
        if not isinstance(plain, dict):
            return plain
        plain = plain[step]
    return plain


def _describe(value: object, place: Place) -> str:
    """A value in words, as the person spelled it."""
    text = shorten(str(value) if place.text is None else place.text)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"{text}, a boolean{'' if text.lower() in ('true', 'false') else ' to YAML 1.1'}"
    if isinstance(value, int | float):
        return f"the number {text}"
    if isinstance(value, str):
        return f"the text {shorten(value)!r}"
    if isinstance(value, tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    return f"a {type(value).__name__}"


def _hint(kind: str, value: object, place: Place) -> str:
    """How to spell what was probably meant, where YAML took it for something else."""
    if kind == "string_type" and place.text and isinstance(value, bool | int | float):
        return f'; to make it text, quote it: "{shorten(place.text)}"'
    if kind not in ("int_type", "float_type") or not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    if not place.plain:
        return "; a number stands without quotes"
    written = write(int(number) if number.is_integer() else number)
    return f"; YAML 1.1 takes {shorten(value)} for text, write {shorten(written)}"
