"""The aggregator: takes frames in, folds them into windows, keeps the books, answers questions.

One thread. Frames are opened only if their number is the next of their session; a window closes
when the watermarks of all agents have passed its end, or, incomplete, after a period of grace.
"""

import json
import time
from collections import Counter
from typing import Any

from rnts.answers import answer_of, snapshot_of
from rnts.attention import Attention
from rnts.commits import Commits
from rnts.delivery import Message, Type, parse_message
from rnts.hearing import Hearing
from rnts.keeper import Keeper
from rnts.ledger_resume import State
from rnts.links.choice import AggregatorEnd, aggregator_link
from rnts.links.options import LinkOptions
from rnts.process import Stop
from rnts.receiver import Receiver
from rnts.standing.engine import Engine
from rnts.standing.engines import Engines
from rnts.standing.standing import Standing
from rnts.taps import Taps
from rnts.watermarks import Watermarks
from rnts.windows import Windows

_TICK_MS = 50  # windows are looked after this often while nothing arrives
_TIDY_NS = 10_000_000_000
_EVALUATE_NS = 1_000_000  # between two evaluations while frames come one behind the other


class Aggregator:
    """One aggregator behind one address; without a keeper it remembers nothing.

    Standing queries are answered by `engine`, which is that of the windows unless another is given.
    """

    def __init__(
        self,
        endpoint: str,
        windows: Windows,
        grace_ns: int,
        link: AggregatorEnd | None = None,
        keeper: Keeper | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.started_ns = time.time_ns()
        self.windows = windows
        self.state = State(windows)
        self.refused: Counter[str] = Counter()  # messages that were none, by reason
        self.keeper = keeper
        self.link = link or aggregator_link(endpoint, LinkOptions())
        if keeper is not None:
            keeper.begin(self.state)
        self.receiver = Receiver(self.started_ns)
        self._attention = Attention(time.monotonic_ns)
        times = grace_ns, self.started_ns, self.look()
        self.watermarks = Watermarks(self.receiver.sessions, windows.window_ns, *times)
        if self.state.is_resumed:
            self.watermarks.expect(self.state.positions.expected())
        self.hearing = Hearing(self.state, self.receiver, self.watermarks, self.refused, self._send)
        self.commits = Commits(self.state, self.receiver, keeper, self._send)
        life = self.receiver.receiver_id
        both = engine or Engines(windows.reflex, windows.canaries)
        self.standing = Standing(life, both, self.link.send)
        self.taps = Taps(self.receiver, self.link.send)
        self.hearing.pass_on = self.taps.pass_on
        self._evaluated_ns = self._tidy_ns = 0
        self._has_news = False  # whether a frame was folded since

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
        for peer, parts in self.link.receive(0 if self.standing.is_busy else timeout_ms):
            message = parse_message(parts[0]) if parts else None
            if message is None:
                self.refused["message"] += 1
            elif not self.link.may_speak(peer, message.agent_id):
                self.refused["speaker"] += 1
            else:
                self._on_message(peer, message, parts)
        self.hearing.acknowledge()
        steady_ns = self.look()
        if self._has_news or self.standing.is_busy or self._may_evaluate(steady_ns):
            self._evaluate(time.time_ns(), steady_ns)
        self.taps.step(time.time_ns(), self.look())
        self._close_windows(time.time_ns())

    def look(self) -> int:
        """The steady time that counts, see `Attention`."""
        return self._attention.look()

    def _on_message(self, peer: Any, message: Message, parts: list[bytes]) -> None:
        payload = parts[1] if len(parts) == 2 else b""
        now_ns, steady_ns = time.time_ns(), self.look()
        if message.type is Type.QUERY:
            self.link.send(peer, [json.dumps(self.answer(payload)).encode()])
        elif message.type is Type.HELLO:
            self.hearing.on_hello(peer, message, payload, now_ns, steady_ns)
        elif message.type is Type.ENTRY:
            self.windows.reflex.arrive(now_ns, steady_ns)
            if self.hearing.on_entry(peer, message, payload, now_ns, steady_ns):
                self._has_news = True
                if self._may_evaluate(steady_ns):
                    self._evaluate(time.time_ns(), self.look())
                self._close_passed(message.speaker)
        elif message.type is Type.TAP:
            self.taps.on_tap(peer, message, now_ns, steady_ns)
        elif message.type is Type.BYE:
            self.hearing.on_bye(message)
        elif message.type in (Type.WATCH, Type.HEARD):
            self.standing.on_message(peer, message, payload, steady_ns)
        else:
            self.refused["message"] += 1

    def _may_evaluate(self, steady_ns: int) -> bool:
        """Whether the last evaluation was long enough ago."""
        return steady_ns - self._evaluated_ns >= _EVALUATE_NS

    def _evaluate(self, now_ns: int, steady_ns: int) -> None:
        """Evaluate standing queries and tell what has changed."""
        self._evaluated_ns, self._has_news = steady_ns, False
        self.standing.step(now_ns, steady_ns)

    def _close_passed(self, agent_id: int) -> None:
        """Close windows as soon as an agent's watermark is past one."""
        if self.watermarks.of[agent_id] // self.windows.window_ns > self.windows.boundary:
            # Not once for all that has arrived: a backlog would push windows out, half told.
            self.hearing.acknowledge()
            self._close_windows(time.time_ns())

    def _close_windows(self, now_ns: int) -> None:
        """Close what the watermarks have passed, and commit the frames that lie in it."""
        self.commits.take_written()
        if not self.receiver.sessions:
            return  # what an agent has kept for the aggregator that comes must not be late
        sessions, steady_ns = self.receiver.sessions, self.look()
        boundary = self.windows.advance(*self.watermarks.closing(now_ns, steady_ns))
        if self.watermarks.is_vacant(steady_ns):
            self.windows.show_silence(now_ns - self.watermarks.grace_ns)
        for agent_id in self.watermarks.due(boundary, steady_ns):
            self._send(sessions[agent_id].peer, self.receiver.resend(agent_id))
        self.commits.close(boundary, self._coverage)
        self.hearing.forget_gone(steady_ns)
        if steady_ns >= self._tidy_ns:
            self._tidy_ns = steady_ns + _TIDY_NS
            lives = {(agent_id, one.incarnation) for agent_id, one in sessions.items()}
            self.hearing.intake.tidy(lives.__contains__, now_ns)

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
