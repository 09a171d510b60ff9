"""Opens the frames of all agents, each against what came of its agent's frames before."""

import logging
from collections import Counter
from collections.abc import Callable

from rnts.delivery import Message
from rnts.errors import FrameError
from rnts.frame import DecoderSession, Frame, FrameDecoder, FrameHeader, frame_header

log = logging.getLogger("rnts.aggregator")


def _never(_: FrameHeader) -> bool:
    return False


class Opening:
    """The sessions of a decoder, by agent; what it refuses it counts, and changes nothing."""

    def __init__(self, refused: "Counter[str]") -> None:
        self._refused = refused
        self._decoder = FrameDecoder()
        self._sessions: dict[int, DecoderSession] = {}
        self._before: DecoderSession | None = None  # of the last frame, as it was before it

    def begin(self, agent_id: int) -> None:
        """An agent begins with a keyframe: what was known of its frames is forgotten."""
        self._sessions[agent_id] = DecoderSession()

    def forget(self, agent_id: int) -> None:
        """The agent has been away for good."""
        self._sessions.pop(agent_id, None)

    def open(
        self,
        payload: bytes,
        message: Message,
        may_come_again: Callable[[FrameHeader], bool] = _never,
    ) -> tuple[Frame | None, str]:
        """Decode a frame and compare it with its envelope; None, counted, and why, if not valid.

        may_come_again: whether `undo` may be called for this frame, which costs a copy of what is
        known of its agent.
        """
        session = self._sessions.get(message.speaker)
        self._before = None
        try:
            header = frame_header(payload)
            if (header.agent_id, header.incarnation) != (message.speaker, message.incarnation):
                raise FrameError("sender", 0, payload)
            if session is not None and may_come_again(header):
                self._before = session.copy()
            return self._decoder.decode(payload, header, session), ""
        except FrameError as error:
            self._refused[error.reason] += 1
            log.warning("frame refused: %s", error)
            return None, error.reason

    def undo(self, agent_id: int) -> None:
        """The last frame, one of this agent, was not taken and will come again."""
        if self._before is not None:
            self._sessions[agent_id] = self._before
