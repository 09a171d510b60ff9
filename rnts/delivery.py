"""The delivery protocol: its messages, spoken by `Sender` and `Receiver` over any link.

A sender numbers what it has to deliver and keeps each entry until the receiver COMMITs the windows
that hold it. The receiver takes entries in order and once, and grants credit; everything that is
repeated is known by its number and dropped before it is folded. `docs/delivery.md` has the layout,
the states and what always holds.

    HELLO     first, episode, committed, baseline → a session begins; `first` is the oldest kept
              ← WELCOME   next, episode  go on with `next`; a receiver not met before: replay all
              ← OVER      next, episode  a later life of this agent has been heard: no more of this
    ENTRY     first, last, frame  →      one frame, or a hole: a range of entries declared lost
              ← RECEIVED  next, credit   all before `next` are folded; send none from `credit` on
              ← COMMITTED next           all before `next` lie in closed windows; forget them
              ← RESEND    next           there was a gap; go back to `next`
              ← KEYFRAME  number         frames of the group that held `number` are of no use
    BYE                           →      the agent ends; nothing more will come from it
              ← WHO                      no session is known; say HELLO

Clients of standing queries share header and socket, in WATCH, HEARD and PUSH; `rnts/standing/`
speaks those.

A viewer that wants the frames as they are folded speaks to `rnts/taps.py`, which has the numbers:

    TAP       breaks, number, position, window → go on, from what is taken; window 0: no more
              ← TAPPED  number, position, time, lost, and the ENTRY as it came or a heartbeat

A message is a header (`_MESSAGE`) and, for HELLO and ENTRY, an encoded frame. An answer names the
incarnation that it is meant for: an agent may have lives before its own to deliver.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

_MESSAGE = struct.Struct("<BQQQQQ")  # type, agent or receiver, incarnation, first, last, committed
MESSAGE_BYTES = _MESSAGE.size
CREDIT_ENTRIES = 64  # entries under way; at 64 KiB each a round trip of 1 ms carries 4 GB/s
# Numbers and incarnations of agents lie below it: what is added to them stays within 64 bits.
NUMBER_MAX = 1 << 62


class Type(IntEnum):
    """The types of messages; queries share the socket and the first byte."""

    HELLO = 1
    ENTRY = 2
    WELCOME = 3
    RECEIVED = 4
    COMMITTED = 5
    RESEND = 6
    WHO = 7
    QUERY = 8
    BYE = 9
    KEYFRAME = 10
    OVER = 11
    WATCH = 12
    HEARD = 13
    PUSH = 14
    TAP = 20
    TAPPED = 21


_OF_AGENTS = (Type.HELLO, Type.ENTRY, Type.BYE)
_OF_VIEWERS = (Type.QUERY, Type.WATCH, Type.HEARD, Type.TAP)
_TYPES = {int(kind): kind for kind in Type}


class Message(NamedTuple):
    """One message's header: who speaks, of or to which incarnation, and about which entries."""

    type: Type
    speaker: int
    incarnation: int
    first: int = 0
    last: int = 0
    committed: int = 0

    @property
    def agent_id(self) -> int | None:
        """The agent that an agent's message speaks for; None: who asks speaks for none."""
        return None if self.type in _OF_VIEWERS else self.speaker

    def pack(self) -> bytes:
        """The header's bytes."""
        return _MESSAGE.pack(*self)


def parse_message(raw: bytes) -> Message | None:
    """The header in `raw`, or None where there is none, or one whose numbers no agent has."""
    if len(raw) != MESSAGE_BYTES:
        return None
    kind, speaker, *numbers = _MESSAGE.unpack(raw)
    known = _TYPES.get(kind)
    if known is None or (known in _OF_AGENTS and max(numbers) >= NUMBER_MAX):
        return None
    return Message(known, speaker, *numbers)
