"""Processors for tests of what becomes of those that misbehave, and of the others beside them."""

import os
import time
from collections.abc import Iterator

from rnts.processors.batch import Batch
from rnts.processors.protocol import Alert, Priority


class _Base:
    name, priority = "base", Priority.NORMAL

    def __init__(self) -> None:
        self.batches = 0

    def process(self, batch: Batch) -> Iterator[Alert]:
        """Count, and misbehave when it is time."""
        self.batches += 1
        self.misbehave()
        yield Alert("info", f"{self.batches} {len(batch)}", batch.at_ns)

    def misbehave(self) -> None:
        """Behave."""


class Good(_Base):
    """Says how many batches it has seen, and how many records this one has."""

    name, priority = "good", Priority.HIGH

    def snapshot(self) -> bytes:
        """How many batches it has seen."""
        return str(self.batches).encode()

    def restore(self, state: bytes) -> None:
        """Go on counting."""
        self.batches = int(state)


class Raises(_Base):
    """Raises at each batch."""

    name = "raises"

    def misbehave(self) -> None:
        """Raise."""
        raise RuntimeError("as it was told to")


class Hangs(_Base):
    """Never comes back from its second batch, and heeds no signal that can be caught."""

    name = "hangs"

    def misbehave(self) -> None:
        """Use the processor, for ever."""
        while self.batches == 2:
            pass


class Sleeps(_Base):
    """Never comes back either, and uses no processor."""

    name = "sleeps"

    def misbehave(self) -> None:
        """Sleep."""
        time.sleep(1_000)


class Dies(_Base):
    """Its process ends in its second batch, whatever the life."""

    name = "dies"

    def misbehave(self) -> None:
        """End without a word."""
        if self.batches == 2:
            os._exit(1)


class Stillborn:
    """Cannot be made."""

    def __init__(self) -> None:
        raise OSError("no model there")
