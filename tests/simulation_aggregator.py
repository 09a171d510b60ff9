"""The aggregator of the simulation: the real one, over a link, windows and a ledger in memory."""

from collections.abc import Callable
from typing import Any

from simulation_frames import PlayedOpening
from simulation_ledger import MemoryLedger, PlayedAppender, make_keeper
from simulation_windows import PlayedWindows

from rnts.aggregator import Aggregator
from rnts.errors import FencedError, LedgerError

TICK_NS = 100_000_000
WINDOW_TICKS, GRACE_TICKS = 10, 30
WINDOW_NS = WINDOW_TICKS * TICK_NS
Send = Callable[[int, list[bytes]], None]


class PlayedLink:
    """Stands for the aggregator's end of a link; `arrived` is filled by the world."""

    endpoint = "played"

    def __init__(self, send: Send) -> None:
        self.arrived: list[tuple[int, list[bytes]]] = []
        self.send = send

    def receive(self, timeout_ms: int) -> list[tuple[int, list[bytes]]]:
        """What has arrived."""
        arrived, self.arrived = self.arrived, []
        return arrived

    def may_speak(self, peer: Any, agent_id: int | None) -> bool:
        """Everybody may."""
        return True

    def counters(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}

    def close(self) -> None:
        """There is nothing to let go of."""


class SimAggregator:
    """One life of an aggregator at an endpoint; it begins where the ledger ends."""

    def __init__(
        self, ledger: MemoryLedger, owner: int, unsealed: int, send: Send,
        times: dict[int, list[int]] | None,
    ) -> None:  # fmt: skip
        """`times` has those of all records, where frames are played ones."""
        self.link = PlayedLink(send)
        windows: Any = PlayedWindows(WINDOW_NS, unsealed)
        self.keeper = make_keeper(ledger, owner)
        grace_ns = GRACE_TICKS * TICK_NS
        self.real = Aggregator("", windows, grace_ns, self.link, self.keeper)
        if times is not None:
            self.real.hearing._opening = PlayedOpening(self.real.refused, times)  # type: ignore[assignment]
        self.is_paused = False
        self.end = ""  # why it has ended by itself

    def step(self) -> None:
        """Take in what has arrived, as the process does."""
        try:
            self.real.step(0)
        except FencedError:
            self.end = "fenced"
        except LedgerError as error:
            self.end = f"ledger {error.condition}"

    def write(self) -> None:
        """Let the ledger's thread try once."""
        if self.keeper._writer is not None:
            assert isinstance(self.keeper._writer, PlayedAppender)
            self.keeper._writer.attempt()

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is to come again, to be closed or to be written."""
        positions, writer = self.real.state.positions, self.keeper._writer
        is_written = isinstance(writer, PlayedAppender) and not (writer.has_job or writer.has_news)
        return is_written and not positions.pending and not positions.open_records()

    def finish(self) -> None:
        """Write down where everything stands, as at the end of the process."""
        self.real.commits.finish(dict)

    def moment(self) -> list[str]:
        """What is under way, and would be interrupted by a death."""
        writer, found = self.keeper._writer, []
        if isinstance(writer, PlayedAppender) and writer.has_job:
            found.append("died before append")
        if writer is not None and writer.has_news:
            found.append("died before COMMITTED")
        if self.real.state.positions.pending:
            found.append("died in replay")
        return found
