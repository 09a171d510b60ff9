"""A call of `rnts tune` on a made-up machine: threads that come and go, measuring, drift."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tune_machines import server, vm_two

from rnts.errors import RntsError
from rnts.tuning.journal import NAME, Journal
from rnts.tuning.measured import Figure, Figures, compare, judge, overall
from rnts.tuning.plan import Asked, Step
from rnts.tuning.planning import ALL
from rnts.wish import write_wish

PINS = Asked(("pin-cores",))


def test_what_was_done_is_in_place_until_it_drifts(tmp_path: Path) -> None:
    """`--check` is silent, then tells what somebody changed, and doing it again mends it."""
    world = server(tmp_path)
    assert world.session().check() is None
    world.session().do(PINS, None, False)
    drift = world.session().check()
    assert drift is not None and not drift.steps

    world.calls.set_cpus(711, frozenset({0}))
    drift = world.session().check()
    assert drift is not None and [step.former for _, step in drift.steps] == ["0"]
    report = world.session().do(PINS, None, False)
    assert [outcome.did for outcome in report.outcomes] == ["done"]
    drift = world.session().check()
    assert drift is not None and not drift.steps
    again = world.session().do(PINS, None, False)
    assert [outcome.did for outcome in again.outcomes] == ["in place"]


def test_a_start_of_the_machine_is_drift(tmp_path: Path) -> None:
    """What it undid is named, and so is that there was one."""
    world = vm_two(tmp_path)
    world.session().do(Asked(("socket-buffers",)), None, False)
    world.put("/proc/sys/kernel/random/boot_id", "boot-2")
    world.put("/proc/sys/net/core/rmem_max", "212992")
    drift = world.session().check()

    assert drift is not None and drift.is_rebooted
    assert [step.place for _, step in drift.steps] == ["/proc/sys/net/core/rmem_max"]


def test_reverting_removes_every_trace(tmp_path: Path) -> None:
    """All parts one after the other, then none: no journal and no wish is left."""
    world = server(tmp_path)
    before = world.picture()
    for name in ALL:
        world.session().do(Asked((name,)), None, False)
    assert world.session().revert()
    assert world.picture() == before
    assert list(world.state.iterdir()) == []
    assert world.session().revert() == []


def test_threads_that_begin_while_others_are_pinned_are_pinned(tmp_path: Path) -> None:
    """A second look finds the thread that was started in between."""
    world = server(tmp_path)
    set_cpus = world.calls.set_cpus

    def and_start_another(thread: int, cpus: frozenset[int]) -> None:
        set_cpus(thread, cpus)
        if thread == 720:
            world.process(720, "python -m rnts alert", threads=2)
            set_cpus(720, cpus)

    world.calls.set_cpus = and_start_another  # type: ignore[method-assign]
    world.session().do(PINS, None, False)
    (alert,) = [one for one in world.machine().processes if one.role == "alert"]

    assert [thread.cpus for thread in alert.threads] == ["3,11", "3,11"]


def test_a_thread_that_begins_and_cannot_be_pinned_fails_the_part(tmp_path: Path) -> None:
    """A part is done for all threads, or for none."""
    world = server(tmp_path)
    before = world.picture()
    set_cpus = world.calls.set_cpus

    def and_start_another(thread: int, cpus: frozenset[int]) -> None:
        if thread == 721:
            raise OSError(22, "Invalid argument")
        set_cpus(thread, cpus)
        if thread == 720:
            world.process(720, "python -m rnts alert", threads=2)
            set_cpus(720, cpus)

    world.calls.set_cpus = and_start_another  # type: ignore[method-assign]
    (outcome,) = world.session().do(PINS, None, False).outcomes

    assert (outcome.did, outcome.error) == ("failed", "cpus 720:7200/721:7200: Invalid argument")
    after = {path: text for path, text in world.picture().items() if "/720/" not in path}
    assert after == {path: text for path, text in before.items() if "/720/" not in path}


def test_processes_that_started_later_are_given_back(tmp_path: Path) -> None:
    """What a process took by the wish, and nobody noted, is undone with the wish."""
    world = vm_two(tmp_path)
    before = world.picture()
    world.session().do(PINS, None, False)
    world.process(400, "python -m rnts aggregate", threads=1)
    fresh = {path: text for path, text in world.picture().items() if "/400/" in path}
    world.calls.set_nice(400, -10)
    world.calls.set_slice_ns(400, 200_000)
    world.files.write("/proc/400/autogroup", "-10")
    world.session().revert()

    assert world.picture() == {**before, **fresh}


def figures(*rounds: float) -> Figures:
    """One figure with these rounds."""
    return {"wake-up p99": Figure(rounds[0], rounds)}


def test_a_part_that_does_not_help_is_taken_back(tmp_path: Path) -> None:
    """With --keep-if-better each part is measured: one helps, one does nothing, one makes worse."""
    world = server(tmp_path)
    measured: Iterator[Figures] = iter(
        (
            figures(10, 11, 12, 13, 14, 15),
            figures(1, 2, 3, 1, 2, 3),  # behind governor
            figures(1, 2, 3, 1, 2, 3),  # behind hugepages
            figures(7, 7, 8, 8, 9, 9),  # behind socket-buffers
        )
    )
    asked = Asked(("governor", "hugepages", "socket-buffers", "time-source"))
    report = world.session().do(asked, lambda: next(measured), True)

    assert [(one.part.name, one.did, one.verdict) for one in report.outcomes] == [
        ("governor", "done", "better"),
        ("hugepages", "reverted", "no difference"),
        ("socket-buffers", "reverted", "worse"),
        ("time-source", "in place", ""),
    ]
    assert [row.verdict for row in report.rows] == ["better"]
    assert world.files.text("/sys/devices/system/cpu/cpufreq/policy3/scaling_governor") == (
        "performance"
    )
    assert world.files.text("/proc/sys/net/core/rmem_max") == "212992"
    assert not (world.state / "tune.json").exists()


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), RntsError("no agent answers")])
def test_a_part_whose_measuring_is_ended_is_taken_back(
    tmp_path: Path, ending: BaseException
) -> None:
    """With --keep-if-better nothing stays of which nobody knows whether it helps."""
    world = server(tmp_path)
    before = world.picture()
    measured = iter((figures(1, 2), ending))

    def measure() -> Figures:
        found = next(measured)
        if isinstance(found, BaseException):
            raise found
        return found

    with pytest.raises(type(ending)):
        world.session().do(Asked(("governor", "hugepages")), measure, True)
    assert world.picture() == before


def test_what_is_done_stays_where_it_cannot_be_measured(tmp_path: Path) -> None:
    """Without --keep-if-better a person is told that it does, and how to undo it."""
    world = server(tmp_path)
    before = world.picture()
    measured = iter((figures(1, 2),))

    def measure() -> Figures:
        for found in measured:
            return found
        raise RntsError("no agent answers")

    with pytest.raises(RntsError, match="no agent answers; what was done stays, and --revert"):
        world.session().do(Asked(("governor",)), measure, False)
    assert [one.how for one in world.session().revert()] == ["reverted"] * 16
    assert world.picture() == before


def test_numbers_are_those_last_given_with_their_part(tmp_path: Path) -> None:
    """A later call for other parts does not make the former one drift."""
    world = server(tmp_path)
    world.governors("schedutil", "performance schedutil powersave")
    world.session().do(Asked(("governor",), governor="powersave"), None, False)
    cards = Asked(("irq-coalescing",), usecs=20, interfaces=("eth0",))
    world.session().do(cards, None, False)
    world.session().do(PINS, None, False)
    drift = world.session().check()
    assert drift is not None and drift.steps == []
    assert Journal(world.state / NAME).asked == Asked(
        ("governor", "irq-coalescing", "pin-cores"), "powersave", 20, ("eth0",)
    )


def test_files_belong_to_whom_the_folder_does(tmp_path: Path) -> None:
    """Root tunes for a user: folder, journal and wish are theirs, and a planted link is none."""
    owner = (1234, 5678) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    world = server(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, *owner)
    world.state = home / ".local" / "state"
    world.session().do(PINS, None, False)
    found = [home / ".local", *(home / ".local").rglob("*")]
    names = {path.name for path in found}
    assert names == {".local", "state", "tune.journal", "tune.json"}
    assert {(path.stat().st_uid, path.stat().st_gid) for path in found} == {owner}

    world.session().revert()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (world.state / "tune.part").symlink_to(victim)
    world.session().do(PINS, None, False)
    (world.state / NAME).rename(world.state / "former")
    (world.state / NAME).symlink_to(victim)
    with pytest.raises(RntsError, match="nothing can be noted"):
        world.session().do(Asked(("governor",)), None, False)
    assert victim.read_text() == "mine"


def test_a_journal_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person is told the file and the reason."""
    world = vm_two(tmp_path)
    (world.state / NAME).mkdir(parents=True)
    with pytest.raises(RntsError, match=r"tune\.journal cannot be read: Is a directory"):
        world.session().check()


def test_nothing_is_measured_where_nothing_is_to_be_done(tmp_path: Path) -> None:
    """What is in place, absent or advice needs no measurement, and leaves no journal."""
    world = vm_two(tmp_path)

    def measure() -> Figures:
        raise AssertionError("it was measured")

    report = world.session().do(Asked(("time-source", "governor")), measure, True)
    assert [one.did for one in report.outcomes] == ["absent", "in place"]
    assert not (world.state / NAME).exists()


def test_two_do_not_tune_at_once(tmp_path: Path) -> None:
    """The second is told, and does nothing."""
    world = vm_two(tmp_path)
    world.state.mkdir()
    descriptor = os.open(world.state, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(RntsError, match="another `rnts tune`"):
            world.session().do(PINS, None, False)
    finally:
        os.close(descriptor)


def test_a_damaged_wish_is_told(tmp_path: Path) -> None:
    """A person learns which file is damaged."""
    world = vm_two(tmp_path)
    write_wish({"nice": "-10"}, world.state / "tune.json")
    (world.state / "tune.json").write_text("{")
    with pytest.raises(RntsError, match=r"remove .*tune\.json"):
        world.session().look()


def test_rounds_are_compared_by_rank() -> None:
    """Apart is a difference, mingled is none, and too few say nothing."""
    low, high = [10.0, 11, 12, 13, 14, 15], [20.0, 21, 22, 23, 24, 25]

    assert judge(high, low) == "better"
    assert judge(low, high) == "worse"
    assert judge(low, low) == "no difference"
    assert judge(low, [*low[:3], *high[:3]]) == "no difference"
    assert judge([100.0] * 6, [99.0] * 6) == "no difference"  # apart, and less than a twentieth
    assert judge(low, [1.0]) == judge([], low) == ""
    # One outlier of 36 pairs is still a difference, two outliers are none.
    assert judge(high, [*low[:5], 20.5]) == "better"
    assert judge(high, [*low[:4], 26, 27]) == "no difference"


def test_figures_are_compared_one_by_one() -> None:
    """What is missing on one side has no verdict; worse in one figure is worse in all."""
    rows = list(compare({"a": Figure(2, (2.0,) * 6), "b": Figure(5)}, {"a": Figure(1, (1.0,) * 6)}))

    assert rows == [("a", 2, 1, "better"), ("b", 5, None, "")]
    assert overall(rows) == "better"
    assert overall([*rows, rows[0]._replace(verdict="worse")]) == "worse"
    assert overall([]) == ""


def test_steps_that_are_done_are_not_open() -> None:
    """A step whose value is there is nothing to do."""
    assert not Step("file", "/x", "1", "1", "").is_open
