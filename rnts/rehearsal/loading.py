"""Reads a file of tests of rules: all that is wrong with it is told with its line and column."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rnts.alerts.plan import make_plan
from rnts.durations import parse_duration_ns
from rnts.errors import ConfigError, UsageError
from rnts.nearest import suggest
from rnts.rehearsal.meanwhile import Deed, read_deeds, wrong_meanwhile
from rnts.rehearsal.notation import NotationError
from rnts.rehearsal.script import KNOWN_SERIES, MEMBERS_MAX, expand, field_of, read_values
from rnts.settings import Settings, load_alerts_of, load_file
from rnts.settings_alerts import SECTIONS
from rnts.settings_check import validate_as
from rnts.settings_rehearsal import Case, Check, NeuronSeries, RulesTest
from rnts.settings_scalar import place_within
from rnts.settings_sources import read, shipped
from rnts.settings_tree import KeyPath, Place, Problem, Tree, report, shorten

LENGTH_NS_MAX = 86_400_000_000_000  # of one test


@dataclass(frozen=True)
class RulesTestFile:
    """Tests that can be played, and the places of what they expect."""

    settings: Settings
    document: RulesTest
    tree: Tree
    deeds: Mapping[int, tuple[Deed, ...]]  # by the numbers of the tests

    def interval_ns(self, case: Case) -> int:
        """The time between two values of a test's series."""
        return parse_duration_ns(case.interval or self.document.interval)

    def place(self, path: KeyPath) -> Place:
        """Where something is written."""
        return self.tree.place(path)


class Chosen(NamedTuple):
    """One test that is to be played, and its number in its file."""

    file: RulesTestFile
    number: int
    case: Case


def load_all(paths: Iterable[Path], names: Sequence[str]) -> list[Chosen]:
    """The tests of these names in these files, all of them where no name is given.

    Raises ConfigError with the problems of all files, UsageError for a name that no test has.
    """
    files, problems = [], []
    for path in paths:
        try:
            files.append(load_rules_test(path))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    known = [case.name for file in files for case in file.document.tests]
    for name in names:
        if name not in known:
            raise UsageError(f"there is no test {shorten(name)!r}{suggest(name, known)}")
    return [
        Chosen(file, number, case)
        for file in files
        for number, case in enumerate(file.document.tests)
        if not names or case.name in names
    ]


def load_rules_test(path: Path) -> RulesTestFile:
    """The tests of a file; raises ConfigError with every problem of it, or of its rules."""
    tree = read(path, str(path))
    assert tree is not None, "only an optional file may be absent"
    if tree.problems and not tree.plain:
        raise _error(tree)
    names = (*SECTIONS, "alerting")
    document = validate_as(RulesTest, {name: shipped()[name] for name in names}, tree)
    if document is None:
        raise _error(tree)
    tree.problems += [*_wrong_origin(document, tree), *wrong_meanwhile(document, tree)]
    if tree.problems:
        raise _error(tree)
    if document.rules is None:
        settings = load_alerts_of(tree)
    else:
        settings = load_file(path.parent / document.rules)
    deeds = read_deeds(document, tree, path.parent)
    tree.problems += _wrong_tests(document, settings, deeds, tree)
    if tree.problems:
        raise _error(tree)
    return RulesTestFile(settings, document, tree, deeds)


def _error(tree: Tree) -> ConfigError:
    ordered = sorted(tree.problems, key=lambda it: (it.place.line, it.place.column))
    return ConfigError(report(ordered))


def _problem(tree: Tree, path: KeyPath, message: str) -> Problem:
    return Problem(tree.place(path), path, message)


def _wrong_origin(document: RulesTest, tree: Tree) -> Iterator[Problem]:
    """Rules stand in one place."""
    if document.rules is None and not document.alerts:
        message = "there are no rules; rules names their file, or they stand here under alerts"
        yield _problem(tree, (), message)
    for section in SECTIONS:
        if document.rules is not None and section in tree.plain:
            path: KeyPath = (section,)
            message = f"the file that rules names has its own {section}; leave out one of both"
            yield Problem(tree.names.get(path, tree.place(path)), path, message)


def _wrong_tests(
    document: RulesTest, settings: Settings, deeds: Mapping[int, tuple[Deed, ...]], tree: Tree
) -> Iterator[Problem]:
    """What is wrong with what the tests say of rules, receivers, neurons and times."""
    names: set[str] = set()
    if not document.tests:
        yield _problem(tree, ("tests",), "there is no test")
    for number, case in enumerate(document.tests):
        path: KeyPath = ("tests", number)
        if not case.checks:
            yield _problem(tree, (*path, "checks"), "it checks nothing")
        if case.name in names:
            message = f"{shorten(case.name)!r} is the name of an earlier test"
            yield _problem(tree, (*path, "name"), message)
        names.add(case.name)
        others = [deed.settings for deed in deeds[number] if deed.settings is not None]
        rules, receivers = _known(settings, *others)
        for name in case.rules:
            if name not in rules:
                message = f"there is no rule {shorten(name)!r}{suggest(name, rules)}"
                yield _problem(tree, (*path, "rules"), message)
        yield from _wrong_neurons(case.neurons, (*path, "neurons"), tree)
        yield from _wrong_times(case.checks, (*path, "checks"), tree)
        for index, check in enumerate(case.checks):
            yield from _wrong_names(check, (*path, "checks", index), rules, receivers, tree)


def _known(*all_settings: Settings) -> tuple[list[str], list[str]]:
    """The rules and receivers that there are at any time of a test."""
    rules = [alert.name for settings in all_settings for alert in settings.alerts]
    plans = map(make_plan, all_settings)
    return rules, [receiver.name for plan in plans for receiver in plan.receivers]


def _wrong_neurons(
    neurons: tuple[NeuronSeries, ...], path: KeyPath, tree: Tree
) -> Iterator[Problem]:
    known: set[str] = set()
    for index, neuron in enumerate(neurons):
        at = (*path, index)
        try:
            expanded = expand(neuron.name)
        except ValueError as error:
            yield _problem(tree, (*at, "name"), str(error))
            continue
        if twice := next((name for name in expanded if name in known), None):
            message = f"{shorten(twice)!r} is the name of an earlier neuron"
            yield _problem(tree, (*at, "name"), message)
        known.update(expanded)
        comes_ns = parse_duration_ns(neuron.comes)
        if neuron.leaves is not None and parse_duration_ns(neuron.leaves) <= comes_ns:
            message = f"{neuron.leaves} is not after it comes, at {neuron.comes}"
            yield _problem(tree, (*at, "leaves"), message)
        yield from _wrong_series(neuron, (*at, "series"), tree)
    if len(known) > MEMBERS_MAX:
        message = f"a test has at most {MEMBERS_MAX:,} neurons, and these are {len(known):,}"
        yield _problem(tree, path, message)


def _wrong_series(neuron: NeuronSeries, path: KeyPath, tree: Tree) -> Iterator[Problem]:
    by_field: dict[object, str] = {}
    for name, text in neuron.series.items():
        at = (*path, name)
        if name not in KNOWN_SERIES:
            where = tree.names.get(at, tree.place(at))
            message = f"unknown metric {shorten(name)}{suggest(name, KNOWN_SERIES)}"
            yield Problem(where, at, message)
            continue
        before = by_field.setdefault(field_of(name), name)
        if before != name:
            yield _problem(tree, at, f"{name} is {before} in another unit, or by another name")
        try:
            read_values(name, text)
        except NotationError as error:
            exact = place_within(tree.place(at), error.position)
            yield Problem(exact or tree.place(at), at, str(error))
        except ValueError as error:
            yield _problem(tree, at, str(error))


def _wrong_times(checks: tuple[Check, ...], path: KeyPath, tree: Tree) -> Iterator[Problem]:
    latest_ns, latest = -1, ""
    for index, check in enumerate(checks):
        at_ns = parse_duration_ns(check.at)
        at = (*path, index, "at")
        if at_ns <= latest_ns:
            yield _problem(tree, at, f"checks stand in the order of time; {latest} is before it")
        if at_ns > LENGTH_NS_MAX:
            yield _problem(tree, at, "a test is at most 1d long")
        latest_ns, latest = max(at_ns, latest_ns), check.at


def _wrong_names(
    check: Check, path: KeyPath, rules: list[str], receivers: list[str], tree: Tree
) -> Iterator[Problem]:
    """Rules and receivers that there are not."""
    named = [(("alerts", index, "rule"), each.rule) for index, each in enumerate(check.alerts)]
    named += [
        (("told", index, "rule"), each.rule)
        for index, each in enumerate(check.told)
        if each.rule is not None and each.kind != "digest"  # which has a name of its own
    ]
    for step, name in named:
        if name not in rules:
            message = f"there is no rule {shorten(name)!r}{suggest(name, rules)}"
            yield _problem(tree, (*path, *step), message)
    for index, each in enumerate(check.told):
        if each.receiver not in receivers:
            message = f"nobody is told by {shorten(each.receiver)!r}"
            at = (*path, "told", index, "receiver")
            yield _problem(tree, at, message + suggest(each.receiver, receivers))
