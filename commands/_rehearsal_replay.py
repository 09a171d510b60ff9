"""What rules made of a recording, in words."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from rnts.commands._format import duration, visible

if TYPE_CHECKING:
    from rnts.alerts.notification import Notification
    from rnts.rehearsal.comparing import Divergence
    from rnts.rehearsal.episodes import Episode, Step
    from rnts.rehearsal.replaying import Replayed


class Other(NamedTuple):
    """What another file of rules made of the same recording."""

    rules: Path
    replayed: "Replayed"
    divergences: "list[Divergence]"


def print_replayed(
    rules: Path, recording: Path, replayed: "Replayed", other: Other | None, as_json: bool
) -> None:
    """Tell the episodes, what would have been sent, and what the recording lacks."""
    if as_json:
        head = {"version": 1, "rules": str(rules), "recording": str(recording)}
        compared = {"compared": _compared(other)} if other else {}
        typer.echo(json.dumps({**head, **replayed.document(), **compared}))
        return
    lines = [*_lines(recording, replayed), *(_divergences(replayed, other) if other else ())]
    typer.echo("\n".join(map(visible, lines)))


def _compared(other: Other) -> dict[str, Any]:
    return {
        "rules": str(other.rules),
        "episodes": len(other.replayed.episodes),
        "fired": other.replayed.fired,
        "told": len(other.replayed.told),
        "divergences": [each.document() for each in other.divergences],
    }


def _divergences(replayed: "Replayed", other: Other) -> Iterator[str]:
    """Where the other rules fired otherwise."""
    theirs = f"{other.replayed.fired} fired, {len(other.replayed.told)} notifications"
    yield ""
    yield f"compared with {other.rules}: {theirs}"
    for each in other.divergences:
        labels = " ".join(f"{name}={value}" for name, value in each.labels if value)
        who = " ".join(filter(None, (each.rule, labels)))
        first_ns = each.other_ns if each.here_ns is None else each.here_ns
        assert first_ns is not None, "it fired under one of them"
        after = f"{_after(first_ns - replayed.started_ns):>10}"
        if each.here_ns is None or each.other_ns is None:
            yield f"{after}  only {'there' if each.here_ns is None else 'here'}: {who}"
        else:
            yield f"{after}  {_after(each.other_ns - each.here_ns)} there: {who}"


def _lines(recording: Path, replayed: "Replayed") -> Iterator[str]:
    length = duration(replayed.ended_ns - replayed.started_ns)
    yield (
        f"{recording}: {length}, {replayed.records:,} records, {replayed.frames:,} frames, "
        f"agents {replayed.agents}"
    )
    yield (
        f"{len(replayed.episodes)} episodes, {replayed.fired} fired, "
        f"{len(replayed.told)} notifications"
    )
    yield from lacking(replayed)
    for episode in replayed.episodes:
        yield ""
        yield from _episode(episode, replayed.started_ns)
    if replayed.told:
        yield ""
        yield "would have been sent"
        for told in replayed.told:
            yield _notification(told, replayed.started_ns)


def lacking(replayed: "Replayed") -> Iterator[str]:
    """What the rules could not see, since the recording does not have it."""
    for gap in replayed.gaps_listed[:10]:
        yield f"gap at {_after(gap['after_ns'])}: {gap['frames']} frames, {gap['reason']}"
    if replayed.gaps > 10:
        yield f"and {replayed.gaps - 10} more gaps"
    for reason, count in sorted(replayed.skipped.items()):
        yield f"{count} frames were left out: {reason}"
    if replayed.damaged_bytes:
        yield f"{replayed.damaged_bytes:,} damaged bytes were stepped over"
    if replayed.torn_bytes:
        yield f"the end is torn: {replayed.torn_bytes:,} bytes"


def _episode(episode: "Episode", start_ns: int) -> Iterator[str]:
    labels = " ".join(f"{name}={value}" for name, value in episode.labels if value)
    early = "  (its windows were not full yet)" if episode.is_early else ""
    yield "  ".join(filter(None, (episode.rule, episode.severity, labels))) + early
    for step in episode.steps:
        yield _step(step, start_ns)
    if episode.is_open:
        yield f"{'':10} and is {episode.steps[-1].state} at the end"


def _step(step: "Step", start_ns: int) -> str:
    value = "" if step.value is None else f"{step.value:g}"
    said = "  ".join(filter(None, (f"{step.state:10}", value, step.reason)))
    return f"{_after(step.at_ns - start_ns):>10}  {said}".rstrip()


def _notification(told: "Notification", start_ns: int) -> str:
    after = _after(told.wall_ns - start_ns)
    return f"{after:>10}  {told.receiver}: {told.severity} {told.title}"


def _after(after_ns: int) -> str:
    """A time since the beginning."""
    return f"{after_ns / 1e9:+.3f}s"
