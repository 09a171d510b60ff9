"""The viewer's end of a tap: a state machine without sockets and clocks, see `rnts/taps.py`.

Messages of a tap are numbered, so what a link has lost is known: then the aggregator is told of a
break, and passes on what follows from the next keyframe of each agent.
"""

import json
import secrets
from typing import Any, NamedTuple

from rnts.delivery import Message, Type, parse_message
from rnts.taps import FRAMES_UNDER_WAY_MAX, HEARTBEAT_NS

WINDOW_BYTES = 8 << 20
LIVE_NS = 3 * HEARTBEAT_NS  # an aggregator that says nothing for longer is not there


class Tapped(NamedTuple):
    """A frame as it was folded: the envelope and bytes that came, and when, since the epoch."""

    message: Message
    payload: bytes
    at_ns: int


class Lost(NamedTuple):
    """Frames that were left out here; `reason` is `left_out`, `link` or `aggregator_restarted`.

    Of the last nobody knows how many there were: `frames` is 0.
    """

    frames: int
    reason: str
    at_ns: int


class TapClient:
    """One tap at one aggregator; steady times."""

    def __init__(self, window_bytes: int = WINDOW_BYTES) -> None:
        self.tap_id = secrets.randbits(63) | 1
        self.refusal = ""  # why the aggregator does not let it tap
        self.about: dict[str, Any] = {}  # what the last heartbeat said
        self._window_bytes = window_bytes
        self._receiver: int | None = None
        self._breaks = self._number = self._position = self._left_out = 0
        self._said: tuple[int, int] = (0, 0)  # number and position in the last TAP
        self._due_ns = 0
        self._heard_ns: int | None = None

    def is_live(self, now_ns: int) -> bool:
        """Whether the aggregator was heard within three heartbeats."""
        return self._heard_ns is not None and now_ns - self._heard_ns <= LIVE_NS

    def outgoing(self, now_ns: int) -> list[list[bytes]]:
        """What is due to be sent: TAP each second, and when a quarter of the room is taken."""
        number, position = self._said
        is_half = (
            4 * (self._number - number) >= FRAMES_UNDER_WAY_MAX
            or 4 * (self._position - position) >= self._window_bytes
        )
        if now_ns < self._due_ns and not is_half:
            return []
        self._due_ns = now_ns + HEARTBEAT_NS
        self._said = self._number, self._position
        return [self._tap(self._window_bytes)]

    def bye(self) -> list[bytes]:
        """The message that ends the tap."""
        return self._tap(0)

    def _tap(self, window_bytes: int) -> list[bytes]:
        kind, at = Type.TAP, (self._number, self._position)
        return [Message(kind, self.tap_id, self._breaks, *at, window_bytes).pack()]

    def on_message(self, parts: list[bytes], now_ns: int) -> list[Tapped | Lost]:
        """What came, in order: frames, and before them what is missing."""
        header = parse_message(parts[0]) if parts else None
        if header is None or header.type is not Type.TAPPED or len(parts) not in (2, 3):
            return []
        entry = parse_message(parts[1]) if len(parts) == 3 else None
        if len(parts) == 3 and entry is None:
            return []
        if entry is None and self._is_refused(parts[1]):
            return []
        self._heard_ns, self.refusal = now_ns, ""
        found: list[Tapped | Lost] = []
        at_ns = header.last
        if header.speaker != self._receiver:
            if self._receiver is not None:
                found.append(Lost(0, "aggregator_restarted", at_ns))
            self._receiver, self._said = header.speaker, (0, 0)
            self._number = self._position = self._left_out = 0
        missing = header.incarnation - self._number - (entry is not None)
        if missing < 0:
            return found  # it was repeated
        if missing:
            self._breaks += 1
            self._due_ns = 0
            found.append(Lost(missing, "link", at_ns))
        if header.committed > self._left_out:
            found.append(Lost(header.committed - self._left_out, "left_out", at_ns))
        self._number, self._position = header.incarnation, header.first
        self._left_out = max(self._left_out, header.committed)
        if entry is not None:
            found.append(Tapped(entry, parts[2], at_ns))
        return found

    def _is_refused(self, raw: bytes) -> bool:
        """Take in a heartbeat's words; whether they are a refusal."""
        try:
            about = json.loads(raw)
        except ValueError:
            about = None
        self.about = about if isinstance(about, dict) else {}
        self.refusal = str(self.about.get("error", ""))
        return bool(self.refusal)
