"""The aggregator's end of taps: viewers that are passed each frame as it is folded.

A tap can neither hold the aggregator up nor make it grow. So much may be under way to it, in frames
and bytes, as it says that it has room for; beyond that whole stretches are left out: of an agent
nothing follows until its next keyframe, for which it is asked. What is left out is counted and told
with the next message. `docs/delivery.md` has the messages.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rnts.delivery import MESSAGE_BYTES, Message, Type
from rnts.frame import Frame
from rnts.frame_header import FRAME_BYTES_MAX, KEYFRAME, NAMES
from rnts.receiver import Receiver

TAPS_MAX = 8
FRAMES_UNDER_WAY_MAX = 96  # below the high-water mark of links, where messages would be dropped
WINDOW_BYTES_MIN, WINDOW_BYTES_MAX = FRAME_BYTES_MAX + 4_096, 16 << 20
HEARTBEAT_NS = 1_000_000_000
SILENCE_NS_MAX = 10_000_000_000  # a tap that says nothing for longer is over
# Between two requests for a keyframe of one agent: each costs it what its neurons' state takes.
ASK_NS_MIN, ASK_NS_MAX = 1_000_000_000, 32_000_000_000

Send = Callable[[Any, list[bytes]], None]
Chain = tuple[int, int]  # a life's incarnation, and the number of its entry that is due


@dataclass
class Tap:
    """One tap: what went out, what of it was taken, and which agents it can follow."""

    peer: Any
    window_bytes: int
    breaks: int  # how often the tap has missed messages, as far as it has told
    heard_ns: int
    told_ns: int = 0
    number: int = 0  # of frames passed on
    position: int = 0  # their bytes
    taken_number: int = 0
    taken_position: int = 0
    lost: int = 0  # frames left out: there was no room for them or for what they build on
    before: int = 0  # frames before the first keyframe of their agent
    # By agent; None: the next frame that can be of use is a keyframe.
    chains: dict[int, Chain | None] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)  # agents that have told it their neurons' names

    def has_room(self, frame_bytes: int) -> bool:
        """Whether so many bytes more may be under way."""
        under_way = self.position - self.taken_position
        is_one_more = self.number - self.taken_number < FRAMES_UNDER_WAY_MAX
        return is_one_more and under_way + frame_bytes <= self.window_bytes


@dataclass
class _Asked:
    """When an agent was last asked for a keyframe, and how long it is not to be asked again."""

    at_ns: int
    pause_ns: int
    with_names: bool


class Taps:
    """All taps, by the number that each gave itself."""

    def __init__(self, receiver: Receiver, send: Send) -> None:
        self._receiver, self._send = receiver, send
        self._taps: dict[int, Tap] = {}
        self._asked: dict[int, _Asked] = {}
        self.counts = {"frames": 0, "bytes": 0, "lost": 0, "lapsed": 0, "refused": 0}

    def document(self) -> dict[str, int]:
        """What is told of taps in snapshots."""
        return {"open": len(self._taps), **self.counts}

    def on_tap(self, peer: Any, message: Message, now_ns: int, steady_ns: int) -> None:
        """A viewer begins a tap, goes on with it, or ends it."""
        tap_id, breaks = message.speaker, message.incarnation
        window_bytes = message.committed
        if not window_bytes:
            self._taps.pop(tap_id, None)
            return
        window_bytes = min(max(window_bytes, WINDOW_BYTES_MIN), WINDOW_BYTES_MAX)
        tap = self._taps.get(tap_id)
        if tap is None:
            if len(self._taps) >= TAPS_MAX:
                self.counts["refused"] += 1
                self._refuse(peer, now_ns)
                return
            tap = self._taps[tap_id] = Tap(peer, window_bytes, breaks, steady_ns)
            self._tell(tap, now_ns, steady_ns)  # so that it knows who passes on to it
            return
        tap.peer, tap.window_bytes, tap.heard_ns = peer, window_bytes, steady_ns
        if tap.taken_number <= message.first <= tap.number and message.last <= tap.position:
            tap.taken_number = message.first
            tap.taken_position = max(tap.taken_position, message.last)
        if breaks != tap.breaks:
            tap.breaks = breaks
            tap.chains = dict.fromkeys(tap.chains)

    def pass_on(self, message: Message, payload: bytes, frame: Frame, now_ns: int) -> None:
        """Pass an entry on that was folded just now."""
        for tap in self._taps.values():
            self._pass_to(tap, message, payload, frame.flags, now_ns)

    def _pass_to(self, tap: Tap, message: Message, payload: bytes, flags: int, now_ns: int) -> None:
        agent_id, is_keyframe = message.speaker, bool(flags & KEYFRAME)
        is_due = tap.chains.get(agent_id) == (message.incarnation, message.first)
        frame_bytes = 2 * MESSAGE_BYTES + len(payload)
        if not (is_due or is_keyframe) and agent_id not in tap.chains:
            tap.before += 1
        elif not (is_due or is_keyframe) or not tap.has_room(frame_bytes):
            tap.chains[agent_id] = None
            if flags & NAMES:
                tap.named.discard(agent_id)
            tap.lost += 1
            self.counts["lost"] += 1
        else:
            tap.chains[agent_id] = (message.incarnation, message.last + 1)
            if is_keyframe and (message.first == 1 or self._has_asked_names(agent_id)):
                tap.named.add(agent_id)
            tap.number += 1
            tap.position += frame_bytes
            self.counts["frames"] += 1
            self.counts["bytes"] += frame_bytes
            self._send(tap.peer, [self._header(tap, now_ns), message.pack(), payload])

    def _has_asked_names(self, agent_id: int) -> bool:
        asked = self._asked.get(agent_id)
        return asked is not None and asked.with_names

    def step(self, now_ns: int, steady_ns: int) -> None:
        """What is due: heartbeats, requests for keyframes, the end of taps that are silent."""
        if not self._taps:
            return
        for tap_id, tap in list(self._taps.items()):
            if steady_ns - tap.heard_ns > SILENCE_NS_MAX:
                del self._taps[tap_id]
                self.counts["lapsed"] += 1
            elif steady_ns - tap.told_ns >= HEARTBEAT_NS:
                self._tell(tap, now_ns, steady_ns)
        self._ask_keyframes(steady_ns)

    def _ask_keyframes(self, steady_ns: int) -> None:
        """Ask agents of which a tap with room can follow nothing so far."""
        ready = [tap for tap in self._taps.values() if tap.has_room(tap.window_bytes // 2)]
        for agent_id, session in self._receiver.sessions.items():
            lacks_names = any(agent_id not in tap.named for tap in ready)
            is_wanted = lacks_names or any(tap.chains.get(agent_id) is None for tap in ready)
            if session.has_ended or not is_wanted:
                continue
            asked, pause_ns = self._asked.get(agent_id), ASK_NS_MIN
            if asked is not None and steady_ns - asked.at_ns < asked.pause_ns:
                continue
            if asked is not None and steady_ns - asked.at_ns < 2 * asked.pause_ns:
                pause_ns = min(2 * asked.pause_ns, ASK_NS_MAX)
            self._asked[agent_id] = _Asked(steady_ns, pause_ns, lacks_names)
            wish = self._receiver.wish_keyframe(agent_id, lacks_names)
            self._send(session.peer, [wish.pack()])
        for agent_id in self._asked.keys() - self._receiver.sessions.keys():
            del self._asked[agent_id]

    def _tell(self, tap: Tap, now_ns: int, steady_ns: int) -> None:
        """A heartbeat, with what was left out by its reason."""
        tap.told_ns = steady_ns
        about = {
            "lost": tap.lost,
            "before_keyframe": tap.before,
            "following": sum(chain is not None for chain in tap.chains.values()),
        }
        self._send(tap.peer, [self._header(tap, now_ns), json.dumps(about).encode()])

    def _refuse(self, peer: Any, now_ns: int) -> None:
        header = Message(Type.TAPPED, self._receiver.receiver_id, 0, 0, now_ns)
        about = {"error": f"there are {TAPS_MAX} taps already, which is the most"}
        self._send(peer, [header.pack(), json.dumps(about).encode()])

    def _header(self, tap: Tap, now_ns: int) -> bytes:
        kind, receiver_id = Type.TAPPED, self._receiver.receiver_id
        return Message(kind, receiver_id, tap.number, tap.position, now_ns, tap.lost).pack()
