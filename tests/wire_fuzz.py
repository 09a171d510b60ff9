"""Damaged frames in numbers, and a search for those that reach new lines of the plain kernels."""

import json
import random
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import wire_tools as tools

from rnts.codec_state import DecoderSession
from rnts.errors import FrameError
from rnts.frame import FrameDecoder
from rnts.kernels import columns

KERNELS = {
    f"{name}.py" for name in ("bitpack", "changes", "decode", "deltas", "runs", "sparse", "unfold")
}


def group(seed: int) -> list[bytes]:
    """Three frames of a group: mixed kinds, texts, odd floats, all forms of blocks."""
    records = tools.random_records(seed, 60 + seed % 3 * 50)
    compression = ("none", "rice")[seed % 2]
    return tools.encode_group([records[:30], records[30:45], records[45:]], compression)


def state_of(session: DecoderSession) -> tuple[Any, ...]:
    """Everything that a session knows, as something to compare."""
    known = session.rows[: session.neurons].tobytes()
    shapes = session.shapes[: session.shape_count].tobytes()
    return session.base, session.next, known, shapes, session.scales.tobytes()


def restore(session: DecoderSession, state: tuple[Any, ...]) -> None:
    """Make a session what it was."""
    session.base, session.next, known, shapes, scales = state
    rows = np.frombuffer(known, np.int64).reshape(-1, columns.ROW_WORDS)
    session.neurons, session.shape_count = len(rows), len(shapes) // 8
    session.rows[: len(rows)] = rows
    session.shapes[: session.shape_count] = np.frombuffer(shapes, np.int64)
    session.scales[:] = np.frombuffer(scales, np.float64)


def try_mutants(seed: int, count: int) -> tuple[int, int]:
    """Open damaged copies of a group's second frame; how many were refused, and how many not.

    Asserts that a refused one changes nothing, and that the good one is opened as ever after it.
    """
    keyframe, good, _ = group(seed)
    decoder, session = FrameDecoder(), DecoderSession()
    decoder.decode(keyframe, None, session)
    before = state_of(session)
    expected, after = tools.outcome(decoder, good, session), state_of(session)
    restore(session, before)
    refused = opened = 0
    for number, damaged in enumerate(tools.mutants(good, count, seed)):
        try:
            decoder.decode(damaged, None, session)
        except FrameError:
            refused += 1
            assert state_of(session) == before, damaged.hex()
            if number % 64 == 0:
                assert tools.outcome(decoder, good, session) == expected, damaged.hex()
                assert state_of(session) == after, damaged.hex()
                restore(session, before)
        else:
            opened += 1
            restore(session, before)
    return refused, opened


class Explorer:
    """Keeps those damaged frames that reach lines which none reached before."""

    def __init__(self, seed: int) -> None:
        self.lines: set[tuple[str, int]] = set()
        self.kept: list[bytes] = []
        self.outcomes: list[str] = []
        self._chance = random.Random(seed)
        self._keyframe, self._good, _ = group(seed)
        self._decoder = FrameDecoder()

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        name = Path(frame.f_code.co_filename).name
        if name not in KERNELS:
            return None
        self.lines.add((name, frame.f_lineno))
        return self._trace

    def _try(self, data: bytes) -> None:
        session = DecoderSession()
        self._decoder.decode(self._keyframe, None, session)
        known = len(self.lines)
        sys.settrace(self._trace)
        try:
            outcome = tools.outcome(self._decoder, data, session)
        finally:
            sys.settrace(None)
        if len(self.lines) > known:
            self.kept.append(data)
            self.outcomes.append(outcome)

    def search(self, count: int) -> None:
        """Damage what is kept `count` times."""
        self._try(self._good)
        for number in range(count):
            parent = self._chance.choice(self.kept)
            try:
                (damaged,) = tools.mutants(parent, 1, self._chance.getrandbits(32) + number)
            except (IndexError, ValueError, ArithmeticError, AssertionError, tools.RefusedError):
                continue  # its columns can no longer be told apart
            self._try(damaged)


def replay(seed: int, kept: list[bytes]) -> list[str]:
    """What becomes of damaged frames here."""
    keyframe, _, _ = group(seed)
    outcomes, decoder = [], FrameDecoder()
    for data in kept:
        session = DecoderSession()
        decoder.decode(keyframe, None, session)
        outcomes.append(tools.outcome(decoder, data, session))
    return outcomes


if __name__ == "__main__":
    with np.errstate(over="ignore", invalid="ignore"):
        explorer = Explorer(int(sys.argv[1]))
        explorer.search(int(sys.argv[2]))
    kept = [data.hex() for data in explorer.kept]
    json.dump([len(explorer.lines), kept, explorer.outcomes], sys.stdout)
