"""Does the steps of a part, all of them or none, and undoes what is written in the journal."""

import contextlib
from dataclasses import dataclass, field
from errno import EOPNOTSUPP
from typing import Literal, NamedTuple

from rnts.tuning.journal import Entry, Journal
from rnts.tuning.places import Places
from rnts.tuning.plan import Part, Step

Did = Literal["done", "in place", "refused", "failed", "absent", "advice", "reverted"]
# `reverted`: the former value is back. `as it was`: it never was another one, or is back already.
# `rebooted`: a start of the machine has undone it. `gone`: so is the place. `changed`: somebody
# else gave it another value, which is left. `kept`: it cannot be undone now, and stays noted.
Undid = Literal["reverted", "as it was", "rebooted", "gone", "changed", "kept"]


@dataclass
class Outcome:
    """What became of a part."""

    part: Part
    did: Did
    error: str = ""
    skipped: list[tuple[Step, str]] = field(default_factory=list)  # steps the part can do without
    verdict: str = ""  # whether it helps, where that was measured

    @property
    def is_refused(self) -> bool:
        """Whether something that was asked for is not so."""
        is_skipped = any(True for step, why in self.skipped if step.kind != "interrupt")
        return self.did in ("refused", "failed") or bool(self.part.refused) or is_skipped


class Undone(NamedTuple):
    """What became of an entry that was to be undone."""

    entry: Entry
    how: Undid
    error: str = ""


class Tuner:
    """Does and undoes, in one start of the machine."""

    def __init__(self, places: Places, journal: Journal, boot: str) -> None:
        self._places, self._journal, self._boot = places, journal, boot

    def do(self, part: Part) -> Outcome:
        """Do what is left of a part; where a step fails that it needs, it is as it was."""
        if part.state != "to do":
            return Outcome(part, part.state)
        outcome = Outcome(part, "done")
        done: list[Entry] = []
        for step in part.open_steps:
            before = len(done)
            try:
                self._step(part.name, step, done)
            except (OSError, ValueError) as error:
                words = getattr(error, "strerror", None) or str(error)
                if step.is_optional:
                    outcome.skipped.append((step, words))
                    self.undo(done[before:])
                    del done[before:]
                    continue
                kept = [one for one in self.undo(done[::-1]) if one.how == "kept"]
                rest = "; what could not be put back is left to --revert" if kept else ""
                # Some cards tell only when asked that they cannot do something.
                did: Did = "absent" if getattr(error, "errno", 0) == EOPNOTSUPP else "failed"
                return Outcome(part, did, f"{step.kind} {step.place}: {words}{rest}")
            except KeyboardInterrupt:
                self.undo(done[::-1])
                raise
        if done:
            self._journal.settle(done[-1])
        return outcome

    def settle(self) -> None:
        """Take in what became of the step over which a former call has died.

        Where the kernel has made something else of a value, nobody has noted what.
        """
        entry, present = self._journal.begun, None
        if entry is not None and entry.boot == self._boot:
            with contextlib.suppress(OSError, ValueError):
                present = self._places.read(entry.kind, entry.place)
            if present not in (None, entry.former, entry.wanted):
                self._journal.took(entry, present)

    def _step(self, part: str, step: Step, done: list[Entry]) -> None:
        """Note it, do it, and see what came of it. Raises OSError where it was refused."""
        present = self._places.read(step.kind, step.place)
        if present is None or present == step.wanted:
            return  # a thread that has ended; or somebody did it meanwhile
        if self._journal.has(step.kind, step.place, step.wanted, present):
            return
        entry = self._journal.note(part, step, present, self._boot)
        done.append(entry)
        try:
            self._places.write(step.kind, step.place, step.wanted)
        except ProcessLookupError:
            return  # it has ended; that is found out again where this is undone
        after = self._places.read(step.kind, step.place)
        if after == present:
            raise OSError(0, f"it was told {step.wanted}, and stayed {after}")
        if after is not None and after != step.wanted:
            self._journal.took(entry, after)

    def undo_part(self, name: str) -> list[Undone]:
        """Undo all that is noted of a part, the newest first."""
        return self.undo([entry for entry in self._journal.newest_first if entry.part == name])

    def undo(self, entries: list[Entry]) -> list[Undone]:
        """Undo these, in this order, as far as their places still hold what we gave them."""
        found = []
        for entry in entries:
            undone = self._undo(entry)
            found.append(undone)
            if undone.how != "kept":
                with contextlib.suppress(OSError):  # it stays noted, and is as it was before then
                    self._journal.undone(entry)
        return found

    def _undo(self, entry: Entry) -> Undone:
        if entry.boot != self._boot and entry.kind != "wish":  # only that outlives a start
            return Undone(entry, "rebooted")
        try:
            present = self._places.read(entry.kind, entry.place)
            if present is None:
                return Undone(entry, "gone")
            if present == entry.former:
                return Undone(entry, "as it was")
            if present != entry.ours:
                return Undone(entry, "changed")
            self._places.write(entry.kind, entry.place, entry.former)
        except ProcessLookupError:
            return Undone(entry, "gone")
        except (OSError, ValueError) as error:
            return Undone(entry, "kept", getattr(error, "strerror", None) or str(error))
        return Undone(entry, "reverted")
