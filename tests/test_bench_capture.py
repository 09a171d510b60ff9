"""The parts of `rnts bench capture`: batches of calls, peers in processes of their own, a death."""

import json
from typing import Any

import pytest

from rnts.commands import _bench_table
from rnts.errors import RntsError
from rnts.perf import batches, capture, contenders, peers
from rnts.perf.batches import Contender, Course, Group
from rnts.perf.peers import Peer
from rnts.perf.sandbox import sandbox


class MadeUpClock:
    """A clock that takes 10 ns itself; the loop takes nothing, and `work` what it is told."""

    def __init__(self) -> None:
        self.now_ns = 0

    def thread_time_ns(self) -> int:
        """The time."""
        self.now_ns += 10
        return self.now_ns

    def work(self, duration_ns: int) -> None:
        """Let time pass."""
        self.now_ns += duration_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MadeUpClock:
    """The clock that batches are timed by."""
    made = MadeUpClock()
    monkeypatch.setattr(batches, "time", made)
    return made


def test_the_price_of_clock_and_loop_is_taken_off(clock: MadeUpClock) -> None:
    """A call costs what it takes itself: nothing where it does nothing."""
    group = Group({"a_ns": Contender("work(7)"), "b_ns": Contender("pass")}, {"work": clock.work})
    course = Course(group, batches=3)
    course.turn()

    tails = ("", "_p99", "_p999")
    assert course.figures() == {f"a_ns{t}": 7 for t in tails} | {f"b_ns{t}": 0 for t in tails}


def test_a_call_that_makes_many_is_told_for_one_of_them(clock: MadeUpClock) -> None:
    """Compiled loops are called once a batch, and calling one without work is not theirs."""
    contender = Contender("work(1000 + 20 * 3)", calls=20, nothing="work(1000)")
    course = Course(Group({"a_ns": contender}, {"work": clock.work}), batches=3)
    course.turn()

    assert course.figures()["a_ns"] == 3


def test_tails_are_those_of_the_batches(clock: MadeUpClock) -> None:
    """One slow batch of many shows in the tails and not in the median."""
    slow = iter([*[0] * 5000, *[9] * 50])  # the last batch of 101; one of them warms up
    group = Group({"a_ns": Contender("work(4 + next(slow))")}, {"work": clock.work, "slow": slow})
    course = Course(group, batches=1)
    for _ in range(100):
        course.turn()
    found = course.figures()

    assert found["a_ns"] == 4
    assert 4 <= found["a_ns_p99"] < found["a_ns_p999"] < 13


def test_a_turn_is_tidied_up_after_each_contender(clock: MadeUpClock) -> None:
    """Batches of nothing, of one and of the other: each is followed by the same."""
    done: list[str] = []
    group = Group(
        {"a_ns": Contender("note('a')"), "b_ns": Contender("note('b')")},
        {"note": done.append},
        lambda: done.append("-"),
        lambda: {"lost": 0},
    )
    course = Course(group, batches=1)
    done.clear()
    course.turn()

    assert done == ["-", *"a" * 50, "-", *"b" * 50, "-"]
    assert course.figures()["lost"] == 0


def test_a_peer_that_breaks_is_told_and_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A peer whose process ends with an error costs its own figures only."""
    with sandbox() as box:
        found = capture.take_turns(box, ["nobody", "multiprocessing_queue"], 1, 2)

    assert found.keys() == {f"multiprocessing_queue_ns{tail}" for tail in ("", "_p99", "_p999")}
    assert "nobody is left out" in capsys.readouterr().err


def test_our_own_failure_is_no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our group breaks there is no figure to tell."""
    monkeypatch.setattr(capture, "OURS", "nobody")
    with sandbox() as box, pytest.raises(RntsError, match="nobody"):
        capture.take_turns(box, ["nobody"], 1, 1)


def test_what_is_not_installed_is_found_out() -> None:
    """Neither a module that is missing nor one in a package that is missing is an error."""
    assert peers.is_installed(Peer("json", ()))
    assert not peers.is_installed(Peer("no_such_module_anywhere", ()))
    assert not peers.is_installed(Peer("no_such_package_anywhere.sdk", ()))


def test_children_answer_line_by_line() -> None:
    """An answer is one line; a child that has ended is an error with its last words."""
    with sandbox() as box:
        child = box.start("rnts.perf.contenders", "multiprocessing_queue", "1")
        assert box.hear(child) == f"{contenders.READY}\n"
        assert box.ask(child, "\n", 60) == f"{contenders.READY}\n"
        assert child.stdin is not None
        child.stdin.close()
        assert json.loads(box.hear(child))["multiprocessing_queue_ns"] >= 0
        child.wait(60)
        with pytest.raises(RntsError, match=r"ended \(0\): it said nothing"):
            box.hear(child)


def test_a_child_that_was_to_be_killed_is_no_failure() -> None:
    """Waiting goes on after a child was killed on purpose."""
    with sandbox() as box:
        box.kill(box.start("rnts.perf.victim", "victim"))

        assert box.wait("it", lambda: True) is True
        box.require_alive()


def test_tails_stand_in_the_row_of_their_median() -> None:
    """A figure with p99 and p99.9 has one row; a p99 that stands alone has its own."""
    figures: dict[str, Any] = {"a_ns": 1, "a_ns_p99": 2, "a_ns_p999": 3, "latency_ns_p99": 9}

    assert [name for name in figures if not _bench_table.is_tail(name, figures)] == [
        "a_ns",
        "latency_ns_p99",
    ]
    assert _bench_table.tails_of("a_ns", figures) == ("2 ns", "3 ns")
    assert _bench_table.tails_of("latency_ns_p99", figures) == ("", "")
    assert _bench_table.tails_of("b_ns", {"b_ns": None, "b_ns_p99": None}) == ("", "")
