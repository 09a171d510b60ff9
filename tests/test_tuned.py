"""What processes that start do of what `rnts tune` asked for, and that they start in any case."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnts import own_memory, tuned, wish
from rnts.cpu_list import format_cpus
from rnts.own_memory import Calls, Mapping, hold, mappings

MIB = 1 << 20
# Takes its place and tells how it is scheduled, with a thread from before and one from after.
CHILD = """
import json, os, threading
from pathlib import Path
from rnts import scheduling, tuned
end, group = threading.Event(), Path("/proc/self/autogroup")
threading.Thread(target=end.wait, daemon=True).start()
tuned.take_place("agent")
threading.Thread(target=end.wait, daemon=True).start()
threads = [int(name) for name in os.listdir("/proc/self/task")]
print(json.dumps({
    "cpus": [sorted(os.sched_getaffinity(thread)) for thread in threads],
    "nice": [os.getpriority(os.PRIO_PROCESS, thread) for thread in threads],
    "slice": [scheduling.slice_ns(thread) for thread in threads],
    "group": group.read_text() if group.exists() else "",
}))
"""
# Takes its place, and has an action run a command that tells how that is scheduled once it waits.
ACTING = """
import sys
from rnts import tuned
from rnts.alerts.actions_command import CommandAction
from rnts.alerts.notification import Notification
tuned.take_place("alert")
code = (
    "import json, os, sys; sys.stdin.read(); "
    "print(json.dumps([sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0)]), "
    "file=open(sys.argv[1], 'w'))"
)
CommandAction([sys.executable, "-c", code, sys.argv[1]]).run(
    Notification("k", "r", "firing", "rule", "critical", {}, "title", 1, {}, 0, [], [], [])
)
"""
MEMORY = """
import resource, sys
from rnts import own_memory
held = [bytearray(1 << 20) for _ in range(8)]
found = own_memory.hold_own(True, True, int(sys.argv[1]))
status = open("/proc/self/status").read()
print(found.locked, found.touched, found.left, status.split("VmLck:")[1].split()[0])
"""


def start(code: str, *arguments: str, leads: bool = False) -> str:
    """What a Python program prints."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, timeout=60, start_new_session=leads
    )
    return done.stdout


def test_a_process_takes_its_place_with_all_threads() -> None:
    """Processors, niceness and slices hold for threads that were there, and for later ones."""
    one = min(os.sched_getaffinity(0))
    wanted = {"cores.agent": str(one), "cores.alert": "7", "nice": "5", "slice_ns": "300000"}
    wish.write_wish({**wanted, "group_nice": "4"}, wish.wish_path())
    found = json.loads(start(CHILD, leads=True))

    assert found["cpus"] == [[one]] * 3
    assert found["nice"] == [5] * 3
    assert len(set(found["slice"])) == 1 and found["slice"][0] in (300_000, None)
    assert not found["group"] or found["group"].split()[-1] == "4"


def test_commands_of_actions_are_not_given_the_place(tmp_path: Path) -> None:
    """What an alert runs is a program of the user's: neither pinned nor preferred."""
    cpus = sorted(os.sched_getaffinity(0))
    wish.write_wish({"cores.alert": str(cpus[0]), "nice": "5"}, wish.wish_path())
    start(ACTING, str(tmp_path / "said"))
    assert json.loads((tmp_path / "said").read_text()) == [cpus, os.getpriority(os.PRIO_PROCESS, 0)]


def test_a_session_of_others_is_left(tmp_path: Path) -> None:
    """A process that does not lead its session changes nothing for those that are in it."""
    wish.write_wish({"group_nice": "4"}, wish.wish_path())
    before = start("print(open('/proc/self/autogroup').read())") if has_groups() else ""
    found = json.loads(start(CHILD))

    assert found["group"].strip() == before.strip()


def has_groups() -> bool:
    """Whether sessions are groups of the scheduler here."""
    return Path("/proc/self/autogroup").exists()


def test_without_a_wish_nothing_is_done() -> None:
    """No file, no change."""
    assert wish.read_wish() == {}
    tuned.take_place("agent")
    tuned.settle_tuned()
    assert tuned.socket_buffer_bytes() is None


@pytest.mark.parametrize("text", ["{", '{"version": 9, "wish": {}}', '{"version": 1, "wish": [1]}'])
def test_a_damaged_file_is_said_and_left_out(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """A process starts as it would without."""
    wish.wish_path().parent.mkdir(parents=True)
    wish.wish_path().write_text(text)

    assert tuned.asked() == {}
    assert "left out" in caplog.text


def test_what_cannot_be_had_keeps_nothing_else_from_being_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Processors that are not ours are said; what comes behind them is tried."""
    before = os.sched_getaffinity(0)
    with caplog.at_level(logging.WARNING):
        tuned.take_place("agent", {"cores.agent": "8000", "nice": "x"})

    assert os.sched_getaffinity(0) == before
    assert f"8000 are not among those of this process, {format_cpus(before)}" in caplog.text
    assert "x, cannot be had here" in caplog.text


def test_a_thread_that_ends_meanwhile_keeps_no_other_from_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Libraries end threads while others are listed."""
    reached = []

    def give(thread: int) -> None:
        if thread == 1:
            raise ProcessLookupError(thread)
        reached.append(thread)

    monkeypatch.setattr(os, "listdir", lambda path: ["1", "2", "3"])
    tuned._each(give)
    assert reached == [2, 3]


def test_a_wish_is_replaced_whole_and_goes_with_its_last_value(tmp_path: Path) -> None:
    """What is written is read; an empty one has no file; the size of buffers is a number."""
    path = tmp_path / "deep/tune.json"
    wish.write_wish({"b": "2", "a": "1"}, path)
    assert wish.read_wish(path) == {"a": "1", "b": "2"}
    wish.write_wish({}, path)
    assert list(path.parent.iterdir()) == []
    wish.write_wish({wish.SOCKET_BUFFER_BYTES: "65536"}, wish.wish_path())
    assert tuned.socket_buffer_bytes() == 65536


def test_buffers_of_sockets_have_the_size_that_is_asked_for() -> None:
    """Both directions of each end that is opened from then on."""
    import zmq

    from rnts.links.zmq_options import set_up

    context = zmq.Context()
    try:
        plain, large = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
        set_up(plain, "ipc:///x")
        wish.write_wish({wish.SOCKET_BUFFER_BYTES: "65536"}, wish.wish_path())
        set_up(large, "ipc:///x")
        assert plain.getsockopt(zmq.SNDBUF) == -1
        assert (large.getsockopt(zmq.SNDBUF), large.getsockopt(zmq.RCVBUF)) == (65536, 65536)
    finally:
        context.destroy(linger=0)


def calls(done: list[tuple[str, int]], lockable: int = 1 << 62) -> Calls:
    """A kernel that notes what it is asked, and locks pieces up to a size."""

    def note(what: str, mapping: Mapping) -> bool:
        done.append((what, mapping.size))
        return what != "lock" or mapping.size <= lockable

    return Calls(*(lambda mapping, what=what: note(what, mapping) for what in Calls._fields))


def test_memory_is_held_within_the_limit_the_smallest_first() -> None:
    """What does not fit is left, and what is reserved far beyond use is locked and not touched."""
    found = [Mapping(9, 4 * MIB), Mapping(1, MIB), Mapping(5, 100 * MIB), Mapping(7, 500 * MIB)]
    done: list[tuple[str, int]] = []
    held = hold(found, 120 * MIB, True, True, calls(done))

    assert held == (105 * MIB, 5 * MIB, 604 * MIB, 500 * MIB)
    assert [size // MIB for what, size in done if what == "touch"] == [1, 4]
    assert [size // MIB for what, size in done if what == "enlarge"] == [4, 100, 500]
    assert hold(found, 1 << 62, True, False, calls([], MIB)).left == 604 * MIB
    assert hold(found, 1 << 62, False, True, calls([])).locked == 0


def test_only_what_is_a_process_s_own_is_held() -> None:
    """Heap, stacks and arrays; no code, no files, nothing that is shared or read only."""
    text = (
        "00400000-00500000 r-xp 00000000 08:01 1 /usr/bin/python\n"
        "01000000-01200000 rw-p 00000000 00:00 0 [heap]\n"
        "7f0000000000-7f0000100000 rw-p 00000000 00:00 0 \n"
        "7f1000000000-7f1000100000 rw-s 00000000 00:19 7 /dev/shm/rnts-0/1.seg\n"
        "7f2000000000-7f2000100000 ---p 00000000 00:00 0 \n"
        "7f3000000000-7f3000100000 rw-p 00001000 08:01 1 /usr/lib/libc.so\n"
        "7ffc00000000-7ffc00100000 rw-p 00000000 00:00 0 [stack]\n"
    )
    assert [mapping.size // MIB for mapping in mappings(text)] == [2, 1]
    assert [*mappings()]


def test_a_process_locks_its_memory_for_real() -> None:
    """As much as it may: the kernel counts what was said, and no more than the limit."""
    limit = min(4 * MIB, own_memory.lock_limit_bytes())
    locked, touched, left, counted_kib = map(int, start(MEMORY, str(limit)).split())

    assert 0 < locked <= limit and left > 0
    assert touched <= locked
    assert counted_kib * 1024 >= locked
    assert start(MEMORY, "0").split()[:2] == ["0", "0"]
