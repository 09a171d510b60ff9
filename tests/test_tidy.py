"""The repository keeps its own rules, and the rules can tell when it does not."""

import os
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tidy import RULES, Rule, read_tree

ROOT = Path(__file__).resolve().parent.parent
TREE = read_tree(ROOT)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CHECKS = {rule.check.__name__: rule.check for rule in RULES}


@pytest.mark.parametrize("name", CHECKS)
def test_repository_keeps_the_rule(name: str) -> None:
    """The check finds nothing in this repository."""
    problems = list(CHECKS[name](TREE))

    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.check.__name__)
def test_rule_can_fail(rule: Rule) -> None:
    """The check finds something in a tree that was made to break it."""
    assert list(rule.check(rule.broken))


def test_tree_is_read_whole() -> None:
    """Layers, tests, scripts and documents are all among what is checked, each file once."""
    for path in ("rnts/model.py", "kernels/_jit.py", "tests/tidy.py", "scripts/up", "README.md"):
        assert path in TREE
    assert not [path for path in TREE if path.startswith(("rnts/kernels/", ".venv/", ".git/"))]


@pytest.mark.parametrize("name", ["kernels", "commands", "config", "perf"])
def test_links_lead_to_the_folders_at_the_top(name: str) -> None:
    """`rnts/NAME` is a relative link, so that tools that read the tree find the packages."""
    assert os.readlink(ROOT / "rnts" / name) == f"../{name}"


def test_packages_are_those_on_disk() -> None:
    """Each package that is installed exists, and each one that exists is installed."""
    folders = PROJECT["tool"]["setuptools"]["package-dir"]
    found = {"rnts", "rnts.kernels", "rnts.commands", "rnts.config", "rnts.perf"}
    for path in TREE:
        if re.fullmatch(r"rnts/.+/__init__\.py", path):
            found.add(Path(path).parent.as_posix().replace("/", "."))

    assert sorted(found) == sorted(PROJECT["tool"]["setuptools"]["packages"])
    for package in found:
        assert f"{folders[package]}/__init__.py" in TREE


def test_constraints_pin_all_that_is_installed() -> None:
    """What RNTS, its tools and their dependencies are here is what the constraints say."""
    lines = TREE["constraints.txt"].splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    optional = PROJECT["project"]["optional-dependencies"]
    installed = with_dependencies(PROJECT["project"]["dependencies"] + optional["dev"])
    peers = with_dependencies(optional["bench"])  # set-up does not install them, a person may

    assert installed == {name: pinned.get(name) for name in installed}
    assert {*installed, *peers, "setuptools"} <= pinned.keys()
    if None not in peers.values():
        assert sorted(pinned) == sorted({*installed, *peers, "setuptools"})


def with_dependencies(requirements: list[str]) -> dict[str, str | None]:
    """Versions of these and of all that they need, by name; None for what is not there."""
    waiting = [Requirement(line) for line in requirements]
    found: dict[str, str | None] = {}
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate()):
            continue
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
        else:
            waiting += [Requirement(line) for line in metadata.requires(name) or []]
    return found
