"""What a snapshot document says is wrong, in sentences, the worst first."""

from collections.abc import Mapping

from rnts.commands._alert_findings import of_alert_process, of_alerts
from rnts.commands._document import (
    Document,
    health_counts,
    losses,
    name_of,
    number,
    part,
    rows,
    text,
    unaccounted,
)
from rnts.commands._finding import Finding, Level
from rnts.commands._format import duration, exact, is_number
from rnts.commands._history import History
from rnts.spool_files import CONDITIONS

# Fewer neurons than these come and go on every machine.
_FALL_MIN, _FALL_SHARE = 10, 0.08
_LEFT_OUT = ("values_refused", "names_refused", "link_records_refused", "health_reasons_skipped")
_CLOCK_RECENT_NS = 300_000_000_000  # what is shown of clocks is not older
_NAMED_MAX = 3  # neurons that a finding names; the table has the rest


def imbalance(document: Document) -> str:
    """By how much the account does not balance, in words."""
    difference = unaccounted(document)
    if difference == 0:
        return "what agents sent and what was folded disagree"
    what = "emitted and not accounted for" if difference > 0 else "more accounted for than emitted"
    return f"{exact(abs(difference))} {what}"


def findings(document: Document, history: History | None = None) -> list[Finding]:
    """What is wrong, the worst first; empty if all is well.

    With a history it also says what has changed: a loss that goes on is worse than one that is
    over, and many neurons that leave at once are worth a look.
    """
    found = [
        *_of_accounting(document, history.fresh_losses() if history else None),
        *_of_health(document),
        *of_alerts(document),
        *of_alert_process(document),
        *of_errors(document),
        *(_of_change(document, history) if history else []),
        *of_processes(document),
    ]
    if not part(document, "accounting"):
        found.append(Finding(Level.UNKNOWN, "nothing is known of losses yet"))
    elif number(document, "accounting", "emitted") == 0:
        found.append(Finding(Level.UNKNOWN, "no record has arrived yet"))
    if not part(document, "window"):
        found.append(Finding(Level.UNKNOWN, "no window of time is complete yet"))
    return sorted(found, key=lambda finding: -finding.level)


def calm(document: Document) -> str:
    """What to say where nothing is wrong."""
    known = number(document, "neurons", "known")
    return f"nothing lost, every record accounted for, none of {exact(known)} neurons unwell"


def _of_accounting(document: Document, fresh_losses: Mapping[str, int] | None) -> list[Finding]:
    """Records that are lost, and records that nobody can account for."""
    found = []
    if part(document, "accounting").get("balanced") is False:
        found.append(Finding(Level.CRITICAL, f"not balanced: {imbalance(document)}"))
    if lost := losses(document):
        reasons = ", ".join(f"{reason} {exact(count)}" for reason, count in lost.items())
        going_on = sum((fresh_losses or {}).values())
        now = "" if fresh_losses is None else f", {exact(going_on) if going_on else 'none'} now"
        level = Level.CRITICAL if going_on else Level.WARNING
        found.append(Finding(level, f"{exact(sum(lost.values()))} records lost{now}: {reasons}"))
    return found


def _of_change(document: Document, history: History) -> list[Finding]:
    """Neurons that are not there any more, or say nothing any more, if they are many."""
    known = number(document, "neurons", "known") or 0
    changes = ((history.gone(), "are gone"), (history.silenced(), "fell silent"))
    return [
        Finding(Level.WARNING, f"{exact(n)} neurons {what} within a minute")
        for n, what in changes
        if n >= max(_FALL_MIN, _FALL_SHARE * (known + n))
    ]


def of_processes(document: Document) -> list[Finding]:
    """Agents that are silent, clocks that are off, a ledger that is not written, and the like."""
    found = []
    for agent in rows(document, "agents"):
        who = f"agent {text(agent, 'pid')} on {text(agent, 'host')}"
        if aside := _counts(part(agent, "lanes_quarantined")):
            words = f"{who} reads some lanes no more, since what they say cannot be: {aside}"
            found.append(Finding(Level.WARNING, words))
        if condition := text(part(agent, "spool"), "condition"):
            why = CONDITIONS.get(condition, condition)
            words = f"{who} cannot spool: {why}; beyond its memory frames are lost"
            found.append(Finding(Level.WARNING, words))
        if agent.get("state") == "silent":
            since = f" for {duration(number(agent, 'silent_ns'))}"
            found.append(Finding(Level.WARNING, f"{who} is silent{since}"))
        if notice := text(agent, "clock_notice"):
            found.append(Finding(Level.WARNING, f"{who}: {notice}"))
        found += _of_clock(agent, number(document, "time_ns"))
        found += _of_sampling(agent, who)
    if part(document, "aggregator") and not rows(document, "agents"):
        found.append(Finding(Level.WARNING, "no agent is connected"))
    found += _of_ledger(part(document, "aggregator", "ledger"))
    found += _of_window(document)
    if refused := _counts(part(document, "aggregator", "refused")):
        found.append(Finding(Level.WARNING, f"messages refused: {refused}"))
    if beyond := number(document, "limits", "overflow_records"):
        most = exact(number(document, "limits", "neurons_max"))
        words = f"{exact(beyond)} records of neurons beyond the limit of {most} are not told apart"
        found.append(Finding(Level.WARNING, words))
    limits = part(document, "limits")
    if refused := _counts({key: limits[key] for key in _LEFT_OUT if key in limits}):
        found.append(Finding(Level.WARNING, f"left out: {refused}; see docs/snapshot.md"))
    return found


def _of_sampling(agent: Document, who: str) -> list[Finding]:
    """An agent that follows the load, and has to leave out what is most important."""
    sampling = part(agent, "sampling")
    kept = number(sampling, "rates", "critical_path")
    found = []
    if sampling.get("adaptive") and kept is not None and kept < 1:
        words = f"{who} cannot carry all: of neurons on the critical path it keeps {100 * kept:.3g}"
        found.append(Finding(Level.WARNING, f"{words} % of the samples"))
    if without := number(sampling, "lanes_without_memory"):
        words = f"{who} has no memory to sample in {exact(without)} lanes, which keep everything"
        found.append(Finding(Level.WARNING, words))
    return found


def _of_ledger(ledger: Document) -> list[Finding]:
    """A ledger that cannot be written, and one that was damaged."""
    found = []
    if condition := text(ledger, "condition"):
        words = f"the ledger is not written: {text(ledger, 'advice') or condition}"
        if behind := number(ledger, "windows_behind"):
            words += f"; {exact(behind)} windows wait"
        found.append(Finding(Level.WARNING, f"{words}; nothing is lost, agents keep their frames"))
    if aside := text(ledger, "set_aside"):
        words = f"the ledger was damaged: it lies at {aside}, and a new one was begun"
        found.append(Finding(Level.WARNING, words))
    return found


def _of_window(document: Document) -> list[Finding]:
    """A window that may lack records, which the one in which the aggregator began always may."""
    if part(document, "window").get("complete") is not False:
        return []
    began_ns = number(document, "aggregator", "started_ns")
    start_ns = number(document, "window", "start_ns")
    if began_ns is not None and start_ns is not None and start_ns < began_ns:
        words = "the last window may lack records: the aggregator began within it"
        return [Finding(Level.UNKNOWN, words)]
    words = "the last window is incomplete: an agent is silent, or records ran ahead of it"
    return [Finding(Level.WARNING, words)]


def _of_clock(agent: Document, now_ns: float | None) -> list[Finding]:
    """What befell the clock of an agent's machine a short while ago."""
    found = []
    for what in ("clock_step", "suspend"):
        size_ns = number(agent, f"{what}_ns_last")
        seen_ns = number(agent, f"{what}_seen_ns")
        if not size_ns or not seen_ns or now_ns is None or now_ns - seen_ns > _CLOCK_RECENT_NS:
            continue
        host, size = text(agent, "host"), duration(abs(size_ns))
        if what == "suspend":
            words = f"{host} was asleep for {size}: nothing was measured meanwhile"
        elif size_ns < 0:
            words = f"the clock of {host} was set back by {size}: until then records are late"
        else:
            words = f"the clock of {host} was set ahead by {size}: windows between are empty"
        found.append(Finding(Level.WARNING, words))
    return found


def _counts(mapping: Document) -> str:
    """Names with their counts, without those that are zero."""
    return ", ".join(f"{name} {exact(n)}" for name, n in mapping.items() if is_number(n) and n)


def _of_health(document: Document) -> list[Finding]:
    """Neurons that say that they are not well."""
    found = []
    states = health_counts(document)
    for state, level in (("critical", Level.CRITICAL), ("degraded", Level.WARNING)):
        if count := states[state]:
            noun = "neuron" if count == 1 else "neurons"
            sick = [row for row in rows(document, "sickest") if row.get("health") == state]
            named = [_named(row) for row in sick[:_NAMED_MAX]]
            more = ["…"] if named and count > len(named) else []
            who = ": " + ", ".join(named + more) if named else ""
            found.append(Finding(level, f"{exact(count)} {noun} {state}{who}"))
    return found


def of_errors(document: Document) -> list[Finding]:
    """Neurons that told of errors a moment ago."""
    failing = [(row, number(row, "errors") or 0) for row in rows(document, "sickest")]
    if errors := [f"{name_of(row)} {exact(n)}" for row, n in failing if n]:
        who = ", ".join(errors[:_NAMED_MAX] + ["…"] * (len(errors) > _NAMED_MAX))
        return [Finding(Level.WARNING, f"errors in the last window: {who}")]
    return []


def _named(row: Document) -> str:
    """A sick neuron and, where it said so, why."""
    reason = text(row, "reason")
    return f"{name_of(row)} ({reason})" if reason else name_of(row)
