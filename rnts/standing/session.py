"""One client as an aggregator knows it: its expressions in the engine, and what it is told."""

from collections import Counter, deque
from typing import Any

from rnts.reflex.change import Update
from rnts.rules.condition import parse_condition, parse_quantity
from rnts.rules.faults import Fault, RuleError
from rnts.standing.engine import Engine
from rnts.standing.outbox import Outbox
from rnts.standing.push import Faults
from rnts.standing.query import EXPRESSIONS_MAX, About, Query

_MS = 1_000_000


class _Expression:
    """An expression in the engine; `taken_ns`: when it was last asked what is new, steady."""

    __slots__ = ("every_ns", "name", "query", "taken_ns")

    def __init__(self, name: tuple[int, str], query: Query) -> None:
        self.name, self.query = name, query
        self.every_ns = query.every_ms * _MS
        self.taken_ns = 0


class Session:
    """What one client asked for. Of the same episode messages follow one another by number.

    told_ns:  the time as of which the client was told everything; 0: it was not yet
    began_ns: when its episode began, steady
    sent_ns:  when it was last told anything, steady
    seen_ns:  when it was last heard, steady
    """

    def __init__(self, client: int, engine: Engine, counts: "Counter[str]") -> None:
        self.client = client
        self.peer: Any = None
        self.episode = self.told_ns = self.began_ns = self.seen_ns = self.sent_ns = 0
        self.outbox = Outbox(counts)
        self._engine, self._counts = engine, counts
        self._expressions: dict[str, _Expression] = {}
        self._about: About = {}
        self._to_register: deque[tuple[str, Query]] = deque()

    def begin(self, episode: int, queries: dict[str, Query], about: About) -> None:
        """Tell everything anew. What did not change stays in the engine as it is."""
        self._about = about
        self.episode, self.told_ns = episode, 0
        self.outbox = Outbox(self._counts)
        self._to_register.clear()
        for key in list(self._expressions):
            if queries.get(key) != self._expressions[key].query:
                self._remove(key)
        for number, (key, query) in enumerate(queries.items()):
            if number >= EXPRESSIONS_MAX:
                self._refuse(key, f"a client has at most {EXPRESSIONS_MAX} expressions")
            elif key in self._expressions:
                self._ask_whole(key)
            else:
                self._to_register.append((key, query))

    @property
    def expressions(self) -> int:
        """How many it has in the engine."""
        return len(self._expressions)

    @property
    def is_registering(self) -> bool:
        """Whether expressions wait to be read."""
        return bool(self._to_register)

    @property
    def is_behind(self) -> bool:
        """Whether the client does not know everything."""
        return self.is_registering or self.outbox.is_waiting

    def register_next(self) -> int:
        """Read an expression and hand it to the engine, or say what is wrong; its characters."""
        key, query = self._to_register.popleft()
        parse = parse_condition if query.is_condition else parse_quantity
        name = (self.client, key)
        try:
            condition = parse(query.expression)
            self._engine.register(
                name,
                condition,
                is_condition=query.is_condition,
                lists_unknown=query.lists_unknown,
                limit=query.limit,
            )
        except RuleError as error:
            self._complain(key, tuple(error.faults))
        except ValueError as error:  # the engine has no room for it
            self._complain(key, (Fault(0, str(error)),))
        else:
            self._expressions[key] = _Expression(name, query)
            self._ask_whole(key)
        return len(query.expression)

    def _ask_whole(self, key: str) -> None:
        """Tell all of an expression, with what the client asks about."""
        self.outbox.ask_whole(key)
        expression = self._expressions[key]
        if expression.query.is_condition:
            asked = self._about.get(key, ())
            try:
                self._engine.ask_about(expression.name, asked)
            except ValueError:
                self._counts["entities_refused"] += len(asked)

    def _refuse(self, key: str, message: str) -> None:
        self._complain(key, (Fault(0, message),))

    def _complain(self, key: str, faults: Faults) -> None:
        self._counts["expressions_refused"] += 1
        self.outbox.complain(key, faults)

    def take(self, now_ns: int, steady_ns: int) -> None:
        """Ask the engine what is new of the expressions that are due."""
        take, wants_whole = self._engine.take, self.outbox.wants_whole
        for key, expression in self._expressions.items():
            if expression.every_ns and steady_ns - expression.taken_ns < expression.every_ns:
                continue
            if wants_whole(key):
                continue
            expression.taken_ns = steady_ns
            if (update := take(expression.name, now_ns)) is not None:
                self.outbox.add(key, update._replace(key=key))

    def next_payload(self, now_ns: int, steady_ns: int) -> bytes:
        """The next message for the client; there must be one, and room for it."""

        def ask(key: str) -> Update:
            expression = self._expressions[key]
            expression.taken_ns = steady_ns
            return self._engine.full(expression.name, now_ns)._replace(key=key)

        payload = self.outbox.next_payload(ask)
        self.note_told(now_ns)
        return payload

    def note_told(self, now_ns: int) -> None:
        """Where nothing waits, the client knows everything as of now."""
        if not self.is_behind:
            self.told_ns = now_ns

    def _remove(self, key: str) -> None:
        self._engine.remove(self._expressions.pop(key).name)

    def end(self) -> None:
        """Take its expressions out of the engine, and read no more of them."""
        self._to_register.clear()
        for key in list(self._expressions):
            self._remove(key)
