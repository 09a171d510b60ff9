"""The aggregator of the simulation: a real receiver, with decoders, windows and a ledger played."""

import struct
from collections import Counter, defaultdict
from collections.abc import Callable

from simulation_parts import WINDOW, Close, Ledger, Pending, unpack_frame

from rnts.delivery import Message, Type
from rnts.receiver import Receiver, Verdict

GRACE = 30
DAMAGED_TRIES = 3
GONE = 400
Send = Callable[[int, Message], None]


class SimAggregator:
    """One life of an aggregator at an endpoint; it begins where the ledger ends."""

    def __init__(self, number: int, ledger: Ledger, send: Send, agents: int, now: int) -> None:
        self.receiver = Receiver(number)
        self.ledger, self.send, self.agents = ledger, send, agents
        self.sequence = ledger.sequence + 1
        ledger.append_if(ledger.sequence, ledger.last, {})  # the epoch: who was before is fenced
        known = ledger.last.copy()
        self.boundary, self.books, self.late = known.boundary, known.books, known.late
        self.senders, self.pending = known.senders, known.pending
        self.folded: Pending = defaultdict(dict)  # entries that this aggregator has folded
        self.decoders: dict[int, tuple[int, int]] = {}
        self.damaged: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        self.watermarks: dict[int, int] = {}
        self.windows: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.is_fenced = self.is_paused = False
        self.started = now

    def on_message(self, message: Message, payload: bytes, now: int) -> None:
        """Take a message in."""
        agent = message.speaker
        if message.type is Type.HELLO:
            self._on_hello(message, payload, now)
        elif message.type is Type.ENTRY:
            verdict, answer = self.receiver.on_entry(message, agent, now)
            if verdict in (Verdict.FOLD, Verdict.PRIME):
                self._on_entry(message, payload, verdict)
            if verdict is not Verdict.STRANGER and verdict is not Verdict.GAP:
                answer = self.receiver.acknowledge(agent)
            if answer is not None:
                self.send(agent, answer)
        elif message.type is Type.BYE:
            self.receiver.on_bye(message)

    def _on_hello(self, message: Message, payload: bytes, now: int) -> None:
        agent, life = message.speaker, message.incarnation
        known, _ = self.senders.get((agent, life), (0, 0))
        is_new, answer = self.receiver.on_hello(message, agent, now, known)
        if is_new:
            self.decoders.pop(agent, None)
            self.damaged[agent] = 0
            self.watermarks.setdefault(agent, 0)
            self.books.begin(agent, life, *struct.unpack("<QQ", payload))
        elif answer is not None and self.receiver.sessions[agent].is_skipping:
            self.books.sources[agent].gap_reason = "aggregator_died"
        if answer is not None:
            if answer.type is not Type.OVER:
                self._miss(agent, life, message.first)
            self.send(agent, answer)

    def _miss(self, agent: int, life: int, first: int) -> None:
        """What was in open windows of the aggregator before, and will not come again, is lost."""
        for key in [key for key in self.pending if key[0] == agent and key[1] <= life]:
            for last in [n for n in self.pending[key] if key[1] < life or n < first]:
                self._lose_open(agent, self.pending[key].pop(last))
        if self.senders.get((agent, life), (0, 0))[1] < first - 1:
            self.books.sources[agent].gap_reason = "aggregator_died"

    def _lose_open(self, agent: int, entry: tuple[int, int, int]) -> None:
        start, end, counted_before = entry
        for record in range(start, end):
            if self.times[agent][record] // WINDOW >= counted_before:
                lost = (record, record + 1, "aggregator_died")
                self.books.sources[agent].lost.append(lost)

    def _decode(self, agent: int, payload: bytes) -> tuple[int, int, int] | None:
        """Records and watermark of a frame; None, counted, where it cannot be opened."""
        frame = unpack_frame(payload)
        if frame is None:
            self.refused["damaged"] += 1
            return None
        start, end, watermark, base, number = frame
        state = self.decoders.get(agent)
        if base == number or state == (base, number):
            self.decoders[agent] = (base, number + 1)
        elif start < end:
            self.refused["base"] += 1
            return None
        return start, end, watermark

    def _on_entry(self, message: Message, payload: bytes, verdict: Verdict) -> None:
        agent = message.speaker
        is_hole = len(payload) == 4
        frame = None if is_hole else self._decode(agent, payload)
        if verdict is Verdict.PRIME:
            self.receiver.primed(message)
            return
        life = (agent, message.incarnation)
        window = -1
        known = self.pending.get(life, {}).get(message.last)
        is_unknown = message.first < message.last
        is_entered = message.last <= self.senders.get(life, (0, 0))[1]
        is_over = self.books.sources[agent].owner > message.incarnation
        if (is_over or is_entered) and not known and not is_unknown:
            # It was declared lost, or a later life is in the books, which says the same of it.
            self.damaged[agent] = 0
            self.receiver.primed(message)
            return
        if is_hole:
            if not is_entered:
                (count,) = struct.unpack("<I", payload)
                self.books.lose(self.books.sources[agent], count, "backlog_full")
        elif frame is None:
            self.damaged[agent] += 1
            is_hopeless = unpack_frame(payload) is not None
            if self.damaged[agent] < DAMAGED_TRIES and not is_hopeless:
                self.send(agent, self.receiver.resend(agent))
                return
            if not is_entered:
                self.books.sources[agent].gap_reason = "bad_frame"
            asking = self.receiver.ask_keyframe(message)
            if asking is not None:
                self.send(agent, asking)
        else:
            start, end, watermark = frame
            if not is_entered:
                self.books.enter(agent, start, end)
            window = self._fold(agent, start, end, known[2] if known else 0)
            self.watermarks[agent] = max(self.watermarks[agent], watermark)
            self.folded[life][message.last] = start, end, 0
        for number in [n for n in self.pending.get(life, ()) if message.first <= n <= message.last]:
            entry = self.pending[life].pop(number)
            if is_hole or frame is None:
                self._lose_open(agent, entry)
        self.damaged[agent] = 0
        self.receiver.folded(message, window)

    def _fold(self, agent: int, start: int, end: int, counted_before: int) -> int:
        """Records into windows, but for those of windows that have them already; the newest."""
        newest = -1
        for record in range(start, end):
            window = self.times[agent][record] // WINDOW
            newest = max(newest, window)
            if window >= self.boundary:
                self.windows[window].append((agent, record))
            elif window >= counted_before:
                self.late.append((agent, record))
        return newest

    times: dict[int, list[int]]  # of each agent's records, which a frame would carry

    def close_windows(self, now: int) -> None:
        """Close what all watermarks have passed; an agent that is silent is not waited for."""
        sessions = self.receiver.sessions
        if len(sessions) < self.agents and now < self.started + GRACE:
            return
        present = [i for i, s in sessions.items() if not s.has_ended and now - s.seen_ns <= GRACE]
        watermark = min((self.watermarks[i] for i in present), default=now - GRACE)
        boundary = min(watermark, now) // WINDOW
        if boundary <= self.boundary or not sessions:
            return
        closing = {w: records for w, records in self.windows.items() if w < boundary}
        senders, pending = self._senders_at(boundary)
        record = Close(boundary, senders, pending, self.books, self.late)
        if not self.ledger.append_if(self.sequence, record, closing):
            self.is_fenced = True
            return
        self.sequence += 1
        self.boundary = boundary
        for window in closing:
            del self.windows[window]
        for agent, session in list(sessions.items()):
            answer = self.receiver.commit(agent, boundary)
            if answer is not None:
                self.send(agent, answer)
            if now - session.seen_ns > GONE:
                self.receiver.forget(agent)
                self.decoders.pop(agent, None)

    def _senders_at(self, boundary: int) -> tuple[dict[tuple[int, int], tuple[int, int]], Pending]:
        """Of each life what is committed by this close and the last that is folded; the rest."""
        senders = dict(self.senders)
        pending = {key: dict(entries) for key, entries in self.pending.items() if entries}
        for agent, session in self.receiver.sessions.items():
            for life in (*session.former.values(), session):
                key, committed = (agent, life.incarnation), life.committed
                for last, window in life.uncommitted:
                    if window < boundary and committed is not None:
                        committed = last + 1
                    else:
                        break
                known = senders.get(key, (0, 0))
                senders[key] = max(known[0], committed), max(known[1], life.expected - 1)
                for last, _ in life.uncommitted:
                    if last >= committed and last in self.folded[key]:
                        start, end, _ = self.folded[key][last]
                        pending.setdefault(key, {})[last] = start, end, boundary
        self.senders = senders
        return senders, pending
