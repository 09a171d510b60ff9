"""One call of `rnts tune`: plans, does, measures, undoes or looks, with the journal locked."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rnts.errors import RntsError
from rnts.runtime import state_folder
from rnts.tuning import journal as journal_file
from rnts.tuning.calls import Calls, LinuxCalls
from rnts.tuning.doing import Outcome, Tuner, Undone
from rnts.tuning.files import Files
from rnts.tuning.journal import Journal
from rnts.tuning.late import give_back
from rnts.tuning.machine import Machine
from rnts.tuning.measured import Figures, Row, compare, overall
from rnts.tuning.places import Places
from rnts.tuning.plan import Asked, Part, Step
from rnts.tuning.planning import make_plan
from rnts.tuning.reading import read_machine
from rnts.wish import NAME, make_folder, read_wish

Measure = Callable[[], Figures]
_LOOKS_MAX = 3  # at threads that began while others were pinned


class Drift(NamedTuple):
    """What is not as it was made: steps that are open again, and parts that a start has undone."""

    steps: list[tuple[str, Step]]
    is_rebooted: bool


@dataclass
class Report:
    """What was done, and what it brought."""

    outcomes: list[Outcome]
    rows: list[Row] = field(default_factory=list)


class Session:
    """The machine below `files`, and what was done to it for the folder of this state."""

    def __init__(
        self, folder: Path | None = None, files: Files | None = None, calls: Calls | None = None
    ) -> None:
        self.folder = folder or Path(state_folder())
        self.files, self.calls = files or Files(), calls or LinuxCalls()
        self.places = Places(self.files, self.calls, self.folder / NAME)

    def look(self) -> Machine:
        """The machine as it is. Raises RntsError where the file of the wish is damaged."""
        try:
            wish = read_wish(self.places.wish)
        except (OSError, ValueError) as error:
            raise RntsError(f"{error}; remove {self.places.wish}") from error
        return read_machine(self.files, self.calls, wish, str(self.folder))

    def plan(self, asked: Asked) -> list[Part]:
        """What is left to do."""
        return make_plan(self.look(), asked)

    @contextmanager
    def _locked(self) -> Iterator[Journal]:
        """The journal, while nobody else tunes. Raises RntsError where it cannot be had."""
        try:
            make_folder(self.folder)
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unnoted(error) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RntsError(f"another `rnts tune` works in {self.folder}") from None
            yield Journal(self.folder / journal_file.NAME)
        finally:
            os.close(descriptor)

    def _unnoted(self, error: OSError) -> RntsError:
        return RntsError(f"nothing can be noted in {self.folder}: {error.strerror}")

    def do(self, asked: Asked, measure: Measure | None, keep_if_better: bool) -> Report:
        """Do all parts that are asked for, measure around them, take back what brings nothing."""
        with self._locked() as journal:
            machine = self.look()
            tuner = Tuner(self.places, journal, machine.boot)
            tuner.settle()
            plan = make_plan(machine, asked)
            if not any(part.state == "to do" for part in plan):
                return Report([tuner.do(part) for part in plan])
            first = latest = measure() if measure else {}
            try:
                journal.begin(asked)
            except OSError as error:
                raise self._unnoted(error) from error
            outcomes = []
            for part in plan:
                outcome = self._do(tuner, part, asked)
                outcomes.append(outcome)
                if measure and outcome.did == "done" and keep_if_better:
                    latest = self._weigh(tuner, outcome, latest, measure)
            if measure and not keep_if_better and any(o.did == "done" for o in outcomes):
                latest = _measured(measure)
            if not journal.entries:
                journal.end()
            return Report(outcomes, list(compare(first, latest)) if measure else [])

    def _do(self, tuner: Tuner, part: Part, asked: Asked) -> Outcome:
        """Do a part, and once more for the threads that began meanwhile."""
        outcome = tuner.do(part)
        if outcome.did != "done" or not any("/" in step.place for step in part.steps):
            return outcome
        for _ in range(_LOOKS_MAX):
            again = [each for each in self.plan(asked) if each.name == part.name]
            failed = {(step.kind, step.place) for step, _ in outcome.skipped}
            left = [step for step in again[0].open_steps if (step.kind, step.place) not in failed]
            if not left:
                break
            more = tuner.do(again[0]._replace(steps=tuple(left)))
            outcome.skipped += more.skipped
            if more.did == "failed":
                tuner.undo_part(part.name)
                return more
        return outcome

    def _weigh(self, tuner: Tuner, outcome: Outcome, before: Figures, measure: Measure) -> Figures:
        """Measure after a part; the figures that hold from now on, with or without it."""
        try:
            after = measure()
            outcome.verdict = overall(list(compare(before, after)))
        finally:  # nobody knows whether it helps if that was interrupted
            if outcome.verdict != "better":
                tuner.undo_part(outcome.part.name)
                outcome.did = "reverted"
        return after if outcome.verdict == "better" else before

    def revert(self) -> list[Undone]:
        """Undo all that the journal tells of, the newest first."""
        with self._locked() as journal:
            machine = self.look()
            give_back(self.places, machine, journal)
            tuner = Tuner(self.places, journal, machine.boot)
            tuner.settle()
            undone = tuner.undo(journal.newest_first)
            if not journal.entries:
                journal.end()
            return undone

    def check(self) -> Drift | None:
        """What has drifted since it was made; None where nothing was."""
        journal = Journal(self.folder / journal_file.NAME)
        if journal.asked is None or not journal.entries:
            return None
        machine = self.look()
        made = {entry.part for entry in journal.entries.values()}
        plan = [part for part in make_plan(machine, journal.asked) if part.name in made]
        steps = [
            (part.name, step)
            for part in plan
            for step in part.open_steps
            if not journal.has(step.kind, step.place, step.wanted, step.former)
        ]
        kinds = [entry for entry in journal.entries.values() if entry.kind != "wish"]
        return Drift(steps, any(entry.boot != machine.boot for entry in kinds))


def _measured(measure: Measure) -> Figures:
    """Figures of what is done already. Raises RntsError that says so."""
    try:
        return measure()
    except RntsError as error:
        raise RntsError(f"{error}; what was done stays, and --revert undoes it") from error
