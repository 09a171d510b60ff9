"""What `rnts tune` says to people: a part in a few lines, a small table, what was undone."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rnts.commands._format import duration, visible

if TYPE_CHECKING:
    from rnts.tuning.doing import Outcome, Undone
    from rnts.tuning.measured import Row
    from rnts.tuning.plan import Part, Step
    from rnts.tuning.session import Drift

_WIDTH, _INDENT = 100, "    "
_UNDONE = {
    "reverted": "undone",
    "as it was": "as it was before already",
    "rebooted": "undone by a start of the machine",
    "gone": "gone meanwhile",
    "changed": "left: somebody else has changed it",
    "kept": "could not be undone; `rnts tune --revert` tries again",
}


def part_lines(part: "Part", state: str, outcome: "Outcome | None" = None) -> list[str]:
    """A part, its steps, what is refused and how root would do it."""
    words = [part.absent] if part.absent else []
    if outcome is not None:
        words += [outcome.error] if outcome.error else []
        words += [f"measured: {outcome.verdict}"] if outcome.verdict else []
    lines = [f"{part.name:<16}{state}"]
    for text in (*words, *part.notes):
        lines += _wrapped(text)
    for advice in part.advice:
        lines += _wrapped(advice.text) + _command(advice.command)
    lines += _step_lines([step for step in part.steps if step.is_open])
    for step, why in [] if outcome is None else outcome.skipped:
        lines += _wrapped(f"left out: {step.kind} {step.place}: {why}")
    return lines


def _step_lines(steps: Sequence["Step"]) -> Iterator[str]:
    """A line for each set of steps that differ in their places only."""

    def likeness(step: "Step") -> tuple[str, ...]:
        return step.kind, step.former, step.wanted, step.why, step.refusal

    for _, found in groupby(sorted(steps, key=likeness), key=likeness):
        first, *others = found
        more = f" and {len(others)} more" if others else ""
        change = f"{visible(first.former) or 'nothing'} → {visible(first.wanted) or 'nothing'}"
        yield from _wrapped(f"{first.kind} {first.place}{more}: {change} ({first.why})")
        if first.refusal:
            yield from _wrapped(f"refused: {first.refusal}")
            yield from _command(first.command)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        visible(text),
        _WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _command(command: str) -> list[str]:
    """Not wrapped, so that it can be taken from the screen."""
    return [f"{_INDENT}→ {visible(command)}"] if command else []


def table_lines(rows: Sequence["Row"]) -> list[str]:
    """Figures before and after, side by side."""
    if not rows:
        return []
    lines = ["", f"{'':<16}{'before':>10}{'after':>10}"]
    for figure, before, after, verdict in rows:
        cells = ("-" if value is None else duration(value) for value in (before, after))
        lines.append(f"{figure:<16}" + "".join(f"{cell:>10}" for cell in cells) + f"  {verdict}")
    return lines


def undone_lines(undone: Iterable["Undone"]) -> list[str]:
    """A line for each kind of thing, and each that is not as it was."""
    counts: Counter[str] = Counter()
    lines = []
    for one in undone:
        counts[one.how] += 1
        if one.how in ("changed", "kept"):
            place = f"{one.entry.kind} {visible(one.entry.place)}"
            lines.append(f"{place}: {_UNDONE[one.how]} {visible(one.error)}".rstrip())
    if not counts:
        return ["nothing was tuned"]
    return [f"{counts[how]:>6} {words}" for how, words in _UNDONE.items() if counts[how]] + lines


def undone_document(one: "Undone") -> dict[str, Any]:
    """As JSON has it."""
    return {**vars(one.entry), "how": one.how, "error": one.error}


def outcome_document(outcome: "Outcome") -> dict[str, Any]:
    """As JSON has it."""
    return {
        **outcome.part.document(),
        "state": outcome.did,
        "error": outcome.error,
        "verdict": outcome.verdict,
        "skipped": [{**step._asdict(), "error": why} for step, why in outcome.skipped],
    }


def drift_lines(drift: "Drift | None") -> list[str]:
    """What is not as it was made."""
    if drift is None:
        return ["nothing was tuned"]
    lines = ["the machine has been started since: what it does not remember is undone"]
    lines = lines if drift.is_rebooted else []
    for name, step in drift.steps:
        now = visible(step.former) or "nothing"
        lines.append(f"{name}: {step.kind} {step.place} is {now}, and was {visible(step.wanted)}")
    return lines or ["all is as it was made"]
