"""What a test has people and processes do meanwhile: silences, restarts, and other rules."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rnts.durations import parse_duration_ns
from rnts.errors import ConfigError
from rnts.rehearsal.script import Script
from rnts.rehearsal.stage import Stage
from rnts.settings import Settings, load_alerts_of, load_file
from rnts.settings_rehearsal import Case, Meanwhile, RulesTest
from rnts.settings_tree import KeyPath, Problem, Tree

KINDS = ("silence", "restart", "reload")


class Deed(NamedTuple):
    """Something that is done; `settings` are those that are gone over to."""

    said: Meanwhile
    settings: Settings | None

    @property
    def at_ns(self) -> int:
        """When, since the beginning of its test."""
        return parse_duration_ns(self.said.at)

    @property
    def moments(self) -> set[int]:
        """When something happens by it: a silence also ends."""
        said = self.said.silence
        ends = set() if said is None else {self.at_ns + parse_duration_ns(said.lasts)}
        return {self.at_ns} | ends

    def do(self, stage: Stage, script: Script) -> None:
        """Do it, now."""
        said = self.said
        if said.silence is not None:
            asked = {
                "type": "silence",
                "matchers": said.silence.matchers,
                "for_ns": parse_duration_ns(said.silence.lasts),
                "author": said.silence.author,
                "comment": said.silence.comment,
            }
            answer = stage.ask(asked)
            assert "silence" in answer, answer
        elif said.restart == "alert":
            stage.restart_alerts()
        elif said.restart == "aggregator":
            stage.restart_aggregator()
            script.name_again()
        else:
            assert self.settings is not None
            stage.reload(self.settings)


def read_deeds(document: RulesTest, tree: Tree, folder: Path) -> Mapping[int, tuple[Deed, ...]]:
    """What is done in each test, by its number; raises ConfigError for other rules that are wrong.

    All that is wrong with any of them is told together.
    """
    found, problems = {}, []
    for number, case in enumerate(document.tests):
        deeds = []
        for index, said in enumerate(case.meanwhile):
            try:
                path: KeyPath = ("tests", number, "meanwhile", index, "reload")
                deeds.append(Deed(said, _other_rules(said, path, tree, folder)))
            except ConfigError as error:
                problems += error.problems
        found[number] = tuple(deeds)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return found


def _other_rules(said: Meanwhile, path: KeyPath, tree: Tree, folder: Path) -> Settings | None:
    if said.reload is None:
        return None
    if isinstance(said.reload, str):
        return load_file(folder / said.reload)
    return load_alerts_of(_branch(tree, path))


def _branch(tree: Tree, path: KeyPath) -> Tree:
    """What stands at a path, as if it were a file; its places are those of the whole."""
    plain, depth = tree.plain, len(path)
    for step in path:
        plain = plain[step]
    places, names = (
        {each[depth:]: place for each, place in of.items() if each[:depth] == path}
        for of in (tree.places, tree.names)
    )
    return Tree(tree.source, plain, places, names)


def wrong_meanwhile(document: RulesTest, tree: Tree) -> Iterator[Problem]:
    """What is wrong with the times of what is done, and with what that is."""
    for number, case in enumerate(document.tests):
        yield from _wrong_case(case, ("tests", number, "meanwhile"), tree)


def _wrong_case(case: Case, path: KeyPath, tree: Tree) -> Iterator[Problem]:
    last_ns = parse_duration_ns(case.checks[-1].at) if case.checks else 0
    latest_ns, latest = 0, "0s"
    for index, said in enumerate(case.meanwhile):
        at, at_ns = (*path, index), parse_duration_ns(said.at)
        there = [name for name in KINDS if getattr(said, name) is not None]
        if len(there) != 1:
            found = " and ".join(there) or "nothing"
            message = f"one of silence, restart and reload is done at a time, and here is {found}"
            yield Problem(tree.place(at), at, message)
        message = ""
        if at_ns == 0:
            message = "at 0s nothing has begun"
        elif at_ns < latest_ns:
            message = f"what is done stands in the order of time; {latest} is before it"
        elif at_ns > last_ns:
            message = "the last check, with which the test ends, is before it"
        if message:
            yield Problem(tree.place((*at, "at")), (*at, "at"), message)
        latest_ns, latest = max(at_ns, latest_ns), said.at
