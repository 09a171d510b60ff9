"""Who may speak for whom: a key, or a certificate, that once spoke for an agent keeps it."""

from collections import deque
from collections.abc import Callable

from rnts.keys import Allowed

AGENTS_OF_A_KEY_MAX = 64  # an agent's id changes with each boot of its machine; the oldest goes


class Access:
    """Ties agents to owners. `allowed()` are the keys that are let in; None: whoever proves one.

    Owner None stands for this machine's own user, whom the file system has let in.
    """

    def __init__(self, allowed: Callable[[], dict[str, Allowed]] | None = None) -> None:
        self._allowed = allowed
        self._seen: dict[str, Allowed] = {}  # the list that `_pins` was made from
        self._pins: dict[int, str] = {}  # agents for which only one key may speak, by the list
        self._owners: dict[int, str] = {}
        self._agents: dict[str, deque[int]] = {}

    def may_speak(self, owner: str | None, agent_id: int | None) -> bool:
        """Whether `owner` may speak for an agent; None: whether it may look."""
        if owner is None:
            return True
        if self._allowed is None:
            return agent_id is None or self._claim(owner, agent_id)
        self._look(self._allowed())
        entry = self._seen.get(owner)
        if entry is None or agent_id is None:
            return entry is not None  # it may have been removed meanwhile
        if entry.role != "agent":
            return False
        if entry.agent_id is not None or agent_id in self._pins:
            return self._pins.get(agent_id) == owner
        return self._claim(owner, agent_id)

    def _look(self, allowed: dict[str, Allowed]) -> None:
        """Follow the list: agents of a key that was removed are nobody's again."""
        if allowed is self._seen:
            return
        self._seen = allowed
        pinned = (each for each in allowed.values() if each.agent_id is not None)
        self._pins = {each.agent_id: each.key for each in pinned if each.agent_id is not None}
        for owner in self._agents.keys() - allowed.keys():
            for agent_id in self._agents.pop(owner):
                del self._owners[agent_id]

    def _claim(self, owner: str, agent_id: int) -> bool:
        """Whether the agent is this owner's; it becomes so where it was nobody's."""
        known = self._owners.get(agent_id)
        if known is not None:
            return known == owner
        agents = self._agents.setdefault(owner, deque())
        if len(agents) == AGENTS_OF_A_KEY_MAX:
            del self._owners[agents.popleft()]
        agents.append(agent_id)
        self._owners[agent_id] = owner
        return True
