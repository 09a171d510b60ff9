"""The settings in force: found in files, environment and flags, checked, each with its origin.

Flags win over `RNTS_*` of the environment, that over ./rnts.yaml, that over
$XDG_CONFIG_HOME/rnts/config.yaml, that over /etc/rnts/config.yaml, that over the shipped defaults.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

from rnts.credentials import hide_action
from rnts.errors import ConfigError
from rnts.nearest import suggest
from rnts.settings_alerts import (
    SECTIONS,
    ActionSettings,
    Alert,
    Alerting,
    InhibitionSettings,
    ReceiverSettings,
)
from rnts.settings_alerts_check import wrong_references
from rnts.settings_check import validate
from rnts.settings_fields import Section
from rnts.settings_models import Agent, Aggregator, Telemetry, expects, leaves
from rnts.settings_processors import ProcessorRule
from rnts.settings_sources import (
    PATHS,
    environment_tree,
    file_places,
    flag_tree,
    read,
    shipped,
    variables,
)
from rnts.settings_tree import KeyPath, Place, Tree, dotted, merge, printable, report
from rnts.settings_yaml import write, write_document

_DEFAULT = Place("default")


@dataclass(frozen=True)
class Settings:
    """All settings of a process; equal ones compare equal wherever they came from."""

    telemetry: Telemetry
    alerts: tuple[Alert, ...]
    processors: tuple[ProcessorRule, ...]
    actions: tuple[ActionSettings, ...]
    receivers: tuple[ReceiverSettings, ...]
    inhibitions: tuple[InhibitionSettings, ...]
    alerting: Alerting
    agent: Agent
    aggregator: Aggregator
    _places: Mapping[KeyPath, Place] = field(repr=False, compare=False)

    @property
    def all_rules(self) -> tuple[Alert | ProcessorRule, ...]:
        """All that says who is told of what."""
        return (*self.alerts, *self.processors)

    def origin(self, setting: str) -> str:
        """Where a setting, such as "telemetry.collection.batch_size", got its value.

        Returns "file:line:column", "environment RNTS_…", "flag" or "default"; raises ValueError
        for what is no setting.
        """
        origins = self.origins()
        if setting not in origins:
            raise ValueError(f"{setting!r} is no setting{suggest(setting, origins)}")
        return origins[setting]

    def origins(self) -> dict[str, str]:
        """The origin of every setting, by its dotted path."""
        return {dotted(path): printable(str(place)) for path, place in self._places.items()}

    def plain(self) -> dict[str, Any]:
        """The settings as mappings, lists and scalars, in the order of the shipped file."""
        return {
            "telemetry": self.telemetry.model_dump(mode="json"),
            **{name: [_said(entry) for entry in getattr(self, name)] for name in SECTIONS},
            "alerting": self.alerting.model_dump(mode="json"),
            "agent": self.agent.model_dump(mode="json"),
            "aggregator": self.aggregator.model_dump(mode="json"),
        }

    def shown(self) -> dict[str, Any]:
        """The same, with `***` for what lets somebody in."""
        plain = self.plain()
        return {**plain, "actions": [hide_action(entry) for entry in plain["actions"]]}

    def to_yaml(self, notes: Mapping[str, str]) -> str:
        """What may be shown, as a file that can be loaded, with `notes` as comments by path."""
        return write_document(self.shown(), notes)


def load(
    config: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
) -> Settings:
    """The settings in force; raises ConfigError with every problem of every source.

    `config` replaces the three file places. `overrides` are flags, by dotted path; None means that
    a flag was not given. Lists replace lists, sections are joined.
    """
    if config is not None:
        found = [read(config, os.fspath(config))]
    else:
        found = [
            read(path, name, optional=True) for path, name in file_places(environ, cwd or Path())
        ]
    trees = [tree for tree in found if tree is not None]
    return _settle([*trees, environment_tree(environ), flag_tree(overrides or {})])


def with_alerts_of(settings: Settings, rules: Settings) -> Settings:
    """Settings with all that is about alerts, and nothing else, as a file of rules has it."""
    names = (*SECTIONS, "alerting")
    return replace(settings, **{name: getattr(rules, name) for name in names})


def load_file(path: Path) -> Settings:
    """The settings of one file over the shipped defaults, without the environment of this process.

    Raises ConfigError with every problem of the file.
    """
    tree = read(path, os.fspath(path))
    assert tree is not None, "only an optional file may be absent"
    return _settle([tree])


def load_alerts_of(tree: Tree) -> Settings:
    """The settings with the alerts that a tree has beside other things, over the shipped defaults.

    Raises ConfigError with every problem of these sections.
    """
    names = (*SECTIONS, "alerting")
    plain = {name: tree.plain[name] for name in names if name in tree.plain}
    return _settle([Tree(tree.source, plain, tree.places, tree.names)])


def table() -> str:
    """Every setting as a Markdown table, for docs/settings.md."""
    defaults = _settle([]).plain()
    lines = [
        "| setting | environment | default | belongs there | meaning |",
        "|---|---|---|---|---|",
    ]
    names = {path: name for name, path in variables().items()}
    for path, info in leaves():
        variable = f"`{names[path]}`" if path in names else ""
        default = write(reduce(dict.__getitem__, map(str, path), defaults))
        lines.append(
            f"| `{dotted(path)}` | {variable} | `{default}` | {expects(info)} "
            f"| {info.description} |"
        )
    for name, section in SECTIONS.items():
        for path, info in leaves(section, (name, "N")):
            default = "required" if info.is_required() else f"`{write(info.default)}`"
            said = f"{default} | {expects(info)} | {info.description}"
            lines.append(f"| `{dotted(path)}` |  | {said} |")
    return "\n".join(lines) + "\n"


def _settle(trees: list[Tree]) -> Settings:
    """Check each source by itself, so that none hides a mistake of another, then join them."""
    plain = shipped()
    for tree in trees:
        validate(shipped(), tree)
        plain = merge(plain, tree.plain)
    # What refers to something may do so over the borders of sources.
    for tree in trees:
        tree.problems += wrong_references(plain, tree)
        tree.problems.sort(key=lambda it: (it.place.line, it.place.column))
    if problems := [problem for tree in trees for problem in tree.problems]:
        raise ConfigError(report(problems))
    document = validate(plain, Tree("settings", {}))
    assert document is not None, "sources that are valid by themselves are valid together"
    places = {path: _origin(trees, path) for path in PATHS}
    sections = {name: getattr(document, name) for name in type(document).model_fields}
    return Settings(**sections, _places=places)


def _said(entry: Section) -> dict[str, Any]:
    """An entry of a list, without what is as it is anyway."""
    return entry.model_dump(mode="json", exclude_defaults=True)


def _origin(trees: list[Tree], path: KeyPath) -> Place:
    for tree in reversed(trees):
        value = tree.plain
        for step in path:
            if not isinstance(value, dict) or step not in value:
                break
            value = value[step]
        else:
            return tree.place(path)
    return _DEFAULT
