"""What goes wrong with `rnts tune`: deaths, Ctrl-C, full disks, a journal that is damaged."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tune_machines import server, vm_two
from tune_tools import World, revert, run

from rnts.errors import RntsError
from rnts.tuning.doing import Tuner
from rnts.tuning.journal import NAME, Journal
from rnts.tuning.plan import Asked, Kind, Step
from rnts.tuning.planning import make_plan


class Killed(BaseException):
    """What a SIGKILL is to a test: nothing runs behind it."""


class Death:
    """Kills at the given one of all moments before and after something is written."""

    def __init__(self, at: int) -> None:
        self.at, self.moments = at, 0

    def guard(self, write: Callable[..., None]) -> Callable[..., None]:
        """`write`, which may not come to be, or not be come back from."""

        def guarded(*arguments: object) -> None:
            self.tick()
            write(*arguments)
            self.tick()

        return guarded

    def tick(self) -> None:
        """A moment; once dead, none of them passes."""
        self.moments += 1
        if self.moments > self.at:
            raise Killed


class Interrupt(Death):
    """A Ctrl-C at one of these moments; behind it all goes on."""

    def tick(self) -> None:
        """A moment."""
        self.moments += 1
        if self.moments == self.at + 1:
            raise KeyboardInterrupt


def mortal(world: World, death: Death, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever works on this world die."""
    from rnts.tuning.places import Places

    monkeypatch.setattr(Places, "write", death.guard(Places.write))
    monkeypatch.setattr(Journal, "_append", death.guard(Journal._append))


def test_a_death_at_any_moment_leaves_what_can_be_undone(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between any two steps, while doing and while undoing: the machine is as it was."""
    for at in range(400):
        world = vm_two(runtime_folder / str(at))
        before = world.picture()
        with monkeypatch.context() as patched:
            death = Death(at)
            mortal(world, death, patched)
            try:
                run(world, ("priority",))
                revert(world)
                is_over = True
            except Killed:
                is_over = False
        revert(world)
        assert world.picture() == before, f"killed at moment {at}"
        if is_over:
            break
    assert at == 2 * 4 * 6 + 2  # six steps, there and back, each noted and written; and settled


def test_an_interrupt_at_any_moment_undoes_the_part(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C comes once, wherever it hits: the part that was under way is as it was before."""
    for at in range(4 * 6):  # six steps, each noted and written
        world = vm_two(runtime_folder / str(at))
        before = world.picture()
        with monkeypatch.context() as patched:
            mortal(world, Interrupt(at), patched)
            with pytest.raises(KeyboardInterrupt):
                run(world, ("priority",))
        assert world.picture() == before, f"at moment {at}"
        revert(world)
        assert not Journal(world.state / NAME).entries


def test_a_death_over_a_value_that_the_kernel_changes_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card made 48 of 50, and nobody could note that: it is done, or undone, all the same."""
    for at in range(20):
        for goes_on in (False, True):
            world = server(tmp_path / f"{at}-{goes_on}")
            before = world.picture()
            asked = Asked(("irq-coalescing",))
            with monkeypatch.context() as patched:
                mortal(world, Death(at), patched)
                try:
                    world.session().do(asked, None, False)
                    is_over = True
                except Killed:
                    is_over = False
            if goes_on:
                (outcome,) = world.session().do(asked, None, False).outcomes
                assert outcome.did in ("done", "in place"), f"killed at moment {at}"
            world.session().revert()
            assert world.picture() == before, f"killed at moment {at}"
        if is_over:
            break
    assert is_over


def test_a_value_that_was_settled_and_changed_is_left(tmp_path: Path) -> None:
    """Only a step over which somebody died may have had another value than was asked for."""
    world = server(tmp_path)
    world.session().do(Asked(("irq-coalescing",)), None, False)
    world.calls.cards["eth0"] = world.calls.cards["eth0"]._replace(usecs=8)
    assert [one.how for one in world.session().revert()] == ["changed"]
    assert world.calls.cards["eth0"].usecs == 8


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_line_is_none(cut: int, tmp_path: Path) -> None:
    """A journal whose last line is not whole is read up to there, and written on from there."""
    world = vm_two(tmp_path)
    run(world)
    path = world.state / NAME
    *lines, _ = path.read_bytes().splitlines(keepends=True)  # which says that the last is over
    count = len(Journal(path).entries)
    path.write_bytes(b"".join(lines)[:-cut])

    journal = Journal(path)
    assert len(journal.entries) == count - 1
    step = Step("file", "/proc/sys/vm/swappiness", "60", "10", "why")
    journal.note("part", step, "60", "boot-1")
    assert list(Journal(path).entries) == list(journal.entries)
    assert len(journal.entries) == count


def test_damage_is_told_and_the_file_is_left(tmp_path: Path) -> None:
    """A journal that is damaged before its end, or says what we do not know, is never shortened."""
    world = vm_two(tmp_path)
    run(world)
    path = world.state / NAME
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    body = b'{"did":"something"}'
    later = b"%08x %s\n" % (zlib.crc32(body), body)
    for number, damaged in (
        (2, b"".join([lines[0], b"x" + lines[1], *lines[2:]])),
        (len(lines) + 1, whole + later),
        (len(lines), whole.replace(lines[-1], b"x" + lines[-1]) + b"torn"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(RntsError, match=rf"tune\.journal:{number} is damaged"):
            world.session().revert()
        assert path.read_bytes() == damaged


def test_a_full_disk_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a step can be noted only in part, its part has failed, and all of it is undone."""
    write = os.pwrite
    for room in range(3):
        world = vm_two(tmp_path / str(room))
        before = world.picture()
        left = [room]

        def on_full_disk(file: int, data: bytes, at: int, left: list[int] = left) -> int:
            left[0] -= 1
            return write(file, data if left[0] >= 0 else data[:20], at)

        (part,) = make_plan(world.machine(), Asked(("socket-buffers",)))
        journal = Journal(world.state / NAME)
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", on_full_disk)
            outcome = Tuner(world.session().places, journal, "boot-1").do(part)
        assert (outcome.did, outcome.is_refused) == ("failed", True)
        assert "No space left" in outcome.error
        assert world.picture() == before
        assert {one.how for one in revert(world)} <= {"as it was"}
        assert not Journal(journal.path).entries


def test_a_journal_changes_nothing_but_what_is_tuned(tmp_path: Path) -> None:
    """Root may undo for a user, whose journal may say anything: other files are never written."""
    world = vm_two(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("mine")
    world.state.mkdir()
    journal = Journal(world.state / NAME)
    places: list[tuple[Kind, str]] = [
        ("file", f"/proc/../../{secret.name}"),
        ("file", "/proc/sys/vm/swappiness"),
        ("choice", f"/sys/../{secret.name}"),
        ("interrupt", "../../secret"),
        ("group_nice", "../../secret:1"),
        ("wish", "../secret"),
    ]
    for kind, place in places:
        journal.note("part", Step(kind, place, "", "mine", "why"), "yours", "boot-1")
    before = world.picture()
    found = world.session().revert()

    assert [one.how for one in found] == ["kept"] * len(places)
    assert secret.read_text() == "mine" and world.picture() == before
