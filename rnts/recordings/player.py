"""Plays a recording to an aggregator: in the order of arrival, in its own time or faster.

Each life of an agent becomes an agent of its own with a new identity. All speak over one link and
no more is under way than the link keeps in order, so the aggregator folds in the order in which it
was folded: the same recording makes the same windows, whatever the speed.
"""

import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rnts.delivery import CREDIT_ENTRIES, parse_message
from rnts.errors import ConnectError
from rnts.links.choice import AgentEnd
from rnts.process import Stop
from rnts.recordings.opened import Opened, opened
from rnts.recordings.reader import Reader
from rnts.recordings.records import Kind
from rnts.recordings.retelling import Identity
from rnts.recordings.telling import Telling

UNDER_WAY_MAX = CREDIT_ENTRIES // 2  # entries; below the credit, so that none overtakes another
SILENCE_NS_MAX = 10_000_000_000  # an aggregator that answers nothing for longer is not there
_WAIT_MS = 20
SECOND_NS = 1_000_000_000


@dataclass
class Played:
    """What became of a recording."""

    frames: int = 0
    records: int = 0
    lives: int = 0
    skipped: "Counter[str]" = field(default_factory=Counter)
    is_whole: bool = False  # whether it was played to its end

    def document(self) -> dict[str, Any]:
        """The same as JSON shows it."""
        return {"version": 1, **vars(self), "skipped": dict(self.skipped)}


class Player:
    """Plays one recording over one link; steady times. `speed` 0 is as fast as it goes."""

    def __init__(
        self, reader: Reader, link: AgentEnd, speed: float = 1.0, shifts_to_now: bool = False
    ) -> None:
        self._reader, self._link, self._speed = reader, link, speed
        self._shifts_to_now, self.shift_ns = shifts_to_now, 0
        self.played = Played()
        self._tellings: dict[tuple[int, int], Telling] = {}
        self._heard_ns = self._last_ns = 0

    def play(self, stop: Stop) -> Played:
        """Play it until its end, or until `stop` is set; raises ConnectError without answers."""
        frames_left = self._frames_of_lives()
        self._heard_ns = started_ns = time.monotonic_ns()
        first_ns: int | None = None
        for each in opened(self._reader.records(), self.played.skipped):
            if first_ns is None:
                first_ns = each.record.at_ns
                self._shift(first_ns)
            due_ns = started_ns
            if self._speed:
                due_ns += int((each.record.at_ns - first_ns) / self._speed)
            if not self._pump_until(due_ns, stop):
                break
            self._tell(each, stop)
            self._end_those_before(frames_left, each.record.life, each.record.last, stop)
        else:
            self.played.is_whole = not stop.is_set()
        for life in list(self._tellings):
            self._end(life, stop)
        return self.played

    def _shift(self, first_ns: int) -> None:
        """Move times so that what is told last is of then, and nothing is of the future."""
        if self._shifts_to_now:
            lasted_ns = self._last_ns - first_ns
            takes_ns = int(lasted_ns / self._speed) if self._speed else 0
            moved_ns = time.time_ns() - first_ns - max(0, lasted_ns - takes_ns)
            self.shift_ns = whole_seconds(moved_ns)

    def _frames_of_lives(self) -> dict[tuple[int, int], int]:
        """The number of the last frame of each life: then its agent ends."""
        last: dict[tuple[int, int], int] = {}
        for record in self._reader.records(with_payloads=False):
            if record.kind == Kind.ENTRY:
                last[record.life] = record.last
                self._last_ns = record.at_ns
        return last

    def _tell(self, each: Opened, stop: Stop) -> None:
        telling = self._tellings.get(each.record.life)
        if telling is None:
            telling = self._begin(each.record.life, stop)
        telling.offer(each, self.shift_ns)
        while self._under_way() > UNDER_WAY_MAX and not stop.is_set():
            self._pump(_WAIT_MS)
        self._pump(0)

    def _begin(self, life: tuple[int, int], stop: Stop) -> Telling:
        """An agent comes; its HELLO is answered before the first of its frames is sent."""
        identity = Identity(
            secrets.randbits(63) | 1, time.time_ns() + self.played.lives, secrets.randbits(62)
        )
        telling = self._tellings[life] = Telling(identity, self.played.skipped)
        self.played.lives += 1
        while not telling.sender.is_ready and not stop.is_set():
            self._pump(_WAIT_MS)
        return telling

    def _end_those_before(
        self, last: dict[tuple[int, int], int], life: tuple[int, int], number: int, stop: Stop
    ) -> None:
        if number >= last[life]:
            self._end(life, stop)

    def _end(self, life: tuple[int, int], stop: Stop) -> None:
        """An agent goes in peace: all that it told is folded."""
        telling = self._tellings.get(life)
        if telling is None:
            return
        telling.end()
        until_ns = time.monotonic_ns() + SILENCE_NS_MAX
        while telling.under_way and not (stop.is_set() and time.monotonic_ns() > until_ns):
            self._pump(_WAIT_MS)
        self._link.send(telling.sender.bye())
        self.played.frames += telling.frames
        self.played.records += telling.records
        del self._tellings[life]

    def _under_way(self) -> int:
        return sum(telling.under_way for telling in self._tellings.values())

    def _pump_until(self, due_ns: int, stop: Stop) -> bool:
        """Keep the sessions alive until then; whether to go on."""
        while (left_ns := due_ns - time.monotonic_ns()) > 0 and not stop.is_set():
            self._pump(min(_WAIT_MS, 1 + left_ns // 1_000_000))
            self._heard_ns = max(self._heard_ns, time.monotonic_ns() - SECOND_NS)
        return not stop.is_set()

    def _pump(self, timeout_ms: int) -> None:
        """Send what is due and take in what was answered."""
        now_ns = time.monotonic_ns()
        for telling in self._tellings.values():
            messages = telling.sender.step(now_ns)
            for parts in messages:
                if not self._link.send(parts):
                    header = parse_message(parts[0])
                    assert header is not None
                    telling.sender.unsend(header.first)
                    break
        if timeout_ms:
            self._link.wait(timeout_ms)
        for parts in self._link.receive():
            message = parse_message(parts[0]) if len(parts) == 1 else None
            if message is not None:
                self._heard_ns = time.monotonic_ns()
                for telling in self._tellings.values():
                    telling.on_message(message, self._heard_ns)
        if time.monotonic_ns() - self._heard_ns > SILENCE_NS_MAX:
            raise ConnectError("no aggregator answers; start one: `rnts up` or `rnts aggregate`")


def whole_seconds(duration_ns: int) -> int:
    """As many whole seconds as fit: windows of a second, or of a part of it, stay what they are."""
    return duration_ns // SECOND_NS * SECOND_NS
