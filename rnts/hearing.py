"""Hears agents: greets them, takes in what they send, frame after frame, and forgets them."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rnts.clock_offsets import ClockOffsets
from rnts.delivery import Message, Type
from rnts.frame import Frame, FrameHeader
from rnts.intake import Intake
from rnts.ledger_resume import State
from rnts.opening import Opening
from rnts.receiver import Receiver, Verdict
from rnts.watermarks import Watermarks

_DAMAGED_TRIES = 3  # a frame that arrives damaged as often is given up
_AGENT_GONE_NS = 60_000_000_000  # an agent that was silent for longer is forgotten
_FRESH_FRAMES_MAX = 8  # an agent with a longer backlog says when a frame was made, not sent

_TIME_NS_MAX = (1 << 63) - 1

Send = Callable[[Any, Message | None], None]  # an answer, if there is one, to a peer
PassOn = Callable[[Message, bytes, Frame, int], None]  # an entry that was folded, and when


@dataclass
class _Agent:
    """What an aggregator knows of an agent beyond its session."""

    meta: dict[str, Any] = field(default_factory=dict)
    damaged: int = 0  # times that the next frame came damaged


class Hearing:
    """All agents of an aggregator, by id; times are since the epoch, or steady where it says so."""

    def __init__(
        self,
        state: State,
        receiver: Receiver,
        watermarks: Watermarks,
        refused: "Counter[str]",
        send: Send,
    ) -> None:
        """`refused` counts messages that are none, and frames that are not valid, by reason."""
        self._windows, self._positions = state.windows, state.positions
        self._receiver, self._watermarks, self._refused = receiver, watermarks, refused
        self._send = send
        self._opening = Opening(refused)
        self.intake, self.clock_offsets = Intake(state), ClockOffsets()
        self.agents: dict[int, _Agent] = {}
        self.frames = self.frame_bytes = 0  # folded; the bytes are those that travelled
        self.pass_on: PassOn | None = None
        self._to_acknowledge: set[int] = set()

    def on_hello(
        self, peer: Any, message: Message, payload: bytes, now_ns: int, steady_ns: int
    ) -> None:
        """Begin or resume the session of an agent."""
        life = (message.speaker, message.incarnation)
        frame = self._opening.open(payload, message)[0]
        if frame is None or self.intake.is_early(life, self._receiver):
            return
        counted = self._positions.committed(life)
        is_new, answer = self._receiver.on_hello(message, peer, steady_ns, counted)
        if is_new:
            self.agents.setdefault(message.speaker, _Agent()).damaged = 0
            self._opening.begin(message.speaker)
            is_known = self.intake.begin(life, message, frame, now_ns)
            self._watermarks.meet(*life, is_known)
            if self._positions.is_back(life, message.first):
                self._watermarks.returned(message.speaker)
        elif answer.type is Type.WELCOME and self._receiver.sessions[message.speaker].is_skipping:
            self.intake.skip_to(life, message.first)
        self._note_meta(message.speaker, frame, now_ns, steady_ns)
        self._send(peer, answer)

    def on_entry(
        self, peer: Any, message: Message, payload: bytes, now_ns: int, steady_ns: int
    ) -> bool:
        """Take in an entry if it is the next of its session, else say what is wanted.

        Returns whether it is dealt with for good, and counted now.
        """
        verdict, answer = self._receiver.on_entry(message, peer, steady_ns)
        self._send(peer, answer)
        if verdict in (Verdict.DUPLICATE, Verdict.PRIME):
            self._to_acknowledge.add(message.speaker)
        if verdict not in (Verdict.FOLD, Verdict.PRIME):
            return False
        boundary = self._windows.boundary

        def may_wait(header: FrameHeader) -> bool:
            watermark_ns = header.watermark_ns
            return self._watermarks.may_put_off(watermark_ns, boundary, now_ns, steady_ns)

        frame, reason = self._opening.open(payload, message, may_wait)
        if verdict is Verdict.PRIME:
            if frame is not None:
                self.intake.fold(_life(message), message.last, frame, now_ns)
            self._receiver.primed(message)
            return False
        if frame is None:
            return self._on_damaged(peer, message, reason, now_ns)
        if self._watermarks.put_off(message.speaker, frame, boundary, now_ns, steady_ns):
            self._opening.undo(message.speaker)
            return False
        window = self.intake.fold(_life(message), message.last, frame, now_ns)
        self._watermarks.advance(message.speaker, frame.watermark_ns, window)
        self._note_meta(message.speaker, frame, now_ns, steady_ns)
        self.frames, self.frame_bytes = self.frames + 1, self.frame_bytes + len(payload)
        if self.pass_on is not None:
            self.pass_on(message, payload, frame, now_ns)
        self._taken(message, window)
        return True

    def _on_damaged(self, peer: Any, message: Message, reason: str, now_ns: int) -> bool:
        """Ask for a frame again that cannot be opened; whether it is now gone on without it."""
        agent = self.agents[message.speaker]
        agent.damaged += _DAMAGED_TRIES if reason == "base" else 1  # that stays as it is
        if agent.damaged < _DAMAGED_TRIES:
            self._send(peer, self._receiver.resend(message.speaker))
            return False
        window = self.intake.skip(_life(message), message.last, now_ns)
        self._send(peer, self._receiver.ask_keyframe(message))
        self._taken(message, window)
        return True

    def _taken(self, message: Message, window: int) -> None:
        """The entry is dealt with for good; what it had lies in windows up to `window`."""
        self.agents[message.speaker].damaged = 0
        self._receiver.folded(message, window)
        self._to_acknowledge.add(message.speaker)
        if self._positions.is_back(_life(message), message.last + 1):
            self._watermarks.returned(message.speaker)

    def _note_meta(self, agent_id: int, frame: Frame, now_ns: int, steady_ns: int) -> None:
        if not frame.meta:
            return
        try:
            meta = json.loads(frame.meta)
        except (ValueError, RecursionError):
            self._refused["meta"] += 1
            return
        if agent_id not in self.agents or not isinstance(meta, dict):
            return
        self.agents[agent_id].meta = meta
        sent_ns, backlog = meta.pop("sent_ns", None), meta.get("backlog_frames")
        is_time = isinstance(sent_ns, int) and 0 <= sent_ns <= _TIME_NS_MAX
        if is_time and isinstance(backlog, int) and backlog <= _FRESH_FRAMES_MAX:
            self.clock_offsets.note(agent_id, sent_ns, now_ns, steady_ns)

    def on_bye(self, message: Message) -> None:
        """The agent has ended in peace."""
        if self._receiver.on_bye(message):  # else it was meant for an aggregator before
            self._positions.end(_life(message))

    def acknowledge(self) -> None:
        """Tell all agents what is folded; before any commit, which covers no more than that."""
        self._to_acknowledge.update(self._watermarks.waiting())  # so that they stay patient
        for agent_id in self._to_acknowledge:
            answer = self._receiver.acknowledge(agent_id)
            self._send(self._receiver.sessions[agent_id].peer, answer)
        self._to_acknowledge.clear()

    def forget_gone(self, steady_ns: int) -> None:
        """Drop agents that are away for good; their positions stay known, in case they are not."""
        for agent_id, session in list(self._receiver.sessions.items()):
            if steady_ns - session.seen_ns > _AGENT_GONE_NS:
                self._positions.end((agent_id, session.incarnation))
                self._receiver.forget(agent_id)
                self._opening.forget(agent_id)
                self._watermarks.forget(agent_id)
                self.clock_offsets.forget(agent_id)
                del self.agents[agent_id]


def _life(message: Message) -> tuple[int, int]:
    return message.speaker, message.incarnation
