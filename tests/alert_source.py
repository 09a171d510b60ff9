"""A source of standing queries that tests steer: what it tells comes as datagrams of JSON."""

import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnts.alerts.feed import CONDITION
from rnts.reflex.change import Change, Labels, Update, Worst
from rnts.standing.query import Query

NEURON_LABELS = ("group", "host", "neuron")


def labels_of(entity: str) -> Labels:
    """A neuron's labels, by its name as `group/name`; a group's where the name ends in `/`."""
    group, _, name = entity.partition("/")
    if not name:
        return (("group", group),)
    return (("group", group), ("host", "h"), ("neuron", entity))


def update(
    rule: str,
    truths: Mapping[str, float],
    at_ns: int,
    is_full: bool = False,
    gone: tuple[str, ...] = (),
    kind: str = CONDITION,
) -> Update:
    """What an aggregator would tell of a rule's entities; the value of what is true is 2."""
    changes = tuple(
        Change(
            labels_of(entity), truth, 2.0 * truth, (Worst(entity, 2.0, 0.5),) if truth == 1 else ()
        )
        for entity, truth in truths.items()
    )
    return Update(kind + rule, at_ns, is_full, changes, tuple(map(labels_of, gone)))


class SteeredSource:
    """Listens at a path for {"rule", "truths", "is_full", "gone", "is_live"}; all may be absent."""

    def __init__(self, path: Path, queries: Mapping[str, Query]) -> None:
        self.queries = dict(queries)
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(os.fspath(path))
        self._is_live = False
        self.alive_at_ns = 0

    def replace(self, queries: Mapping[str, Query], now_ns: int) -> None:
        """Note what is asked."""
        self.queries = dict(queries)

    def exchange(self, now_ns: int) -> list[Update]:
        """What the test has sent."""
        found: list[Update] = []
        while True:
            try:
                said: dict[str, Any] = json.loads(self._socket.recv(1 << 20))
            except BlockingIOError:
                break
            self._is_live = said.pop("is_live", self._is_live)
            if "rule" in said:
                said["gone"] = tuple(said.get("gone", ()))
                found.append(update(at_ns=time.time_ns(), **said))
        if self._is_live:
            self.alive_at_ns = time.time_ns()
        return found

    def is_live(self, now_ns: int) -> bool:
        """What the test says."""
        return self._is_live

    def due_ns(self, now_ns: int) -> int:
        """It is heard ten times a second."""
        return now_ns + 100_000_000

    def filenos(self) -> list[int]:
        """The socket."""
        return [self._socket.fileno()]

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
