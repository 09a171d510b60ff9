"""Which documents have changed of what alerts remember, and reading them after a restart."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, TypeVar

from rnts.alerts.life import Key, Life
from rnts.alerts.life_documents import ALIKE, LIFE, documents_of
from rnts.alerts.moves import Move
from rnts.alerts.rule import fingerprint
from rnts.alerts.storm import Storm

Read = TypeVar("Read")

log = logging.getLogger("rnts.alerts")
_signed = attrgetter(
    "state", "episode", "reason", "rule_digest", "flips", "is_flapping", "is_without_data",
    "is_gone", "told",
)  # fmt: skip


class Notes:
    """Lives by what was noted of them; whatever else there is by the names of its documents."""

    def __init__(self) -> None:
        self._lives: dict[Key, None] = {}
        self._storms: list[Storm] = []
        self._begun: dict[str, Any] = {}  # documents of storms that others told of later
        self._moves: list[Move] = []
        self._names: dict[str, None] = {}

    def note(self, *names: str) -> None:
        """Documents of these names are others now, or are gone."""
        self._names.update(dict.fromkeys(names))

    def note_storm(self, storm: Storm) -> None:
        """Its alerts have begun, and those that are alike are one document.

        Where all are told that waits until they are; else it is what is so before anybody is told.
        """
        if storm.tells:
            self._storms.append(storm)
        else:
            self._begun |= _documents_of_storm(storm, f"begun/{len(self._begun)}")

    def note_move(self, move: Move) -> None:
        """Its alerts go on alike."""
        self._moves.append(move)

    def note_lives(self, keys: Mapping[Key, Life], lives: Mapping[Key, Life]) -> None:
        """Put down which of these have changed in more than their age."""
        last, last_signature = None, None
        for key, life in keys.items():
            signature = None
            if key in lives:
                if (signed := _signed(life)) != last:  # of thousands few are different
                    last, last_signature = signed, life.signature()
                signature = last_signature
            if signature != life.noted:
                self._lives[key], life.noted = None, signature

    def take(self, lives: Mapping[Key, Life], read: Callable[[str], Any]) -> dict[str, Any]:
        """What has changed, by name, and None for what is gone; `read` has what is no life."""
        found = dict(self._begun)
        for number, storm in enumerate(self._storms):
            found |= _documents_of_storm(storm, f"storm/{number}")
        for number, move in enumerate(self._moves):
            found |= move.documents(f"move/{number}/{move.rule.name}")
        found.update(documents_of(lives[key] for key in self._lives if key in lives))
        gone = (key for key in self._lives if key not in lives)
        found.update((LIFE + fingerprint(*key), None) for key in gone)
        found.update((name, read(name)) for name in self._names)
        self._storms, self._moves, self._begun, self._lives, self._names = [], [], {}, {}, {}
        return found


def _documents_of_storm(storm: Storm, name: str) -> dict[str, Any]:
    documents = enumerate(storm.documents())
    return {f"{ALIKE}{name}/{storm.rule.name}/{part}": document for part, document in documents}


class Reader:
    """Reads documents; those of another version are left out, and counted as `unreadable`."""

    def __init__(self, documents: Mapping[str, Any], counts: Counter[str]) -> None:
        self._documents, self._counts = documents, counts

    def read(self, prefix: str, read: Callable[[Any], Read]) -> list[Read]:
        """What the documents say whose names begin so."""
        chosen = [each for name, each in self._documents.items() if name.startswith(prefix)]
        found = [self.read_one(each, read) for each in chosen]
        return [each for each in found if each is not None]

    def read_one(self, document: Any, read: Callable[[Any], Read]) -> Read | None:
        """What a document says; None where it cannot be read."""
        try:
            return read(document)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            self._counts["unreadable"] += 1
            log.warning("something that alerts remembered cannot be read: %r", error)
            return None
