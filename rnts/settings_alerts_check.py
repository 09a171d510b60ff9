"""What is wrong with alerts beyond each setting by itself: conditions, kinds, unknown names."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rnts.nearest import suggest
from rnts.settings_alerts import SECTIONS
from rnts.settings_scalar import place_within
from rnts.settings_tree import PROBLEMS_MAX, KeyPath, Problem, Tree, shorten
from rnts.settings_values import (
    check_command,
    check_environment,
    check_headers,
    check_topic_address,
    check_url,
)

# Actions that are there without an entry; one of the same name replaces them.
LOG_ACTION, EMERGENCY_ACTION = "log", "trigger_emergency_protocol"
BUILT_IN = (LOG_ACTION, EMERGENCY_ACTION)
# Which settings of an action belong to which kind of it; all others belong to each.
KINDS: Mapping[str, tuple[str, ...]] = {
    "command": ("command", "environment", "timeout"),
    "webhook": ("url", "headers", "authority", "timeout"),
    "publish": ("topic", "endpoint"),
    "log": (),
    "alertmanager": ("url", "headers", "authority", "timeout"),
    "apprise": ("url",),
}
NEEDS: Mapping[str, str] = {
    "command": "command",
    "webhook": "url",
    "alertmanager": "url",
    "apprise": "url",
}

Entries = list[tuple[int, dict[str, Any]]]


def wrong_alerts(plain: dict[str, Any], tree: Tree) -> Iterator[Problem]:
    """What a source says wrong by itself."""
    for sections in (("alerts", "processors"), ("actions",), ("receivers",)):
        yield from _names_twice(sections, plain, tree)
    yield from _wrong_conditions(plain, tree)
    for index, action in _entries(plain, "actions"):
        yield from _wrong_action(("actions", index), action, tree)


def wrong_references(plain: dict[str, Any], tree: Tree) -> Iterator[Problem]:
    """What the lists of a source name and nobody has, in the settings of all sources."""
    rules = [*_names(plain, "alerts"), *_names(plain, "processors")]
    actions, receivers = (_names(plain, name) for name in ("actions", "receivers"))
    known_actions = dict.fromkeys((*actions, *BUILT_IN))
    mine = {name: tree.plain.get(name) for name in SECTIONS}
    path: KeyPath
    for section in ("alerts", "processors"):
        for index, rule in _entries(mine, section):
            path = (section, index)
            yield from _unknown((*path, "action"), rule, known_actions, "actions", tree)
            yield from _unknown((*path, "receivers"), rule, receivers, "receivers", tree)
    for index, receiver in _entries(mine, "receivers"):
        path = ("receivers", index, "actions")
        yield from _unknown(path, receiver, known_actions, "actions", tree)
        said = receiver.get("actions")
        for name in (said,) if isinstance(said, str) else said if isinstance(said, tuple) else ():
            way = f"{receiver.get('name')}/{name}"
            if way in actions:  # alerts know both by one name, so one of them would hear nothing
                message = f"what is told this way is called {shorten(way)!r}, as an action is"
                yield Problem(tree.place(path), path, message)
    for index, inhibition in _entries(mine, "inhibitions"):
        for side in ("source", "target"):
            matchers = inhibition.get(side)
            named = matchers.get("rule") if isinstance(matchers, dict) else None
            if isinstance(named, str) and named not in rules:
                path = ("inhibitions", index, side, "rule")
                message = f"there is no rule {shorten(named)!r}{suggest(named, rules)}"
                yield Problem(tree.place(path), path, message)


def _is_checkable(name: str, value: Any) -> bool:
    """Whether a value has the type that it should have; of what has not that is said."""
    if name in ("headers", "environment"):
        return isinstance(value, dict) and set(map(type, (*value, *value.values()))) <= {str}
    if name == "command":
        return isinstance(value, tuple) and set(map(type, value)) <= {str}
    return isinstance(value, str)


def _unknown(
    path: KeyPath, entry: dict[str, Any], known: Iterable[str], section: str, tree: Tree
) -> Iterator[Problem]:
    """Names at `path`, one or a list of them, that no entry of the section has."""
    said = entry.get(str(path[-1]))
    is_one = isinstance(said, str)
    for index, name in enumerate((said,) if is_one else said if isinstance(said, tuple) else ()):
        if isinstance(name, str) and name not in known:
            at = path if is_one else (*path, index)
            message = f"no entry of {section} has the name {shorten(name)!r}{suggest(name, known)}"
            yield Problem(tree.place(at), at, message)


def _entries(plain: dict[str, Any], section: str) -> Entries:
    """The entries of a list that are mappings, each with its number."""
    entries = plain.get(section)
    listed = entries if isinstance(entries, tuple) else ()
    return [(index, entry) for index, entry in enumerate(listed) if isinstance(entry, dict)]


def _names(plain: dict[str, Any], section: str) -> list[str]:
    names = (entry.get("name") for _, entry in _entries(plain, section))
    return [name for name in names if isinstance(name, str)]


def _names_twice(sections: tuple[str, ...], plain: dict[str, Any], tree: Tree) -> Iterator[Problem]:
    """Entries that are called as an earlier one; rules of all sorts share their names."""
    first: dict[str, KeyPath] = {}
    for section in sections:
        for index, entry in _entries(plain, section):
            name = entry.get("name")
            if isinstance(name, str):
                path: KeyPath = (section, index, "name")
                before = first.setdefault(name, path)
                if before != path:
                    what = str(before[0]).removesuffix("s")
                    message = f"the name of an earlier {what}, at {tree.place(before)}"
                    yield Problem(tree.place(path), path, f"{shorten(name)!r} is {message}")


def _wrong_conditions(plain: dict[str, Any], tree: Tree) -> Iterator[Problem]:
    """What is wrong with the conditions of alerts, each fault at its own place."""
    rules = _entries(plain, "alerts")
    if not rules:
        return
    from rnts.rules.condition import Condition, parse_condition
    from rnts.rules.faults import RuleError

    found = 0
    for index, rule in rules:
        parsed: dict[str, Condition] = {}
        for name in ("condition", "resolve_when"):
            text, path = rule.get(name), ("alerts", index, name)
            place = tree.place(path)
            if not isinstance(text, str):
                continue
            if found >= PROBLEMS_MAX:  # Looking for similar names takes its time.
                message = "conditions from here on are checked when those are mended"
                yield Problem(place, path, message)
                return
            try:
                parsed[name] = parse_condition(text)
            except RuleError as error:
                found += len(error.faults)
                for fault in error.faults:
                    exact = place_within(place, fault.position)
                    note = "" if exact else f" (at {fault.where(text)} of the condition)"
                    yield Problem(exact or place, path, fault.message + note)
        if message := _misfit(parsed.get("condition"), parsed.get("resolve_when")):
            path = ("alerts", index, "resolve_when")
            yield Problem(tree.place(path), path, message)


def _misfit(condition: Any, resolve: Any) -> str:
    """Why a second condition cannot say when the first one's alerts have recovered; else empty."""
    if condition is None or resolve is None:
        return ""
    if resolve.for_ns:
        return "keep_firing_for says how long a recovery has to hold; leave out for"
    if resolve.scope != condition.scope:
        scopes = f"it is by {resolve.scope} and the condition by {condition.scope}"
        return f"{scopes}; both are about the same, so write by {condition.scope}"
    return ""


def _wrong_action(path: KeyPath, action: dict[str, Any], tree: Tree) -> Iterator[Problem]:
    """Settings of an action that its kind needs, or does not have."""
    kind = action.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return
    article = "an" if kind[0] in "ae" else "a"
    need = NEEDS.get(kind)
    if need and not action.get(need):
        message = f"{need} is missing; {article} {kind} needs it"
        yield Problem(tree.place((*path, need)), path, message)
    of_kinds = {name for names in KINDS.values() for name in names}
    for name in action:
        at = (*path, name)
        if name in of_kinds and name not in KINDS[kind]:
            owners = [other for other, names in KINDS.items() if name in names]
            message = f"belongs to {', '.join(owners)}, and this is {article} {kind}"
            yield Problem(tree.names.get(at, tree.place(at)), at, message)
    checks: list[tuple[str, Callable[[Any], object]]] = [("endpoint", check_topic_address)]
    if kind == "command":
        checks += [("command", check_command), ("environment", check_environment)]
    if kind in ("webhook", "alertmanager"):
        checks += [("url", check_url), ("headers", check_headers)]
    for name, check in checks:
        value, at = action.get(name), (*path, name)
        if _is_checkable(name, value):
            try:
                check(value)
            except ValueError as error:
                yield Problem(tree.place(at), at, shorten(str(error), 200))
