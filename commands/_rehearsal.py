"""What rehearsals of rules came to, in words and as documents."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from rnts import logs
from rnts.commands._format import visible

if TYPE_CHECKING:
    from rnts.rehearsal.cases import Outcome
    from rnts.rehearsal.loading import Chosen, RulesTestFile

Document = dict[str, Any]


@contextmanager
def quiet() -> Iterator[None]:
    """What alerts log of themselves is of another time; warnings are told all the same."""
    log = logging.getLogger("rnts.alerts")
    before = log.level
    if logs.inherited_verbosity() == logs.NORMAL:
        log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)


def print_tests(chosen: "list[Chosen]", as_json: bool) -> bool:
    """Play tests and tell what each came to; whether all is as expected."""
    from rnts.rehearsal.cases import play_case

    documents = []
    for file, number, case in chosen:
        outcome = play_case(file.settings, case, file.interval_ns(case), file.deeds[number])
        failed = failures(file, number, outcome)
        documents.append(
            {
                "file": file.tree.source,
                "name": case.name,
                "checks": outcome.checks,
                "failures": failed,
            }
        )
        if not as_json:
            typer.echo("\n".join(case_lines(case.name, outcome.checks, failed)))
    count = sum(bool(each["failures"]) for each in documents)
    if as_json:
        typer.echo(json.dumps({"version": 1, "failed": count, "tests": documents}))
    else:
        typer.echo(f"{len(documents)} tests, {count} failed")
    return not count


def failures(file: "RulesTestFile", number: int, outcome: "Outcome") -> list[Document]:
    """Each expectation of a test that was not met, with its place."""
    return [
        {
            "place": str(file.place(("tests", number, "checks", check, *difference.path))),
            "at": at,
            "what": difference.what,
            "expected": difference.expected,
            "got": difference.got,
        }
        for check, at, difference in outcome.differences
    ]


def case_lines(name: str, checks: int, failed: list[Document]) -> list[str]:
    """A test, and below it what was not met."""
    said = f"FAILED ({len(failed)})" if failed else "ok"
    return [visible(f"{name}: {said}, {checks} checks"), *map(_failure_line, failed)]


def _failure_line(failure: Document) -> str:
    what = f" {failure['what']}:" if failure["what"] else ":"
    where = f"{failure['place']}: at {failure['at']}{what}"
    return visible(f"  {where} expected {failure['expected']}, got {failure['got']}")
