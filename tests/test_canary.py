"""The canary of an alert process: what is sent, how long it takes, what is lost and why."""

import json
import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from settings_tools import isolate

from rnts.alerts.canary import PATIENCE_NS, QUERIES, Canary
from rnts.alerts.canary_cage import CanaryCage
from rnts.alerts.canary_lane import CanaryLane
from rnts.alerts.canary_times import PERCENTILES, SlidingTimes
from rnts.canary_ids import GROUP, NEURONS_MAX, is_canary
from rnts.reflex.change import Change, Labels, Update
from rnts.settings import Settings, load_file

MS, SECOND = 1_000_000, 1_000_000_000
EPOCH = 1_790_000_000 * SECOND


def soon(is_so: Callable[[], Any]) -> None:
    """Wait until the thread of the action has come so far."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.001)


class Lane:
    """Notes what is recorded; there is room for it, and an agent, as long as a test wants that."""

    names = frozenset(f"own-{number}" for number in range(NEURONS_MAX))

    def __init__(self) -> None:
        self.records: list[tuple[int, int]] = []
        self.has_room = True
        self.seen_ns = 0

    def record(self, number: int, depth: int) -> bool:
        """Note it."""
        if self.has_room:
            self.records.append((number, depth))
        return self.has_room

    def agent_seen_ns(self) -> int:
        """When the test says."""
        return self.seen_ns

    def close(self) -> None:
        """It holds nothing."""


class Road:
    """A canary and its clocks; the test plays all that is between lane and action."""

    def __init__(self, folder: Path, interval_ns: int = SECOND) -> None:
        self.now_ns, self.lane = 100 * SECOND, Lane()
        self.canary = Canary(self.lane, folder, interval_ns, lambda: self.now_ns)
        self.is_heard = True

    @property
    def wall_ns(self) -> int:
        """The time of people, which goes as the other one does."""
        return EPOCH + self.now_ns

    def step(self) -> None:
        """One step of its process."""
        alive_ns = self.wall_ns if self.is_heard else None
        self.canary.step(self.now_ns, self.wall_ns, alive_ns)

    def go_on(self, length_ns: int) -> None:
        """Let time pass, with a step each 50 ms; an agent looks all the time."""
        for _ in range(length_ns // (50 * MS)):
            self.now_ns += 50 * MS
            self.lane.seen_ns = self.wall_ns
            self.step()

    def send(self) -> tuple[int, int]:
        """Wait until the next is sent; which neuron says what."""
        before = self.said("sent")
        while self.said("sent") == before:
            self.go_on(50 * MS)
        return self.lane.records[-1]

    def tell(self, number: int, depth: int, name: str = "own") -> list[Update]:
        """What the aggregator tells of a neuron's record; returns what is not for the canary."""
        labels: Labels = (("group", "default"), ("host", ""), ("neuron", f"{name}-{number}"))
        change = Change(labels, float(depth > 0), float(depth))
        rest = self.canary.pick([Update(GROUP, self.wall_ns, False, (change,), ())])
        self.step()
        return rest

    def come_back(self, record: tuple[int, int], after_ns: int) -> None:
        """Have what was sent come back after a time, as far as its action."""
        before = self.said("came_back")
        self.now_ns += after_ns
        self.tell(*record)
        soon(lambda: self.said("came_back") > before)

    def said(self, key: str) -> Any:
        """A part of what the process says of it."""
        return self.canary.document(self.now_ns, self.wall_ns)[key]


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    """A road on which an agent was just seen."""
    road = Road(tmp_path / "canary")
    road.lane.seen_ns = road.wall_ns
    yield road
    road.canary.close(road.now_ns)
    assert not (tmp_path / "canary").exists()


def test_times_are_those_of_the_window() -> None:
    """Counts, percentiles and losses are those of what is left, computed anew from a plain list."""
    chance = random.Random(2)
    times, plain, lost = SlidingTimes(1_000), list[tuple[int, int]](), list[int]()
    for at_ns in range(0, 20_000, 7):
        if chance.random() < 0.3:
            plain.append((at_ns, chance.randrange(50)))
            times.add(*plain[-1])
        if chance.random() < 0.05:
            lost.append(at_ns)
            times.lose(at_ns, "unknown")
        told = times.document(at_ns)
        left = sorted(time_ns for then_ns, time_ns in plain if then_ns > at_ns - 1_000)
        assert told["count"] == len(left)
        assert sum(told["lost"].values()) == sum(then_ns > at_ns - 1_000 for then_ns in lost)
        for percentile in PERCENTILES if left else ():
            rank = max(1, math.ceil(percentile / 100 * len(left) - 1e-9))
            assert told["percentiles"][f"{percentile:g}"] == left[rank - 1]
    assert times.document(40_000) == {
        "window_ns": 1_000, "count": 0, "lost": {}, "percentiles": {}, "max": None,
    }  # fmt: skip


def test_what_comes_back_is_timed(road: Road) -> None:
    """From just before the record to its action, but for the first, which warms up the road."""
    for after_ns in (90 * MS, 2 * MS, 5 * MS, 3 * MS):
        road.come_back(road.send(), after_ns)
    assert road.said("last") == 3 * MS
    minute = road.said("minute")
    assert (minute["count"], minute["max"]) == (3, 5 * MS)
    assert minute["percentiles"] == {"50": 3 * MS, "99": 5 * MS, "99.9": 5 * MS}
    assert (road.said("sent"), road.said("came_back"), road.said("lost")) == (4, 4, {})
    road.now_ns += 61 * SECOND
    assert (road.said("minute")["count"], road.said("hour")["count"]) == (0, 3)


def test_who_has_come_back_is_calmed_and_others_go_on(road: Road) -> None:
    """With the next one, the neuron says that all is well; each neuron has its turn."""
    for number in range(NEURONS_MAX + 3):
        record = road.send()
        assert record == (number % NEURONS_MAX, number + 1)
        if number:
            calmed = road.lane.records[-2]
            assert calmed == ((number - 1) % NEURONS_MAX, 0)
            road.tell(*calmed)
        road.come_back(record, MS)
    assert road.said("came_back") == NEURONS_MAX + 3
    assert len(road.canary._table.lives.by_key) <= 3


def test_intervals_are_random_about_their_mean(road: Road) -> None:
    """So that nothing that is periodic is always, or never, met."""
    began_ns = road.now_ns
    moments = []
    for _ in range(60):
        road.come_back(road.send(), MS)
        moments.append(road.now_ns)
    steps = [b - a for a, b in zip([began_ns, *moments], moments, strict=False)]
    assert 45 * SECOND < moments[-1] - began_ns < 78 * SECOND
    assert max(steps) > 1_200 * MS and min(steps[1:]) < 800 * MS


@pytest.mark.parametrize("reason", ["agent_away", "aggregator_away", "unknown", "lane_full"])
def test_what_is_lost_has_a_reason(road: Road, reason: str) -> None:
    """After five seconds, by who was not there meanwhile; its neuron is calmed and used again."""
    road.come_back(road.send(), MS)
    road.lane.has_room = reason != "lane_full"
    before = road.said("sent")
    while road.said("sent") == before:
        road.go_on(50 * MS)
    if reason == "lane_full":
        assert road.said("lost") == {reason: 1} and road.said("under_way") == 0
        return
    assert road.said("under_way") == 1
    seen_ns, road.is_heard = road.lane.seen_ns, reason != "aggregator_away"
    if reason == "agent_away":
        road.lane.seen_ns = 0
        road.now_ns += PATIENCE_NS
        road.step()
    else:
        road.go_on(PATIENCE_NS)
    assert road.said("lost")[reason] >= 1 and seen_ns
    assert road.said("minute")["lost"] == road.said("lost")
    road.is_heard = True
    road.go_on(2 * SECOND)
    assert (1, 0) in road.lane.records


def test_into_the_void_nothing_is_sent(road: Road) -> None:
    """Without an agent they are lost at once, so that no lane fills; with one it goes on."""
    road.come_back(road.send(), MS)
    records = list(road.lane.records)
    road.lane.seen_ns = 0
    for _ in range(2 * NEURONS_MAX):
        road.now_ns += 2 * SECOND
        road.step()
    assert road.lane.records == records and road.said("under_way") == 0
    assert road.said("lost") == {"agent_away": 2 * NEURONS_MAX}
    assert road.said("sent") == road.said("came_back") + 2 * NEURONS_MAX
    road.come_back(road.send(), MS)


def test_what_comes_after_it_was_given_up_is_late(road: Road) -> None:
    """It stays lost, and is counted as late."""
    record = road.send()
    road.go_on(PATIENCE_NS + 50 * MS)
    assert sum(road.said("lost").values()) >= 1
    road.tell(*record)
    soon(lambda: road.said("came_late"))
    assert road.said("came_back") == 0


def test_others_are_left_alone(road: Road) -> None:
    """What is told of rules is handed on; canaries of another process are none of ours."""
    number, depth = road.send()
    assert road.tell(number, depth, name="foreign") == []
    assert road.said("came_late") == road.said("came_back") == 0
    assert not road.canary._table.lives.by_key
    users = Update("condition/x", EPOCH, False, (), ())
    assert road.canary.pick([users]) == [users]
    road.come_back((number, depth), MS)


def test_it_waits_until_the_road_stands(tmp_path: Path) -> None:
    """Nothing is sent before an agent was seen and the aggregator heard; from then on it is."""
    road = Road(tmp_path)
    for seen_ns, is_heard in ((0, True), (road.wall_ns, False)):
        road.lane.seen_ns, road.is_heard = seen_ns, is_heard
        road.step()
        assert road.said("is_waiting") and road.lane.records == []
    road.is_heard = True
    road.step()
    assert road.lane.records == [(0, 1)] and not road.said("is_waiting")
    road.canary.close(road.now_ns)


def test_an_aggregator_that_comes_back_tells_all_anew(road: Road) -> None:
    """What it does not list any more is over, and the same neuron can be told of again."""
    first = road.send()
    road.come_back(first, MS)
    road.canary.pick([Update(GROUP, road.wall_ns, True, (), ())])
    road.go_on(5 * SECOND)
    assert not any(life.is_active for life in road.canary._table.lives.by_key.values())


def settings_of(**canary: Any) -> Settings:
    """The settings of a file that says this of the canary."""
    Path("r.yaml").write_text(json.dumps({"alerting": {"canary": canary}}))
    return load_file(Path("r.yaml"))


def test_settings_decide_whether_there_is_one(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On by default; a reload ends it, begins it, or changes its pace; a dry run has none."""
    isolate(monkeypatch, runtime_folder)
    cage = CanaryCage(runtime_folder / "memory")
    cage.reload(settings_of())
    told = cage.document()
    assert cage.queries == QUERIES and told is not None and told["interval_ns"] == SECOND
    cage.reload(settings_of(interval="250ms"))
    told = cage.document()
    assert told is not None and told["interval_ns"] == 250 * MS
    cage.reload(settings_of(enabled=False))
    assert cage.queries == {} and cage.document() is None
    assert cage.due_ns(5) == 5 + SECOND and cage.pick([]) == []
    cage.reload(settings_of())
    assert cage.queries == QUERIES
    cage.close(0)
    assert list(runtime_folder.glob("canary-*")) == []

    dry = CanaryCage()
    dry.reload(settings_of())
    assert dry.queries == {} and dry.document() is None


def test_without_room_alerts_go_on(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where its memory cannot be made there is no canary, which is said, and no lane."""
    isolate(monkeypatch, runtime_folder)
    cage = CanaryCage(runtime_folder / "memory")
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full")))
    cage.reload(settings_of())
    assert cage.document() is None and "reactions are not measured: " in caplog.text
    assert list(runtime_folder.glob("*.seg")) == []


def test_a_lane_of_its_own(runtime_folder: Path) -> None:
    """It records as any program does, and leaves no segment where no agent works."""
    lane = CanaryLane()
    assert len(lane.names) == NEURONS_MAX and all(is_canary(int(name)) for name in lane.names)
    assert lane.record(3, 7) and lane.agent_seen_ns() == 0
    assert len(list(runtime_folder.glob("*.seg"))) == 1
    lane.close()
    assert list(runtime_folder.glob("*.seg")) == []
