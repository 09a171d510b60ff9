"""Plays the tests of a file, each on a stage of its own, and says what came out differently."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rnts.alerts.life import Life
from rnts.alerts.notification import Notification
from rnts.durations import parse_duration_ns
from rnts.rehearsal.expectations import Difference, compare
from rnts.rehearsal.meanwhile import Deed
from rnts.rehearsal.script import Script, members
from rnts.rehearsal.stage import Stage
from rnts.settings import Settings
from rnts.settings_rehearsal import Case

EPOCH_NS = 1_700_000_000_000_000_000  # the time of a test's beginning


@dataclass
class Outcome:
    """What became of one test; `differences` with the number of their check and its time."""

    checks: int
    differences: list[tuple[int, str, Difference]] = field(default_factory=list)


def play_case(
    settings: Settings, case: Case, interval_ns: int, deeds: Sequence[Deed] = ()
) -> Outcome:
    """Play a test from its beginning to its last check; what is done comes before what arrives."""
    stage = Stage(settings, EPOCH_NS, lambda now_ns, _: (now_ns, True))
    script = Script(members(case.neurons), interval_ns, EPOCH_NS)
    checks: dict[int, list[int]] = {}
    for number, check in enumerate(case.checks):
        checks.setdefault(parse_duration_ns(check.at), []).append(number)
    outcome = Outcome(len(case.checks))

    def is_meant(found: Life | Notification) -> bool:
        return not case.rules or found.rule in case.rules

    told = 0
    for at_ns in _moments(script, deeds, checks):
        stage.pass_to(EPOCH_NS + at_ns)
        for deed in deeds:
            if deed.at_ns == at_ns:
                deed.do(stage, script)
        for records in script.records(at_ns):
            stage.fold(records)
        if at_ns == 0:
            stage.begin()
        else:
            stage.look()
        for number in checks.get(at_ns, ()):
            check = case.checks[number]
            lives = [life for life in stage.service.table.lives.by_key.values() if is_meant(life)]
            news = [each for each in stage.notebook.told[told:] if is_meant(each)]
            for difference in compare(check, lives, news):
                outcome.differences.append((number, check.at, difference))
            told = len(stage.notebook.told)
    return outcome


def _moments(script: Script, deeds: Sequence[Deed], checks: dict[int, list[int]]) -> Iterator[int]:
    """When something happens, up to the last check."""
    last_ns = max(checks)
    found = script.moments().union(checks, *(deed.moments for deed in deeds))
    return iter(sorted(each for each in found if each <= last_ns))
