"""The audit: the producers' own counters, read from their segments, against the aggregator's books.

The books alone could agree with themselves and still be wrong about the world. So the audit reads
what each lane says *now*, matches it with the last row that the aggregator has of it, and asks that
what lies between is where it can be: in the lane, or with the agent.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnts import layout
from rnts.accounting import LANE_DROPS
from rnts.attached import source_key
from rnts.model import SLOT_BYTES
from rnts.runtime import SEGMENT_SUFFIX


@dataclass(frozen=True)
class LaneReading:
    """One lane's counters at one moment."""

    segment: str
    lane: int
    key: int
    attempts: int
    dropped: dict[str, int]
    sampled_out: int
    delivered: int  # records that an agent has taken, by the agent's own note in the segment
    corrupt: int
    occupied_slots: int
    is_quarantined: bool = False  # an agent found that it says what cannot be

    @property
    def in_lane(self) -> int:
        """Records that were attempted and neither dropped nor taken."""
        settled = sum(self.dropped.values()) + self.sampled_out + self.delivered + self.corrupt
        return self.attempts - settled


@dataclass
class Audit:
    """What was found; `problems` is empty if everything is accounted for."""

    emitted: int = 0
    aggregated: int = 0
    sampled_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    in_lanes: int = 0
    with_agent: int = 0
    unattached: int = 0  # records in segments that no agent has reported yet
    quarantined: list[str] = field(default_factory=list)  # lanes whose words count for nothing
    problems: list[str] = field(default_factory=list)

    @property
    def in_flight(self) -> int:
        """Records that are on their way."""
        return self.in_lanes + self.with_agent + self.unattached

    @property
    def difference(self) -> int:
        """emitted less all that became of it; 0 when the books balance."""
        ends = self.aggregated + self.sampled_out + sum(self.dropped.values()) + self.in_flight
        return self.emitted - ends

    @property
    def is_balanced(self) -> bool:
        """Whether every record is accounted for."""
        return not self.problems and self.difference == 0

    def document(self) -> dict[str, Any]:
        """The audit as JSON shows it."""
        return {
            "version": 1,
            "emitted": self.emitted,
            "aggregated": self.aggregated,
            "sampled_out": self.sampled_out,
            "dropped": self.dropped,
            "in_flight": {
                "in_lanes": self.in_lanes,
                "with_agent": self.with_agent,
                "unattached": self.unattached,
            },
            "difference": self.difference,
            "balanced": self.is_balanced,
            "quarantined": self.quarantined,
            "problems": self.problems,
        }


def read_lanes(folders: list[Path]) -> list[LaneReading]:
    """The counters of all lanes in use, read without taking anything from anybody."""
    readings = []
    for folder in folders:
        for path in sorted(folder.glob(f"*{SEGMENT_SUFFIX}")):
            words = _read_control(path)
            if words is not None:
                lanes = int(words[layout.HEADER_LANES_USED // 8])
                readings += [_read_lane(path, words, lane) for lane in range(lanes)]
    return readings


def _read_control(path: Path) -> NDArray[np.int64] | None:
    """Header and lane directory of a segment; None for a file that is none, or is gone."""
    try:
        # Neither through a link nor waiting for whoever may write to a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            head = file.read(layout.HEADER_BYTES)
            if len(head) < layout.HEADER_BYTES:
                return None
            words = np.frombuffer(head, np.int64)
            lanes = int(words[layout.HEADER_LANES // 8])
            used = int(words[layout.HEADER_LANES_USED // 8])
            is_ours = words[0] == layout.MAGIC and 0 <= used <= lanes <= layout.LANES_MAX
            directory = file.read(lanes * layout.LANE_BYTES) if is_ours else b""
            if not is_ours or len(directory) < lanes * layout.LANE_BYTES:
                return None
            # Attempts are read last: a producer that goes on meanwhile makes them only larger.
            attempts = slice(layout.LANE_ATTEMPTS // 8, None, layout.LANE_BYTES // 8)
            later = np.frombuffer(os.pread(descriptor, len(directory), len(head)), np.int64)
            control = np.frombuffer(directory, np.int64).copy()
            control[attempts] = later[attempts]
            return np.concatenate((words, control))
    except (OSError, ValueError):  # ValueError: it was cut short between two looks
        return None


def _read_lane(path: Path, words: NDArray[np.int64], lane: int) -> LaneReading:
    start = layout.lane_offset(lane)

    def word(offset: int) -> int:
        return int(words[(start + offset) // 8])

    head = word(layout.LANE_HEAD)
    attempts, sampled_out = word(layout.LANE_ATTEMPTS), word(layout.LANE_SAMPLED_OUT)
    dropped = {reason: word(layout.LANE_DROP[reason]) for reason in LANE_DROPS}
    note = next((n for n in layout.LANE_NOTES if word(n) == head), layout.LANE_NOTES[0])
    return LaneReading(
        segment=path.name,
        lane=lane,
        key=source_key(path, lane),
        attempts=attempts,
        dropped=dropped,
        sampled_out=sampled_out,
        delivered=word(note + 8),
        # Corrupt slots, as records: one whose header is lost leaves several slots that hold none.
        corrupt=min(
            word(note + 16),
            max(0, attempts - sampled_out - sum(dropped.values()) - word(note + 8)),
        ),
        occupied_slots=word(layout.LANE_TAIL) - head,
        is_quarantined=word(layout.LANE_STATE) == layout.STATE_QUARANTINED,
    )


def examine(lanes: list[LaneReading], books: dict[str, Any]) -> Audit:
    """Match the lanes with the aggregator's answer to {"type": "accounting"}.

    The lanes are to be read *after* the books: what a producer did meanwhile is then in flight.
    """
    totals = books["accounting"]
    audit = Audit(
        emitted=totals["emitted"],
        aggregated=totals["aggregated"],
        sampled_out=totals["sampled_out"],
        dropped=dict(totals["dropped"]),
        in_lanes=totals["in_flight"],
    )
    if not totals["balanced"]:
        audit.problems.append("the aggregator's books do not agree with the rows that agents sent")
    known = {int(source["key"]): source for source in books["sources"]}
    for lane in lanes:
        _match(audit, lane, known.get(lane.key))
    return audit


def _match(audit: Audit, lane: LaneReading, source: dict[str, Any] | None) -> None:
    """Bring the books up to what one lane says now."""
    where = f"{lane.segment} lane {lane.lane}"
    if lane.is_quarantined:  # the books have what it held, as `quarantined`
        audit.quarantined.append(f"{where} is read no more: what it says cannot be")
        return
    if lane.in_lane < 0:
        audit.problems.append(f"{where}: {-lane.in_lane} more records came out than went in")
    # A record takes a slot at least; one that is being written, or whole batches, take none yet.
    if lane.occupied_slots < 0 or lane.occupied_slots * SLOT_BYTES > 1 << 40:
        audit.problems.append(f"{where}: its positions cannot be")
    if source is None:
        audit.emitted += lane.in_lane
        audit.unattached += lane.in_lane
        return
    seen = source["now"]
    audit.emitted += lane.attempts - seen["attempts"]
    audit.sampled_out += lane.sampled_out - seen["sampled_out"]
    for reason, count in lane.dropped.items():
        if moved := count - seen[reason]:
            audit.dropped[reason] = audit.dropped.get(reason, 0) + moved
    if moved := lane.corrupt - seen["corrupt"]:
        audit.dropped["corrupt"] = audit.dropped.get("corrupt", 0) + moved
    with_agent = lane.delivered - seen["delivered"]
    if with_agent < 0:
        audit.problems.append(f"{where}: {-with_agent} records arrived that were never taken")
    audit.with_agent += with_agent
    audit.in_lanes += lane.in_lane - source["in_flight"]
