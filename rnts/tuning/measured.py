"""Whether a part helps: figures of some rounds before it against those of some rounds after it.

Rounds are compared by rank: how often a round after lies below one before (Mann and Whitney). A
difference counts if it is a twentieth at least, and beyond 2.6 deviations of chance, which makes
that of one figure in two hundred. A figure without rounds is shown and not judged.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

Verdict = Literal["better", "worse", "no difference", ""]  # empty: there is nothing to judge by
DEVIATIONS, LEAST = 2.6, 0.05


class Figure(NamedTuple):
    """Nanoseconds: what is shown, and of each round."""

    value: float
    rounds: Sequence[float] = ()


Figures = Mapping[str, Figure]


class Row(NamedTuple):
    """A figure before and after, in nanoseconds; None where it could not be had."""

    figure: str
    before: float | None
    after: float | None
    verdict: Verdict


def compare(before: Figures, after: Figures) -> Iterator[Row]:
    """A row for each figure that there is before or after."""
    for name in dict.fromkeys((*before, *after)):
        former, latter = before.get(name), after.get(name)
        verdict = judge(former.rounds, latter.rounds) if former and latter else ""
        yield Row(name, former and former.value, latter and latter.value, verdict)


def judge(before: Sequence[float], after: Sequence[float]) -> Verdict:
    """Whether the rounds after are shorter or longer than those before."""
    if len(before) < 2 or len(after) < 2:
        return ""
    pairs = len(before) * len(after)
    below = sum((b < a) + (b == a) / 2 for a in before for b in after)
    deviation = math.sqrt(pairs * (len(before) + len(after) + 1) / 12)
    former, latter = statistics.median(before), statistics.median(after)
    if abs(latter - former) < LEAST * former or abs(below - pairs / 2) < DEVIATIONS * deviation:
        return "no difference"
    return "better" if below > pairs / 2 else "worse"


def overall(rows: Sequence[Row]) -> Verdict:
    """Of all figures together: worse in one is worse, then better in one is better."""
    order: tuple[Verdict, ...] = ("worse", "better", "no difference")
    found = {row.verdict for row in rows}
    return next((verdict for verdict in order if verdict in found), "")
