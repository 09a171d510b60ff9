"""`rnts tune` as a person calls it: what it prints, what it does, and how it ends."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tune_machines import laptop, server, vm_one, vm_two
from tune_tools import World
from typer.testing import CliRunner, Result

from rnts.__main__ import build
from rnts.errors import RntsError, UsageError
from rnts.perf import tuned as measuring
from rnts.perf.wakeups import lateness_ns
from rnts.tuning.measured import Figure


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A server, which the command takes for this machine."""
    return take(server(tmp_path), monkeypatch)


def take(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Let the command take this for the machine."""
    monkeypatch.setattr("rnts.tuning.session.Session", world.session)
    return world


def tune(*arguments: str, exit_code: int = 0) -> Result:
    """Run it; errors that are told to people are raised."""
    result = CliRunner().invoke(build(), ["tune", *arguments])
    if isinstance(result.exception, RntsError):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return result


def states(document: str) -> dict[str, str]:
    """State by part."""
    return {part["part"]: part["state"] for part in json.loads(document)["parts"]}


def test_without_a_part_the_plan_is_printed(world: World) -> None:
    """All parts, with what root would have to do, and nothing is changed."""
    before = world.picture()
    text = tune().stdout

    assert "pin-cores       to do" in text
    assert "policy0/scaling_governor and 15 more: schedutil → performance" in text.replace(
        "\n    ", " "
    )
    assert text.endswith("Nothing was changed: name a part to do it, or --all.\n")
    assert world.picture() == before


def test_parts_that_are_named_are_done(world: World) -> None:
    """Only these, and --dry-run does none of them."""
    before = world.picture()
    dry = json.loads(tune("--governor", "performance", "--dry-run", "--json").stdout)
    assert [part["part"] for part in dry["parts"]] == ["governor"]
    assert world.picture() == before

    text = tune("--governor", "performance", "--pin-cores", "--no-measure").stdout
    assert re.findall(r"^(\S+) +done$", text, re.MULTILINE) == ["pin-cores", "governor"]
    assert world.files.text("/proc/irq/61/smp_affinity_list") == "1"
    again = tune("--governor", "performance", "--no-measure", "--json").stdout
    assert states(again) == {"governor": "in place"}


def test_all_parts_are_done_checked_and_undone(world: World) -> None:
    """From nothing to everything and back: --all, --check, --revert."""
    before = world.picture()
    assert tune("--check").stdout == "nothing was tuned\n"
    done = states(tune("--all", "--no-measure", "--json").stdout)
    assert set(done.values()) == {"done", "in place"}
    assert tune("--check").stdout == "all is as it was made\n"
    world.put("/proc/sys/net/core/rmem_max", "5")
    drift = tune("--check", exit_code=1).stdout
    assert drift == "socket-buffers: file /proc/sys/net/core/rmem_max is 5, and was 4194304\n"
    found = json.loads(tune("--check", "--json", exit_code=1).stdout)
    assert [step["place"] for step in found["drifted"]] == ["/proc/sys/net/core/rmem_max"]

    text = tune("--revert").stdout
    assert "left: somebody else has changed it" in text
    world.put("/proc/sys/net/core/rmem_max", "212992")
    assert world.picture() == before
    assert tune("--revert").stdout == "nothing was tuned\n"
    assert json.loads(tune("--revert", "--json").stdout) == {"version": 1, "undone": []}


def test_what_is_refused_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user is told why, and the command that root would run; the rest is done."""
    world = take(laptop(tmp_path), monkeypatch)
    result = tune("--all", "--no-measure", exit_code=1)

    assert "→ echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy0" in result.stdout
    assert "refused: only root may" in result.stdout
    assert world.files.text("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor") == (
        "powersave"
    )
    assert {thread.cpus for one in world.machine().processes for thread in one.threads} == {"2,6"}


def test_what_a_machine_lacks_ends_with_1_where_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One who asks for a governor is told that there is none; --all means what there is."""
    take(vm_one(tmp_path), monkeypatch)

    assert "no cpufreq" in tune("--governor", "performance", "--no-measure", exit_code=1).stdout
    assert "no cpufreq" in tune("--governor", "performance", "--dry-run", exit_code=1).stdout
    assert states(tune("--all", "--no-measure", "--json").stdout)["governor"] == "absent"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--revert", "--check"),
        ("--revert", "--all"),
        ("--check", "--pin-cores"),
        ("--all", "--no-measure", "--keep-if-better"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: tuple[str, ...], world: World) -> None:
    """Before anything is looked at."""
    with pytest.raises(UsageError):
        tune(*arguments)


def test_figures_before_and_after_are_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that does not help is said to, and taken back where that is asked for."""
    world = take(vm_two(tmp_path), monkeypatch)
    before = world.picture()
    values = iter([900_000.0, 90_000.0, 900_000.0, 900_000.0])
    made = {"wake-up max": Figure(5_000_000)}
    monkeypatch.setattr(
        measuring,
        "measure",
        lambda seconds: {"wake-up p99": Figure(value := next(values), [value] * 6), **made},
    )
    text = tune("--priority").stdout
    assert "wake-up p99         900 µs   90.0 µs  better" in text
    assert "wake-up max        5.00 ms   5.00 ms" in text
    tune("--revert")

    text = tune("--priority", "--keep-if-better").stdout
    assert "priority        reverted\n    measured: no difference" in text
    assert world.picture() == before


def test_percentiles_are_those_of_all_rounds_and_of_each() -> None:
    """Rare ones are told of all rounds, and a round is not judged by them."""
    late = [list(range(1, 101)), list(range(101, 201))]
    found = measuring._wakeups(late)

    assert [figure.value for figure in found.values()] == [101, 198, 200, 200]
    assert [list(figure.rounds) for figure in found.values()] == [[51, 151], [99, 199], [], []]


def test_a_road_that_catches_up_is_not_measured() -> None:
    """Windows of the start, and those up to the last backlog, say nothing of tuning."""
    windows = [{"50": age * 1e6} for age in (5, 900, 400, 90, 3, 3, 3, 3, 2, 2, 2, 2)]

    assert measuring.steady(windows) == windows[6:]
    assert measuring.steady([*windows[:6], {"50": 50e6}, *windows[6:]]) == windows[6:]
    assert measuring.steady(windows[:11]) == []
    assert measuring.steady([]) == []


def test_wake_ups_are_late_and_counted() -> None:
    """One for each millisecond that was asked for, none of them early."""
    found = lateness_ns(0.01)

    assert len(found) == 10
    assert min(found) >= 0


def test_all_figures_are_measured_for_real(size: Callable[[int, int], int]) -> None:
    """Probes and a road of its own: each figure has its rounds (at the nightly size)."""
    if size(0, 1):
        found = measuring.measure(1.0)
        assert list(found) == [
            *(f"wake-up {name}" for name in ("p50", "p99", "p99.9", "max")),
            "record",
            "pipeline p50",
            "pipeline p99",
        ]
        assert all(figure.value > 0 for figure in found.values())
