"""The gRPC driver of agents and viewers: one stream of messages each way, with threads of its own.

The agent never waits for it: what it sends goes into a bounded queue that a thread empties as fast
as the other end reads, and what arrives waits in another.
"""

import contextlib
import queue
import threading
import time
from collections import Counter

import grpc

from rnts.errors import ConnectError
from rnts.links.grpc_wire import PATH, open_channel, pack, unpack
from rnts.links.limits import BATCH, HIGH_WATER, RECONNECT_MS, RECONNECT_MS_MAX
from rnts.links.options import LinkOptions

_STEP_S = 0.2  # how long a thread waits for room before it looks whether it is still needed


class Stream:
    """The stream to one endpoint, made anew whenever it breaks, until it is closed."""

    def __init__(self, endpoint: str, options: LinkOptions, counts: "Counter[str]") -> None:
        self._channel = open_channel(endpoint, options)
        self._speak = self._channel.stream_stream(PATH)
        self._counts = counts
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._arrived = threading.Event()
        self._inbox: queue.Queue[list[bytes]] = queue.Queue(BATCH)
        self._outbox: queue.Queue[bytes | None] | None = None  # None while there is no connection
        self._call: grpc.Call | None = None
        self._thread = threading.Thread(target=self._run, name="rnts-grpc", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        """Keep a stream, with growing pauses between attempts that fail."""
        pause_ms = RECONNECT_MS
        while not self._closed.is_set():
            if self._hold_one():
                pause_ms = RECONNECT_MS
            self._closed.wait(pause_ms / 1000)
            pause_ms = min(2 * pause_ms, RECONNECT_MS_MAX)

    def _hold_one(self) -> bool:
        """Open a stream and take in what comes until it ends; whether there was one."""
        outbox: queue.Queue[bytes | None] = queue.Queue(HIGH_WATER)
        with self._lock:
            if self._closed.is_set():
                return False
            call = self._call = self._speak(iter(outbox.get, None))
        try:
            call.initial_metadata()  # the aggregator sends it at once
            if call.is_active():
                self._outbox = outbox
                self._counts["connected"] += 1
                for raw in call:
                    self._take(raw)
        except grpc.RpcError:
            pass  # its code is asked for below, as that of a stream that ended without an error
        was_open, self._outbox = self._outbox is not None, None
        with contextlib.suppress(queue.Full):  # then nobody waits for it
            outbox.put_nowait(None)
        if not self._closed.is_set():
            self._counts["disconnected" if was_open else "retried"] += 1
            if call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                self._counts["refused_full"] += 1  # too many streams, or a message too large
        return was_open

    def _take(self, raw: bytes) -> None:
        """Put a message where the agent finds it; while there is no room the other end waits."""
        parts = unpack(raw)
        if parts is None:
            self._counts["messages_damaged"] += 1
            return
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._inbox.put(parts, timeout=_STEP_S)
                self._arrived.set()
                return

    def send(self, parts: list[bytes]) -> bool:
        """Send one message; False where nobody is connected or the queue is full."""
        outbox = self._outbox
        if outbox is None:
            return False
        try:
            outbox.put_nowait(pack(parts))
        except queue.Full:
            return False
        return True

    def receive(self) -> list[list[bytes]]:
        """The messages that have arrived."""
        messages: list[list[bytes]] = []
        self._arrived.clear()
        with contextlib.suppress(queue.Empty):
            while len(messages) < BATCH:
                messages.append(self._inbox.get_nowait())
        return messages

    def wait(self, timeout_ms: float) -> bool:
        """Sleep until a message arrives; whether one did."""
        return not self._inbox.empty() or self._arrived.wait(timeout_ms / 1000)

    def flush(self, timeout_s: float) -> None:
        """Give what was sent last a moment to leave."""
        until = time.monotonic() + timeout_s
        while (outbox := self._outbox) and not outbox.empty() and time.monotonic() < until:
            time.sleep(0.005)

    def close(self) -> None:
        """End the stream and its threads; returns at once."""
        with self._lock:
            self._closed.set()
            call = self._call
        if call is not None:
            call.cancel()
        self._channel.close()


class AgentLink:
    """The agent's end; one endpoint at a time."""

    def __init__(self, options: LinkOptions) -> None:
        self._options = options
        self._counts: Counter[str] = Counter()
        self._stream: Stream | None = None

    def connect(self, endpoint: str) -> None:
        """Go over to `endpoint`; what was queued for the former one is dropped."""
        if self._stream is not None:
            self._stream.close()
        self._stream = Stream(endpoint, self._options, self._counts)

    def send(self, parts: list[bytes]) -> bool:
        """Send one message; False where nobody is connected or the queue is full."""
        assert self._stream is not None
        return self._stream.send(parts)

    def receive(self) -> list[list[bytes]]:
        """The messages that have arrived."""
        return self._stream.receive() if self._stream is not None else []

    def wait(self, timeout_ms: int) -> bool:
        """Sleep until a message arrives; whether one did."""
        return self._stream is not None and self._stream.wait(timeout_ms)

    def counters(self) -> dict[str, int]:
        """What happened to connections, by name, since the beginning."""
        return dict(self._counts)

    def close(self) -> None:
        """Let go of everything, after a moment for a BYE to leave."""
        if self._stream is not None:
            self._stream.flush(0.2)
            self._stream.close()


class QueryLink:
    """A viewer's end, for one question after another."""

    def __init__(self, endpoint: str, options: LinkOptions) -> None:
        self.endpoint = endpoint
        self._options = options
        self._stream: Stream | None = None

    def ask(self, parts: list[bytes], timeout_ms: int) -> list[bytes]:
        """Send one message and wait for its answer; raises ConnectError when none comes in time."""
        if self._stream is None:
            self._stream = Stream(self.endpoint, self._options, Counter())
        until = time.monotonic() + timeout_ms / 1000
        while not self._stream.send(parts) and time.monotonic() < until:
            time.sleep(0.005)
        while (left_s := until - time.monotonic()) > 0:
            self._stream.wait(left_s * 1000)
            if answers := self._stream.receive():
                return answers[0]
        self.close()  # a late answer must not be taken for the next one's
        raise ConnectError(f"no aggregator answers at {self.endpoint}; start it: `rnts up`")

    def close(self) -> None:
        """Let go of everything."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
