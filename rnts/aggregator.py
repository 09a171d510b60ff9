"""The aggregator: takes frames in, folds them into windows, keeps the books, answers questions.

One thread. Frames are opened only if their number is the next of their session; a window closes
when the watermarks of all agents have passed its end, or, incomplete, after a period of grace.
"""

import json
import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rnts.accounts import Accounts
from rnts.attention import Attention
from rnts.delivery import Message, Type, parse_message
from rnts.errors import FrameError
from rnts.frame import Frame, FrameDecoder
from rnts.links.choice import AggregatorEnd, aggregator_link
from rnts.links.options import LinkOptions
from rnts.model import TEXT_BYTES_MAX
from rnts.process import Stop, own_usage
from rnts.receiver import Receiver, Verdict
from rnts.snapshot import neuron_snapshot, snapshot
from rnts.watermarks import Watermarks
from rnts.windows import Windows

_TICK_MS = 50  # windows are looked after this often while nothing arrives
_DAMAGED_TRIES = 3  # a frame that arrives damaged as often is given up
_AGENT_GONE_NS = 60_000_000_000  # an agent that was silent for longer is forgotten

log = logging.getLogger("rnts.aggregator")


@dataclass
class _Agent:
    """What the aggregator knows of an agent beyond its session."""

    meta: dict[str, Any] = field(default_factory=dict)
    damaged: int = 0  # times that the next frame came damaged


class Aggregator:
    """One aggregator behind one address."""

    def __init__(
        self, endpoint: str, windows: Windows, grace_ns: int, link: AggregatorEnd | None = None
    ) -> None:
        self.started_ns = time.time_ns()
        self.accounts = Accounts()
        self.windows = windows
        self.refused: Counter[str] = Counter()  # messages that were none, by reason
        self.frames = self.frame_bytes = 0  # folded; the bytes are those that travelled
        self._link = link or aggregator_link(endpoint, LinkOptions())
        self._decoder = FrameDecoder()
        self._receiver = Receiver(self.started_ns)
        self._attention = Attention(time.monotonic_ns)
        times = grace_ns, self.started_ns, self._attention.look()
        self._watermarks = Watermarks(self._receiver.sessions, windows.window_ns, *times)
        self._agents: dict[int, _Agent] = {}
        self._counts = {"aggregated": 0, "late": 0, "future": 0}
        self._to_acknowledge: set[int] = set()

    def run(self, stop: Stop) -> None:
        """Work until `stop` is set."""
        try:
            while not stop.is_set():
                self.step(_TICK_MS)
        finally:
            self._link.close()

    def step(self, timeout_ms: int) -> None:
        """Take in what has arrived, answer it, close windows that are due."""
        for peer, parts in self._link.receive(timeout_ms):
            message = parse_message(parts[0]) if parts else None
            if message is None:
                self.refused["message"] += 1
            elif not self._link.may_speak(peer, message.agent_id):
                self.refused["speaker"] += 1
            else:
                self._on_message(peer, message, parts)
        self._acknowledge()
        self._close_windows(time.time_ns())

    def _acknowledge(self) -> None:
        """Tell all agents what is folded; before any commit, which covers no more than that."""
        self._to_acknowledge.update(self._watermarks.waiting())  # so that they stay patient
        for agent_id in self._to_acknowledge:
            answer = self._receiver.acknowledge(agent_id)
            self._send(self._receiver.sessions[agent_id].peer, answer)
        self._to_acknowledge.clear()

    def _on_message(self, peer: Any, message: Message, parts: list[bytes]) -> None:
        payload = parts[1] if len(parts) == 2 else b""
        if message.type is Type.QUERY:
            self._link.send(peer, [json.dumps(self.answer(payload)).encode()])
        elif message.type is Type.HELLO:
            self._on_hello(peer, message, payload)
        elif message.type is Type.ENTRY:
            self._on_entry(peer, message, payload)
        elif message.type is Type.BYE:
            self._receiver.on_bye(message)
        else:
            self.refused["message"] += 1

    def _on_hello(self, peer: Any, message: Message, payload: bytes) -> None:
        frame, _ = self._open(payload, message)
        if frame is None:
            return
        is_new, answer = self._receiver.on_hello(message, peer, self._attention.look())
        if is_new:
            agent = self._agents.setdefault(message.speaker, _Agent())
            agent.damaged = 0
            self._watermarks.meet(message.speaker, message.incarnation)
            self.accounts.begin_session((message.speaker, message.incarnation), frame.sources)
            self._note_meta(agent, frame)
        elif answer is not None and self._receiver.sessions[message.speaker].is_skipping:
            self.accounts.skip_frame((message.speaker, message.incarnation), "aggregator_died")
        self._send(peer, answer)

    def _on_entry(self, peer: Any, message: Message, payload: bytes) -> None:
        now_ns, boundary = time.time_ns(), self.windows.boundary
        steady_ns = self._attention.look()
        verdict, answer = self._receiver.on_entry(message, peer, steady_ns)
        self._send(peer, answer)
        if verdict in (Verdict.DUPLICATE, Verdict.PRIME):
            self._to_acknowledge.add(message.speaker)
        if verdict not in (Verdict.FOLD, Verdict.PRIME):
            return
        agent, (frame, reason) = self._agents[message.speaker], self._open(payload, message)
        if verdict is Verdict.PRIME:
            return self._receiver.primed(message)
        if frame is None:
            agent.damaged += _DAMAGED_TRIES if reason == "base" else 1  # that stays as it is
            if agent.damaged < _DAMAGED_TRIES:
                return self._send(peer, self._receiver.resend(message.speaker))
            self.accounts.skip_frame((message.speaker, message.incarnation))
            self._send(peer, self._receiver.ask_keyframe(message))
            window = -1
        elif self._watermarks.put_off(message.speaker, frame, boundary, now_ns, steady_ns):
            return
        else:
            window = self._fold(agent, message, frame)
            self.frames, self.frame_bytes = self.frames + 1, self.frame_bytes + len(payload)
        agent.damaged = 0
        self._receiver.folded(message, window)
        self._to_acknowledge.add(message.speaker)
        if self._watermarks.of[message.speaker] // self.windows.window_ns > self.windows.boundary:
            # Not once for all that has arrived: a backlog would push windows out, half told.
            self._acknowledge()
            self._close_windows(time.time_ns())

    def _open(self, payload: bytes, message: Message) -> tuple[Frame | None, str]:
        """Decode a frame and compare it with its envelope; None, counted, and why, if not valid."""
        try:
            frame = self._decoder.decode(payload)
            if (frame.agent_id, frame.incarnation) != (message.speaker, message.incarnation):
                raise FrameError("sender", 0, payload)
        except FrameError as error:
            self.refused[error.reason] += 1
            log.warning("frame refused: %s", error)
            return None, error.reason
        return frame, ""

    def _fold(self, agent: _Agent, message: Message, frame: Frame) -> int:
        """Enter a frame into the books and the windows; the latest window that it touches."""
        self.accounts.enter((message.speaker, message.incarnation), frame.sources)
        folded = self.windows.fold(frame.records, time.time_ns())
        for fate in self._counts:
            self._counts[fate] += getattr(folded, fate)
        self._watermarks.advance(message.speaker, frame.watermark_ns)
        self._note_meta(agent, frame)
        return folded.window_last

    def _note_meta(self, agent: _Agent, frame: Frame) -> None:
        if frame.meta:
            try:
                meta = json.loads(frame.meta)
            except (ValueError, RecursionError):
                self.refused["meta"] += 1
                return
            agent.meta = meta if isinstance(meta, dict) else {}

    def _close_windows(self, now_ns: int) -> None:
        """Close what the watermarks have passed, and commit the frames that lie in it."""
        if not self._receiver.sessions:
            return  # what an agent has kept for the aggregator that comes must not be late
        sessions, steady_ns = self._receiver.sessions, self._attention.look()
        boundary = self.windows.advance(*self._watermarks.closing(now_ns, steady_ns))
        for agent_id in self._watermarks.due(boundary, steady_ns):
            self._send(sessions[agent_id].peer, self._receiver.resend(agent_id))
        for agent_id, session in list(sessions.items()):
            self._send(session.peer, self._receiver.commit(agent_id, boundary))
            if steady_ns - session.seen_ns > _AGENT_GONE_NS:
                self._receiver.forget(agent_id)
                self._watermarks.forget(agent_id)
                del self._agents[agent_id]

    def _send(self, peer: bytes, message: Message | None) -> None:
        if message is not None:
            self._link.send(peer, [message.pack()])

    def answer(self, request: bytes) -> dict[str, Any]:
        """The document that a query asks for, or {"error": …}."""
        try:
            kind = (query := json.loads(request))["type"]
        except (ValueError, TypeError, KeyError, RecursionError):
            self.refused["query"] += 1
            return {"error": "a query is a JSON object with a type"}
        if kind == "snapshot":
            return self.snapshot()
        if kind == "accounting":
            return {"accounting": self.accounting(), "sources": self.accounts.sources()}
        if kind == "neuron":
            # No name is longer, and no number that is an id.
            return neuron_snapshot(self.windows, str(query.get("neuron", ""))[:TEXT_BYTES_MAX])
        self.refused["query"] += 1
        return {"error": f"unknown query {kind!r}; there are: snapshot, neuron, accounting"}

    def accounting(self) -> dict[str, Any]:
        """What became of every record that agents told of."""
        return self.accounts.document(*self._counts.values())

    def snapshot(self) -> dict[str, Any]:
        """The snapshot document, as docs/snapshot.md describes it."""
        about = own_usage() | {"started_ns": self.started_ns, "link": self._link.counters()}
        about |= {"refused": dict(self.refused)}
        about |= {"frames": self.frames, "frame_bytes": self.frame_bytes}
        return snapshot(
            self.windows,
            time_ns=time.time_ns(),
            accounting=self.accounting(),
            agents=self._agent_documents(),
            aggregator=about,
        )

    def _agent_documents(self) -> list[dict[str, Any]]:
        now_ns = self._attention.look()
        documents = []
        for agent_id, session in self._receiver.sessions.items():
            agent, silent_ns = self._agents[agent_id], now_ns - session.seen_ns
            is_silent = silent_ns > self._watermarks.silence_ns
            state = "ended" if session.has_ended else "silent" if is_silent else "connected"
            about = {"agent_id": str(agent_id), "state": state, "silent_ns": silent_ns}
            documents.append({**agent.meta, **about, "watermark_ns": self._watermarks.of[agent_id]})
        return documents
