"""The gRPC driver of the aggregator: a stream for each agent and viewer, with two threads.

Memory is bounded by stream: of each only so many messages wait to be taken in, and while they do
nothing more is read from it, so that HTTP/2's own flow control holds its sender up.
"""

import contextlib
import queue
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from rnts.errors import ConnectError
from rnts.links.access import Access
from rnts.links.grpc_wire import METHOD, SERVER, SERVICE, pack, server_credentials, target, unpack
from rnts.links.ipc import claim_ipc
from rnts.links.limits import BATCH, HIGH_WATER
from rnts.links.options import LinkOptions

STREAMS_MAX = 256  # agents and viewers at a time; who comes then is refused, and tries again
_STEP_S, _STOP_S = 0.2, 1.0


class Peer:
    """One stream: who is at its other end, and what waits for it."""

    def __init__(self, owner: str | None) -> None:
        self.owner = owner
        self.outbox: queue.Queue[bytes | None] = queue.Queue(HIGH_WATER)
        self.room = threading.Semaphore(HIGH_WATER)  # for messages that wait to be taken in
        self.has_gone = False

    def end(self) -> None:
        """The stream is over; what waits for it wakes up."""
        self.has_gone = True
        with contextlib.suppress(queue.Full):  # then nobody waits at its end
            self.outbox.put_nowait(None)


class AggregatorLink:
    """The aggregator's end: agents and clients alike.

    An encrypted address is there beside the one of this machine, `local`: that needs no
    certificate, since the file system says who may connect to it.
    """

    def __init__(self, endpoint: str, options: LinkOptions, local: str | None = None) -> None:
        self.endpoint = endpoint
        self._inbox: queue.SimpleQueue[tuple[Peer, list[bytes]]] = queue.SimpleQueue()
        self._counts: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._access = Access()
        self._guards: dict[str, socket.socket] = {}
        handler = grpc.stream_stream_rpc_method_handler(self._speak)
        self._server = grpc.server(
            ThreadPoolExecutor(STREAMS_MAX, "rnts-grpc"),
            [grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})],
            options=SERVER,
            maximum_concurrent_rpcs=STREAMS_MAX,
        )
        try:
            self._listen(endpoint, options, local)
        except BaseException:
            self.close()
            raise
        self._server.start()

    def _listen(self, endpoint: str, options: LinkOptions, local: str | None) -> None:
        if not options.is_encrypted(endpoint):
            self._bind(endpoint, None)
            return
        credentials = server_credentials(endpoint, options)
        if local is not None:
            self._bind(local, None)
        self._bind(endpoint, credentials)

    def _bind(self, endpoint: str, credentials: grpc.ServerCredentials | None) -> None:
        guard = claim_ipc(endpoint)
        if guard is not None:
            self._guards[endpoint] = guard
        try:
            if credentials is None:
                port = self._server.add_insecure_port(target(endpoint))
            else:
                port = self._server.add_secure_port(target(endpoint), credentials)
        except RuntimeError as error:
            raise ConnectError(f"cannot listen at {endpoint}: {error}") from error
        if port == 0:
            raise ConnectError(f"cannot listen at {endpoint}")

    def _speak(
        self, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes | None]:
        """One stream, in a thread of its own, which sends; another reads."""
        identities = context.peer_identities()
        peer = Peer(identities[0].decode("utf-8", "replace") if identities else None)
        if not context.add_callback(peer.end):
            return iter(())
        self._count("accepted")
        context.send_initial_metadata(())  # so that the other end knows that it is connected
        threading.Thread(target=self._read, args=(requests, peer), daemon=True).start()
        return iter(peer.outbox.get, None)

    def _read(self, requests: Iterator[bytes], peer: Peer) -> None:
        with contextlib.suppress(grpc.RpcError):  # the other end has gone, however that was
            for raw in requests:
                parts = unpack(raw)
                if parts is None:
                    self._count("messages_damaged")
                    continue
                while not peer.room.acquire(timeout=_STEP_S):
                    if peer.has_gone:
                        break
                self._inbox.put((peer, parts))
        self._count("disconnected")
        peer.end()

    def _count(self, name: str) -> None:
        with self._counting:
            self._counts[name] += 1

    def receive(self, timeout_ms: int) -> list[tuple[Peer, list[bytes]]]:
        """Wait for messages, at most `timeout_ms`; (peer, parts) each, a bounded number."""
        messages: list[tuple[Peer, list[bytes]]] = []
        with contextlib.suppress(queue.Empty):
            messages.append(self._inbox.get(timeout=timeout_ms / 1000))
            while len(messages) < BATCH:
                messages.append(self._inbox.get_nowait())
        for peer, _ in messages:
            peer.room.release()
        return messages

    def may_speak(self, peer: Peer, agent_id: int | None) -> bool:
        """Whether a peer may speak for an agent; None: whether it may ask."""
        return self._access.may_speak(peer.owner, agent_id)

    def send(self, peer: Peer, parts: list[bytes]) -> None:
        """Answer; to a peer that has gone or does not read, the answer is dropped and counted."""
        if peer.has_gone:
            self._count("answers_unreachable")
            return
        try:
            peer.outbox.put_nowait(pack(parts))
        except queue.Full:
            self._count("answers_full")

    def counters(self) -> dict[str, int]:
        """What happened to connections and answers, by name, since the beginning."""
        with self._counting:
            return dict(self._counts)

    def close(self) -> None:
        """Stop listening, and remove the sockets' files."""
        self._server.stop(0).wait(_STOP_S)
        for endpoint, guard in self._guards.items():
            Path(endpoint.removeprefix("ipc://")).unlink(missing_ok=True)
            guard.close()
        self._guards.clear()
