"""The aggregator: takes frames in, folds them into windows, keeps the books, answers questions.

One thread. Frames are opened only if their number is the next of their session; a window closes
when the watermarks of all agents have passed its end, or, incomplete, after a period of grace.
"""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rnts.answers import answer_of, snapshot_of
from rnts.attention import Attention
from rnts.clock_offsets import ClockOffsets
from rnts.commits import Commits
from rnts.delivery import Message, Type, parse_message
from rnts.frame import Frame, FrameHeader
from rnts.intake import Intake
from rnts.keeper import Keeper
from rnts.ledger_resume import State
from rnts.links.choice import AggregatorEnd, aggregator_link
from rnts.links.options import LinkOptions
from rnts.opening import Opening
from rnts.process import Stop
from rnts.receiver import Receiver, Verdict
from rnts.watermarks import Watermarks
from rnts.windows import Windows

_TICK_MS = 50  # windows are looked after this often while nothing arrives
_DAMAGED_TRIES = 3  # a frame that arrives damaged as often is given up
_AGENT_GONE_NS = 60_000_000_000  # an agent that was silent for longer is forgotten
_TIDY_NS = 10_000_000_000
_FRESH_FRAMES_MAX = 8  # an agent with a longer backlog says when a frame was made, not sent


@dataclass
class _Agent:
    """What an aggregator knows of an agent beyond its session."""

    meta: dict[str, Any] = field(default_factory=dict)
    damaged: int = 0  # times that the next frame came damaged


class Aggregator:
    """One aggregator behind one address; without a keeper it remembers nothing."""

    def __init__(
        self,
        endpoint: str,
        windows: Windows,
        grace_ns: int,
        link: AggregatorEnd | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self.started_ns = time.time_ns()
        self.windows = windows
        self.state = State(windows)
        self.accounts, self.positions = self.state.accounts, self.state.positions
        self.intake, self.clock_offsets = Intake(self.state), ClockOffsets()
        self.refused: Counter[str] = Counter()  # messages that were none, by reason
        self.frames = self.frame_bytes = 0  # folded; the bytes are those that travelled
        self.keeper = keeper
        self.link = link or aggregator_link(endpoint, LinkOptions())
        if keeper is not None:
            keeper.begin(self.state)
        self.agents: dict[int, _Agent] = {}
        self._opening = Opening(self.refused)
        self.receiver = Receiver(self.started_ns)
        self._attention = Attention(time.monotonic_ns)
        times = grace_ns, self.started_ns, self.look()
        self.watermarks = Watermarks(self.receiver.sessions, windows.window_ns, *times)
        if self.state.is_resumed:
            self.watermarks.expect(self.positions.expected())
        self.commits = Commits(self.state, self.receiver, keeper, self._send)
        self._to_acknowledge: set[int] = set()
        self._tidy_ns = 0

    def run(self, stop: Stop) -> None:
        """Work until `stop` is set."""
        try:
            while not stop.is_set():
                self.step(_TICK_MS)
            self.commits.finish(self._coverage)
        finally:
            self.link.close()
            if self.keeper is not None:
                self.keeper.close()

    def step(self, timeout_ms: int) -> None:
        """Take in what has arrived, answer it, close windows that are due."""
        for peer, parts in self.link.receive(timeout_ms):
            message = parse_message(parts[0]) if parts else None
            if message is None:
                self.refused["message"] += 1
            elif not self.link.may_speak(peer, message.agent_id):
                self.refused["speaker"] += 1
            else:
                self._on_message(peer, message, parts)
        self._acknowledge()
        self._close_windows(time.time_ns())

    def look(self) -> int:
        """The steady time that counts, see `Attention`."""
        return self._attention.look()

    def _acknowledge(self) -> None:
        """Tell all agents what is folded; before any commit, which covers no more than that."""
        self._to_acknowledge.update(self.watermarks.waiting())  # so that they stay patient
        for agent_id in self._to_acknowledge:
            answer = self.receiver.acknowledge(agent_id)
            self._send(self.receiver.sessions[agent_id].peer, answer)
        self._to_acknowledge.clear()

    def _on_message(self, peer: Any, message: Message, parts: list[bytes]) -> None:
        payload = parts[1] if len(parts) == 2 else b""
        if message.type is Type.QUERY:
            self.link.send(peer, [json.dumps(self.answer(payload)).encode()])
        elif message.type is Type.HELLO:
            self._on_hello(peer, message, payload)
        elif message.type is Type.ENTRY:
            self._on_entry(peer, message, payload)
        elif message.type is Type.BYE:
            self.receiver.on_bye(message)
            self.positions.end((message.speaker, message.incarnation))
        else:
            self.refused["message"] += 1

    def _on_hello(self, peer: Any, message: Message, payload: bytes) -> None:
        if (frame := self._opening.open(payload, message)[0]) is None:
            return
        life = (message.speaker, message.incarnation)
        counted = self.positions.committed(life)
        is_new, answer = self.receiver.on_hello(message, peer, self.look(), counted)
        if is_new:
            self.agents.setdefault(message.speaker, _Agent()).damaged = 0
            self._opening.begin(message.speaker)
            is_known = self.intake.begin(life, message, frame, time.time_ns())
            self.watermarks.meet(*life, is_known)
            if self.positions.is_back(life, message.first):
                self.watermarks.returned(message.speaker)
        elif answer is not None and self.receiver.sessions[message.speaker].is_skipping:
            self.accounts.expect_gap(life, "aggregator_died")
        self._note_meta(message.speaker, frame)
        self._send(peer, answer)

    def _on_entry(self, peer: Any, message: Message, payload: bytes) -> None:
        now_ns, boundary, steady_ns = time.time_ns(), self.windows.boundary, self.look()
        verdict, answer = self.receiver.on_entry(message, peer, steady_ns)
        self._send(peer, answer)
        if verdict in (Verdict.DUPLICATE, Verdict.PRIME):
            self._to_acknowledge.add(message.speaker)
        if verdict not in (Verdict.FOLD, Verdict.PRIME):
            return
        life, agent = (message.speaker, message.incarnation), self.agents[message.speaker]

        def may_wait(header: FrameHeader) -> bool:
            return self.watermarks.may_put_off(header.watermark_ns, boundary, now_ns, steady_ns)

        frame, reason = self._opening.open(payload, message, may_wait)
        if verdict is Verdict.PRIME:
            if frame is not None:
                self.intake.fold(life, message.last, frame, now_ns)
            return self.receiver.primed(message)
        if frame is None:
            agent.damaged += _DAMAGED_TRIES if reason == "base" else 1  # that stays as it is
            if agent.damaged < _DAMAGED_TRIES:
                return self._send(peer, self.receiver.resend(message.speaker))
            window = self.intake.skip(life, message.last, now_ns)
            self._send(peer, self.receiver.ask_keyframe(message))
        elif self.watermarks.put_off(message.speaker, frame, boundary, now_ns, steady_ns):
            return self._opening.undo(message.speaker)
        else:
            window = self.intake.fold(life, message.last, frame, now_ns)
            self.watermarks.advance(message.speaker, frame.watermark_ns)
            self._note_meta(message.speaker, frame)
            self.frames, self.frame_bytes = self.frames + 1, self.frame_bytes + len(payload)
        agent.damaged = 0
        self.receiver.folded(message, window)
        self._to_acknowledge.add(message.speaker)
        if self.positions.is_back(life, message.last + 1):
            self.watermarks.returned(message.speaker)
        if self.watermarks.of[message.speaker] // self.windows.window_ns > self.windows.boundary:
            # Not once for all that has arrived: a backlog would push windows out, half told.
            self._acknowledge()
            self._close_windows(time.time_ns())

    def _note_meta(self, agent_id: int, frame: Frame) -> None:
        if not frame.meta:
            return
        try:
            meta = json.loads(frame.meta)
        except (ValueError, RecursionError):
            self.refused["meta"] += 1
            return
        if agent_id not in self.agents or not isinstance(meta, dict):
            return
        self.agents[agent_id].meta = meta
        sent_ns, backlog = meta.pop("sent_ns", None), meta.get("backlog_frames")
        if isinstance(sent_ns, int) and isinstance(backlog, int) and backlog <= _FRESH_FRAMES_MAX:
            now_ns, steady_ns = time.time_ns(), self.look()
            self.clock_offsets.note(agent_id, sent_ns, now_ns, steady_ns)

    def _close_windows(self, now_ns: int) -> None:
        """Close what the watermarks have passed, and commit the frames that lie in it."""
        self.commits.take_written()
        if not self.receiver.sessions:
            return  # what an agent has kept for the aggregator that comes must not be late
        sessions, steady_ns = self.receiver.sessions, self.look()
        boundary = self.windows.advance(*self.watermarks.closing(now_ns, steady_ns))
        for agent_id in self.watermarks.due(boundary, steady_ns):
            self._send(sessions[agent_id].peer, self.receiver.resend(agent_id))
        self.commits.close(boundary, self._coverage)
        for agent_id, session in list(sessions.items()):
            if steady_ns - session.seen_ns > _AGENT_GONE_NS:
                self._forget(agent_id)
        if steady_ns >= self._tidy_ns:
            self._tidy_ns = steady_ns + _TIDY_NS
            lives = {(agent_id, one.incarnation) for agent_id, one in sessions.items()}
            self.intake.tidy(lives.__contains__, now_ns)

    def _forget(self, agent_id: int) -> None:
        """An agent has been away for good; its position is remembered, in case it has not."""
        session = self.receiver.sessions[agent_id]
        self.positions.end((agent_id, session.incarnation))
        self.receiver.forget(agent_id)
        self._opening.forget(agent_id)
        self.watermarks.forget(agent_id)
        self.clock_offsets.forget(agent_id)
        del self.agents[agent_id]

    def _coverage(self) -> dict[str, int]:
        """Who was expected in the windows that close, and who was heard."""
        return dict(zip(("heard", "expected"), self.watermarks.coverage(self.look()), strict=True))

    def _send(self, peer: Any, message: Message | None) -> None:
        if message is not None:
            self.link.send(peer, [message.pack()])

    def answer(self, request: bytes) -> dict[str, Any]:
        """The document that a query asks for, or {"error": …}."""
        return answer_of(self, request)

    def snapshot(self) -> dict[str, Any]:
        """The snapshot document, as docs/snapshot.md describes it."""
        return snapshot_of(self)

    def accounting(self) -> dict[str, Any]:
        """What became of every record that agents told of."""
        return self.state.account()
