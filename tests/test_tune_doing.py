"""How steps are done and undone: whole parts or nothing, and through starts of the machine."""

from pathlib import Path

import pytest
from tune_machines import server, vm_two
from tune_tools import revert, run

from rnts.tuning.doing import Tuner
from rnts.tuning.journal import NAME, Journal
from rnts.tuning.plan import Asked, Part, Step
from rnts.tuning.planning import ALL, make_plan

MADE = {"server": server, "vm_two": vm_two}


@pytest.mark.parametrize("name", MADE)
def test_a_machine_that_is_reverted_is_as_it_was(name: str, tmp_path: Path) -> None:
    """All parts are done, everything is in place, and nothing of that is left afterwards."""
    world = MADE[name](tmp_path)
    before = world.picture()
    run(world)
    after = world.picture()
    assert after != before
    wish = world.session().look().wish
    plan = make_plan(world.machine(**wish), Asked(ALL))
    left = [(step.kind, step.wanted) for part in plan for step in part.open_steps]
    assert left == [("coalescing", "rx-usecs 50 adaptive-rx off")]  # cards here count in fours

    assert {one.how for one in revert(world)} == {"reverted"}
    assert world.picture() == before
    assert not Journal(world.state / NAME).entries


def test_a_start_of_the_machine_undoes_by_itself(tmp_path: Path) -> None:
    """What it has undone is known and left, even where a value is ours again by chance."""
    world = vm_two(tmp_path)
    run(world)
    world.put("/proc/sys/kernel/random/boot_id", "boot-2")
    values = world.picture()
    found = revert(world)

    hows = {one.entry.kind: one.how for one in found}
    assert hows.pop("wish") == "reverted"
    assert set(hows.values()) == {"rebooted"}
    assert {**world.picture(), "wish": ""} == {**values, "wish": ""}
    assert world.picture()["wish"] == ""


def test_what_somebody_else_changed_is_left(tmp_path: Path) -> None:
    """Only where a place still holds our value the former one comes back."""
    world = vm_two(tmp_path)
    run(world)
    path = "/proc/sys/net/core/rmem_max"
    world.put(path, "777")
    world.calls.set_nice(300, 3)
    changed = [(one.entry.kind, one.entry.place) for one in revert(world) if one.how == "changed"]

    assert sorted(changed) == [("file", path), ("nice", "300:3000/300:3000")]
    assert world.files.text(path) == "777"


def test_threads_that_have_ended_are_gone(tmp_path: Path) -> None:
    """A number that another thread has by now is not touched."""
    world = vm_two(tmp_path)
    run(world)
    path = world.files.locate("/proc/300/task/300/stat")
    path.write_text(path.read_text().replace(" 3000 ", " 9999 "))
    before = path.read_text()
    hows = {one.entry.kind: one.how for one in revert(world)}

    assert (hows["nice"], hows["slice_ns"], hows["group_nice"]) == ("gone", "gone", "reverted")
    assert path.read_text() == before


def test_a_part_that_fails_is_rolled_back_whole(tmp_path: Path) -> None:
    """The third step is refused: the first two are undone, and nothing stays noted."""
    world = server(tmp_path)
    world.calls.refuse = lambda what: None
    machine = world.machine()
    (part,) = make_plan(machine, Asked(("pin-cores",)))
    before, calls = world.picture(), []

    def refuse(what: str) -> None:
        calls.append(what)
        if len(calls) == 3:
            raise PermissionError(1, "Operation not permitted")

    world.calls.refuse = refuse
    journal = Journal(world.state / NAME)
    outcome = Tuner(world.session().places, journal, machine.boot).do(part)

    assert (outcome.did, outcome.is_refused) == ("failed", True)
    assert outcome.error == "cpus 710:7100/710:7100: Operation not permitted"
    assert len(calls) == 5  # and two that undo
    assert world.picture() == before
    assert not journal.entries


def test_a_step_that_a_part_can_do_without_is_left_out(tmp_path: Path) -> None:
    """An interrupt that the kernel keeps, told only when asked: the others are moved."""
    world = server(tmp_path)
    machine = world.machine()
    (part,) = make_plan(machine, Asked(("irq-affinity",)))
    places = world.session().places

    class Picky(type(places.files)):  # type: ignore[misc]
        def write(self, path: str, value: str) -> None:
            if "/62/" in path:
                raise OSError(5, "Input/output error")
            super().write(path, value)

    picky = places._replace(files=Picky(*places.files))
    outcome = Tuner(picky, Journal(world.state / NAME), machine.boot).do(part)

    assert outcome.did == "done" and not outcome.is_refused
    assert [(step.place, why) for step, why in outcome.skipped] == [("62", "Input/output error")]
    assert world.files.text("/proc/irq/62/smp_affinity_list") == "2"
    assert world.files.text("/proc/irq/61/smp_affinity_list") != "1"


def test_a_value_that_the_kernel_makes_of_ours_is_known_as_ours(tmp_path: Path) -> None:
    """A card that counts in fours makes 48 of 50: that is in place, no drift, and undone."""
    world = server(tmp_path)
    run(world)
    assert world.calls.cards["eth0"].usecs == 48
    entries = len(Journal(world.state / NAME).entries)
    run(world)  # and it is in place
    assert len(Journal(world.state / NAME).entries) == entries
    drift = world.session().check()
    assert drift is None or not drift.steps
    revert(world)
    assert world.calls.cards["eth0"] == (4, True)


def test_a_card_that_cannot_is_absent_and_no_failure(tmp_path: Path) -> None:
    """Some cards tell only when asked that they do not collect interrupts."""
    world = vm_two(tmp_path)

    def refuse(what: str) -> None:
        raise OSError(95, "Operation not supported")

    world.calls.refuse = refuse
    (part,) = make_plan(world.machine(), Asked(("irq-coalescing",)))
    outcome = Tuner(world.session().places, Journal(world.state / NAME), "boot-1").do(part)

    assert (outcome.did, outcome.is_refused) == ("absent", False)


def test_a_value_that_stays_is_a_failure(tmp_path: Path) -> None:
    """A kernel that takes a value and keeps its own has refused it."""
    world = vm_two(tmp_path)
    world.calls.set_slice_ns = lambda thread, wanted_ns: None  # type: ignore[method-assign]
    (part,) = make_plan(world.machine(), Asked(("priority",)))
    outcome = Tuner(world.session().places, Journal(world.state / NAME), "boot-1").do(part)

    assert outcome.did == "failed" and "stayed 2800000" in outcome.error


def test_what_cannot_be_undone_stays_noted(tmp_path: Path) -> None:
    """It is told, and the next try undoes it."""
    world = vm_two(tmp_path)
    before = world.picture()
    run(world)

    def refuse(what: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    world.calls.refuse = refuse
    kept = [one for one in revert(world) if one.how == "kept"]
    assert {one.entry.kind for one in kept} == {"nice", "slice_ns", "coalescing"}
    assert {one.error for one in kept} == {"Operation not permitted"}
    world.calls.refuse = lambda what: None
    assert {one.how for one in revert(world)} == {"reverted"}
    assert world.picture() == before


def test_a_part_that_is_refused_is_not_begun(tmp_path: Path) -> None:
    """Nothing is done of a part of which something that it needs is not allowed."""
    world = vm_two(tmp_path)
    allowed = Step("file", "/proc/sys/net/core/rmem_max", "212992", "9", "why")
    part = Part("sockets", (allowed, allowed._replace(place="/x", refusal="only root may")))
    journal = Journal(world.state / NAME)
    outcome = Tuner(world.session().places, journal, "boot-1").do(part)

    assert (outcome.did, outcome.is_refused) == ("refused", True)
    assert world.files.text("/proc/sys/net/core/rmem_max") == "212992"
    assert not journal.path.exists()
