"""What a document says is wrong with alerts and with reactions, in sentences."""

from collections import Counter

from rnts.commands._document import Document, number, part, rows, text
from rnts.commands._finding import Finding, Level
from rnts.commands._format import duration, exact, is_number

# Beyond this the 99th percentile is a finding. 10 ms are promised while records come; a record that
# ends a silence waits for the agent up to 7 ms longer, as do canaries of an idle machine.
REACTION_SLOW_NS = 20_000_000
FIRING_STATES = ("firing", "recovering")
_LEVEL = {"critical": Level.CRITICAL, "warning": Level.WARNING}
_JUDGED_MIN = 10  # canaries in a minute, below which one is no verdict


def of_alerts(document: Document) -> list[Finding]:
    """Alerts that fire, those of a rule together."""
    firing: Counter[tuple[str, str]] = Counter()
    for row in rows(document, "alerts", "counts"):
        if row.get("state") in FIRING_STATES:
            firing[text(row, "rule"), text(row, "severity")] += round(number(row, "count") or 0)
    return [
        Finding(_LEVEL.get(severity, Level.UNKNOWN), f"alert {rule} fires ({exact(n)})")
        for (rule, severity), n in firing.items()
    ]


def of_alert_process(document: Document) -> list[Finding]:
    """Alerts that nobody would hear of, and reactions that are slow or do not come."""
    process = part(document, "alerts", "process")
    found = []
    if process.get("is_silent") is True:
        found.append("the alert process does not answer")
    if process.get("is_live") is False:
        found.append("the alert process hears no aggregator: alerts are without data")
    if memory := text(process, "memory"):
        found.append(f"alerts cannot be remembered ({memory}): a restart would forget them")
    failing = process.get("actions_left_alone")
    if failing and isinstance(failing, list):
        found.append("actions that fail: " + ", ".join(map(str, failing)))
    return [Finding(Level.WARNING, words) for words in found] + _of_reaction(document)


def _of_reaction(document: Document) -> list[Finding]:
    """Canaries of the last minute that were lost, or late for what is promised."""
    reaction = part(document, "alerts", "process", "reaction")
    minute, found = part(reaction, "minute"), []
    lost, came = lost_by_reason(minute), number(minute, "count") or 0
    if lost:
        reasons = ", ".join(f"{reason} {exact(n)}" for reason, n in lost.items())
        words = f"{exact(sum(lost.values()))} canaries lost within a minute: {reasons}"
        level = Level.WARNING
        if number(reaction, "came_back") == 0:
            level = Level.UNKNOWN
            words += "; none ever came back: does this machine's agent send elsewhere?"
        elif not came and sum(lost.values()) >= _JUDGED_MIN:
            level = Level.CRITICAL
            words += "; no alert would come through"
        found.append(Finding(level, words))
    slowest_ns = number(minute, "percentiles", "99") or 0
    if came >= _JUDGED_MIN and slowest_ns > REACTION_SLOW_NS:
        words = f"reactions are slow: p99 {duration(slowest_ns)} from a record to its action"
        found.append(Finding(Level.WARNING, words))
    return found


def lost_by_reason(window: Document) -> dict[str, int]:
    """Canaries that never came back, by reason."""
    return {str(k): round(n) for k, n in part(window, "lost").items() if is_number(n) and n > 0}
