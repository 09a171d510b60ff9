"""Commits: tells agents which frames may be forgotten, and never before that is written down."""

from collections.abc import Callable
from typing import Any

from rnts.delivery import Message
from rnts.keeper import Keeper
from rnts.ledger_resume import State
from rnts.receiver import Receiver

Coverage = Callable[[], dict[str, int]]


class Commits:
    """The commits of all sessions; `send` takes one to its agent. Without a keeper at once."""

    def __init__(
        self,
        state: State,
        receiver: Receiver,
        keeper: Keeper | None,
        send: Callable[[Any, Message], None],
    ) -> None:
        self._state, self._receiver, self._keeper, self._send = state, receiver, keeper, send
        self._held: dict[int, Message] = {}  # until the record that has them is written

    def take_written(self) -> None:
        """Tell the agents if the record that was handed over last is written by now.

        Raises FencedError and LedgerError, see `Keeper.take_written`.
        """
        if self._keeper is not None and self._keeper.take_written():
            self._tell()

    def close(self, boundary: int, coverage: Coverage) -> None:
        """All windows before `boundary` are closed."""
        keeper = self._keeper
        if keeper is None:
            self._hold(boundary)
            self._tell()
            self._state.positions.close(boundary)
        elif keeper.is_due(boundary):
            self._hold(boundary)
            keeper.write(self._state, coverage())

    def finish(self, coverage: Coverage) -> None:
        """Write down where everything stands, so that the next start has little to do again."""
        keeper = self._keeper
        if keeper is None or not keeper.settle():
            return
        self.take_written()
        self._hold(self._state.windows.boundary)
        keeper.write(self._state, coverage())
        if keeper.settle():
            self.take_written()

    def _hold(self, boundary: int) -> None:
        """Note which frames lie in closed windows."""
        for agent_id, session in self._receiver.sessions.items():
            answer = self._receiver.commit(agent_id, boundary)
            if answer is not None:
                self._held[agent_id] = answer
                self._state.positions.commit((agent_id, session.incarnation), answer.first)

    def _tell(self) -> None:
        for agent_id, session in self._receiver.sessions.items():
            self._receiver.written(agent_id)
            answer = self._held.get(agent_id)
            if answer is not None:
                self._send(session.peer, answer)
        self._held.clear()
