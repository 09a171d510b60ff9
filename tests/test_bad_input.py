"""Bad input to real processes: a clear message or a counted drop, and nothing else is lost."""

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from command_tools import here
from process_tools import (
    Document,
    accounting,
    program,
    road,
    run,
    running,
    segments,
    snapshot,
    until,
)

from rnts import layout
from rnts.delivery import Message, Type
from rnts.links.zmq import MESSAGE_BYTES_MAX
from rnts.segment import Segment


@contextlib.contextmanager
def busy_port() -> Iterator[str]:
    """A tcp address at which another program listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("words", [["aggregate"], ["up", "--no-host", "--for", "1s", "--json"]])
def test_a_busy_port_is_told_and_ends_it(words: list[str], runtime_folder: Path) -> None:
    """Exit code 4 and the address; `rnts up` gives up as well instead of trying for ever."""
    with busy_port() as address:
        result = run(*words, RNTS_AGGREGATOR__BIND=address)
    assert result.returncode == 4
    assert f"cannot listen at {address}: Address already in use" in result.stderr
    assert "Traceback" not in result.stderr
    assert "restart" not in result.stderr
    assert result.stdout == ""
    assert list(runtime_folder.iterdir()) == []


def test_without_a_runtime_folder_nothing_is_tried_for_ever() -> None:
    """Agent, aggregator and `rnts up` name the folder and end; `rnts status` finds nobody."""
    nowhere = {"RNTS_RUNTIME_DIR": "/proc/none"}
    commands = (["aggregate"], ["agent", "--no-host"], ["up", "--for", "1s", "--json"])
    # Side by side, since most of it is waiting for a Python to start.
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(running(*words, **nowhere)) for words in commands]
        status = here("status", **nowhere)
        for process in started:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 2, errors
            assert "rnts: /proc/none cannot be made: No such file or directory" in errors
            assert "RNTS_RUNTIME_DIR" in errors
            assert "Traceback" not in errors
            assert "restart" not in errors
    assert status.returncode == 4
    assert "no aggregator answers" in status.stderr


@pytest.fixture
def full_memory(runtime_folder: Path) -> Iterator[Path]:
    """A memory file system without a free page, where the processes of this test meet."""
    folder = runtime_folder / "full"
    folder.mkdir(mode=0o700)
    options = "size=8k,mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems can be mounted by root only, and not everywhere")
    with contextlib.suppress(OSError):
        (folder / "others").write_bytes(bytes(1 << 20))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_memory_ends_nothing(full_memory: Path) -> None:
    """Agent and aggregator work on, say what found no room, and end with a balanced account."""
    words = ("up", "--host", "--for", "1s", "--json")
    result = run(*words, RNTS_RUNTIME_DIR=str(full_memory))
    assert result.returncode == 0, result.stderr
    assert f"{full_memory} has no room for what the agent asks programs for" in result.stderr
    assert "no shared memory: [Errno 28]" in result.stderr
    assert "died" not in result.stderr
    document = json.loads(result.stdout)
    assert document["accounting"]["balanced"] is True
    assert document["agents"][0]["host_source"]["passes"] > 0


def test_files_beside_a_living_program_are_refused_by_reason(runtime_folder: Path) -> None:
    """Truncated and foreign segments are counted in the snapshot; the program's records arrive."""
    own = Segment(runtime_folder, 1, 64)
    whole = own.path.read_bytes()
    own.unlink()
    os.close(own.descriptor)
    contents = {"half": whole[: layout.HEADER_BYTES + 100], "empty": b"", "text": b"hello " * 999}
    for name, content in contents.items():
        path = runtime_folder / f"{name}.seg"
        path.write_bytes(content)
        os.utime(path, (1, 1))  # a young file may still become a segment
    with program() as producer, road():
        neuron = producer.neuron("worker")
        assert all(neuron.record(queue_depth=i) for i in range(1000))
        account = until(lambda: (a := accounting()) and a["aggregated"] == 1000 and a)
        assert (account["emitted"], account["balanced"]) == (1000, True)
        refused = until(lambda: snapshot()["agents"][0]["segments_refused"])
    assert refused == {"truncated": 2, "foreign": 1}
    assert {path.name for path in segments(runtime_folder)} >= {f"{name}.seg" for name in contents}


def test_values_that_are_none_are_named_and_the_rest_arrives() -> None:
    """What is no number or does not fit is an error and `invalid`; a NaN is absent to the end."""
    with program() as producer, road():
        neuron = producer.neuron("worker")
        assert neuron.record(queue_depth=7, cpu_usage_percent=float("nan"))
        assert neuron.record(queue_depth=9)
        with pytest.raises(TypeError, match="queue_dept"):
            neuron.record(queue_dept=1)
        for bad in ("many", -1, 1 << 70):
            with pytest.raises((TypeError, OverflowError), match="queue_depth"):
                neuron.record(queue_depth=bad)
        with pytest.raises(ValueError, match="at most 255 bytes, not 10000"):
            producer.neuron("x" * 10_000)
        account = until(lambda: (a := accounting()) and a["aggregated"] == 2 and a)
        last = until(lambda: json.loads(here("status", "--neuron", "worker", "--json").stdout))
    assert account["dropped"] == {"invalid": 3}
    assert (account["emitted"], account["balanced"]) == (5, True)
    assert last["neuron"]["last"] == {"queue_depth": 9}


def test_very_many_names_arrive(size: Callable[[int, int], int]) -> None:
    """Each name has its neuron up to the limit; beyond it names and records are counted, none lost.

    The producer is one Python loop, so that its records need no more room than its lane has.
    """
    count, limit = size(8_000, 1_000_000), size(6_000, 800_000)
    with program() as producer, road(RNTS_AGGREGATOR__MAX_NEURONS=str(limit)):
        ids = np.arange(1, count + 1)
        producer.announce(ids.tolist(), [f"worker-{i}" for i in range(count)], "many")
        sent = sum(
            producer.neuron(f"worker-{i}", group="many", neuron_id=i + 1).record(queue_depth=i)
            for i in range(count)
        )
        document = until(lambda: named(count, limit))
    account = document["accounting"]
    assert account["aggregated"] == sent
    assert account["emitted"] == count
    assert account["aggregated"] + sum(account["dropped"].values()) == count
    assert document["neurons"]["known"] == limit


def named(count: int, limit: int) -> Document:
    """The snapshot once all names and records have come to an end, else nothing."""
    document = snapshot()
    if not document:
        return {}
    account, limits = document["accounting"], document["limits"]
    is_whole = account["in_flight"] == 0 and account["emitted"] == count
    return document if is_whole and limits["names_refused"] >= count - limit else {}


def test_noise_at_the_port_is_counted_and_harms_nobody() -> None:
    """Raw bytes, frames of garbage, far too many parts, a giant: another agent loses nothing."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    settings = {"RNTS_AGGREGATOR__BIND": address, "RNTS_TRANSPORT__ENDPOINTS": f"['{address}']"}
    with program() as producer, road(**settings), zmq.Context() as context:
        neuron = producer.neuron("worker")
        for i in range(500):
            assert neuron.record(queue_depth=i)
        shout_raw_bytes(address)
        shout_messages(context, address)
        for i in range(500):
            assert neuron.record(queue_depth=i)
        until(lambda: accounting(address).get("aggregated") == 1000)
        document = until(
            lambda: (s := snapshot(address)) and s["aggregator"]["refused"].get("magic") and s
        )
    account, refused = document["accounting"], document["aggregator"]["refused"]
    assert (account["emitted"], account["aggregated"]) == (1000, 1000)
    assert account["balanced"] is True
    assert len(document["agents"]) == 1
    assert refused == {"message": 3, "length": 1, "magic": 1}


def shout_raw_bytes(address: str) -> None:
    """What is no ZeroMQ at all: the library ends such connections."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    for noise in (b"GET / HTTP/1.1\r\n\r\n", bytes(5000), b"\xff" * 5000):
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(noise)


def shout_messages(context: "zmq.Context[zmq.Socket[bytes]]", address: str) -> None:
    """Messages of a stranger: three that are none, two HELLOs without a frame, and a giant."""
    hello = Message(Type.HELLO, 77, 1, 1, 1).pack()
    with context.socket(zmq.DEALER) as peer:
        peer.linger = 5000
        peer.connect(address)
        peer.send(b"garbage")
        peer.send_multipart([b"x"] * 10_000)
        peer.send(b"")
        peer.send_multipart([hello, b"frame", b"and more"])
        peer.send_multipart([hello, b"g" * 1000])
    with context.socket(zmq.DEALER) as giant:
        giant.linger = 0
        cut_off = giant.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        giant.connect(address)
        giant.send(bytes(MESSAGE_BYTES_MAX + 1))
        assert cut_off.poll(10_000)
        giant.disable_monitor()


def test_without_a_cache_folder_it_is_said_why_the_start_is_slow(
    size: Callable[[int, int], int],
) -> None:
    """An unusable home is told with what to do; the process compiles for itself and works.

    Compiling takes half a minute of a core, so that only the nightly run waits for its end.
    """
    home = {"HOME": "/proc/none", "XDG_CACHE_HOME": "", "RNTS_CACHE_DIR": ""}
    with running("aggregate", **home) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "warning: /proc/none/.cache/rnts/numba cannot be written" in line
        assert "RNTS_CACHE_DIR" in line
        status = here("status", **home)
        assert (status.returncode, "no aggregator answers" in status.stderr) == (4, True)
        if size(0, 1):
            until(snapshot)
        process.kill()
