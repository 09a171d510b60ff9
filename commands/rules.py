"""`rnts rules`: check files of alert rules, test them, and replay recordings through them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rnts.rules.condition import Condition
    from rnts.settings_alerts import Alert
    from rnts.settings_processors import ProcessorRule

app = typer.Typer(help="Check and try alert rules before they are needed.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File with a section alerts.")],
    as_json: AsJson = False,
) -> None:
    """Say what each rule reads, of whom, over how long; exit code 3 and every fault if wrong."""
    from rnts.rules.condition import parse_condition
    from rnts.settings import load_file, printable
    from rnts.warmup import prefer_objects

    settings = load_file(file)
    rules = [
        (alert, [parse_condition(text) for text in (alert.condition, alert.resolve_when) if text])
        for alert in settings.alerts
    ]
    name = printable(str(file))
    prefer_objects()
    from rnts.reflex.costs import RULES_BYTES_MAX, bytes_of, too_many

    conditions = [each for _, of_rule in rules for each in of_rule]
    total, beyond = bytes_of(conditions), too_many(conditions)
    if as_json:
        documents = [_document(alert, of_rule) for alert, of_rule in rules]
        reported = [each.model_dump(mode="json") for each in settings.processors]
        about = {"version": 1, "file": name, "rules": documents, "processors": reported}
        about |= {"neuron_bytes": total, "neuron_bytes_max": RULES_BYTES_MAX, "beyond": beyond}
        typer.echo(json.dumps(about))
        return
    count = len(settings.all_rules)
    typer.echo(f"{name}: {count} rule{'' if count == 1 else 's'}, ok")
    for alert, of_rule in rules:
        _tell(alert, of_rule)
    for said in settings.processors:
        _tell_of_processor(said)
    if total:
        typer.echo(f"\ntogether they take {total:,} bytes a neuron of the aggregator's memory")
    if total > RULES_BYTES_MAX:
        heaviest = max(rules, key=lambda rule: bytes_of(rule[1]))[0].name
        typer.echo(
            f"rnts: that is more than the {RULES_BYTES_MAX:,} for which a neuron takes 1.5 KB; "
            f"most of it for {heaviest}. docs/rules.md has what each reading costs",
            err=True,
        )
    for words in beyond:
        typer.echo(f"rnts: {words}: the aggregator will refuse some of these rules", err=True)


@app.command()
def test(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of tests.")],
    run: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only the test of this name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play series through rules, and compare what is expected; exit code 1 if it differs."""
    from rnts.commands._rehearsal import print_tests, quiet
    from rnts.warmup import load_kernels, prefer_objects

    prefer_objects()
    from rnts.rehearsal.loading import load_all

    loaded = load_all(files, run or ())
    load_kernels()
    with quiet():
        is_passed = print_tests(loaded, as_json)
    raise typer.Exit(int(not is_passed))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File with a section alerts.")],
    recording: Annotated[
        Path, typer.Option("--from", metavar="RECORDING", help="What `rnts record` wrote.")
    ],
    compare: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Say where these rules fire otherwise.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play a recording through rules: which alerts there would have been, and who was told."""
    from rnts.commands._rehearsal import quiet
    from rnts.commands._rehearsal_replay import Other, print_replayed
    from rnts.warmup import load_kernels, prefer_objects

    prefer_objects()
    from rnts.recordings.reader import Reader
    from rnts.rehearsal.comparing import diverge
    from rnts.rehearsal.replaying import replay_rules
    from rnts.settings import load_file

    settings, reader = load_file(file), Reader(recording)
    others = None if compare is None else load_file(compare)
    load_kernels()
    with quiet():
        replayed, other = replay_rules(settings, reader), None
        if compare is not None and others is not None:
            found = replay_rules(others, reader)
            other = Other(compare, found, diverge(replayed, found))
    print_replayed(file, recording, replayed, other, as_json)


def _document(alert: "Alert", conditions: "list[Condition]") -> dict[str, Any]:
    from rnts.reflex.costs import bytes_of
    from rnts.rules.ranges import doubts_of
    from rnts.rules.words import document

    return {
        "name": alert.name,
        "severity": alert.severity,
        "action": list(alert.action),
        "receivers": list(alert.receivers),
        "no_data": alert.no_data,
        "keep_firing_for": alert.keep_firing_for,
        "resolve_when": alert.resolve_when,
        "interval": alert.interval,
        "limit": alert.limit,
        "causes": list(alert.causes),
        "neuron_bytes": bytes_of(conditions),
        "doubts": doubts_of(alert.condition, alert.resolve_when),
        **document(conditions[0]),
    }


def _tell(alert: "Alert", conditions: "list[Condition]") -> None:
    """What a rule is: by its condition, and the other that says when it is over, if it has one."""
    from rnts.durations import parse_duration_ns
    from rnts.reflex.costs import bytes_of
    from rnts.rules.ranges import doubts_of
    from rnts.rules.words import duration_in_words, reading_in_words, scope_in_words

    condition, keeps = conditions[0], parse_duration_ns(alert.keep_firing_for)
    typer.echo(f"\n{alert.name}")
    lines = [
        ("when", " ".join(condition.text.split())),
        ("of", scope_in_words(condition)),
        *(("reads", reading_in_words(reading)) for reading in condition.readings),
        ("holds", f"for {duration_in_words(condition.for_ns)}" if condition.for_ns else "at once"),
        ("severity", alert.severity),
        *((("recovers", f"when {alert.resolve_when}"),) if alert.resolve_when else ()),
        *((("keeps", f"firing for {alert.keep_firing_for}"),) if keeps else ()),
        *((("no data", alert.no_data),) if alert.no_data != "keep" else ()),
        *_who_is_told(alert),
        *((("takes", f"{taken:,} bytes a neuron"),) if (taken := bytes_of(conditions)) else ()),
        *(("beware", doubt) for doubt in doubts_of(alert.condition, alert.resolve_when)),
    ]
    _print(lines)


def _tell_of_processor(said: "ProcessorRule") -> None:
    typer.echo(f"\n{said.name}")
    least = "" if said.at_least == "info" else f", from {said.at_least} on"
    lines = [
        ("when", f"the processor {said.processor} says so{least}"),
        ("severity", said.severity),
        ("lasts", f"until it has not said so for {said.lasts}"),
        *_who_is_told(said),
    ]
    _print(lines)


def _who_is_told(rule: "Alert | ProcessorRule") -> list[tuple[str, str]]:
    named = {"action": rule.action, "receivers": rule.receivers}
    return [(title, ", ".join(names)) for title, names in named.items() if names]


def _print(lines: list[tuple[str, str]]) -> None:
    for title, words in lines:
        typer.echo(f"{title:>10}  {words}")
