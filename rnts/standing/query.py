"""What a client asks to be told of, its limits, and the document in which that travels."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

CLIENTS_MAX = 64  # of an aggregator
EXPRESSIONS_MAX = 256  # of a client; those beyond are refused one by one
QUERIES_MAX = 1_024  # of a document, which is refused as a whole beyond that
KEY_CHARACTERS_MAX = 255
EXPRESSION_CHARACTERS_MAX = 4_096  # as docs/rules.md has it
LIMIT_MAX = 10_000  # entities that a client may ask for
EVERY_MS_MAX = 3_600_000
ABOUT_MAX = 10_000  # entities of all conditions of a client that are asked about
ABOUT_CHARACTERS_MAX = 1 << 20  # of their labels: a message has to hold them

Entity = tuple[str, ...]  # by the values of its labels
About = Mapping[str, Sequence[Entity]]  # by the keys of queries
AskAbout = Callable[[Iterable[str]], About]  # of these queries
_NOBODY: About = {}


class Query(NamedTuple):
    """One expression that a client wants to know of.

    is_condition:   tell which entities it is true of; otherwise the value of each
    lists_unknown:  of a condition, entities of which it was known and is not any more, as well
    limit:          of a quantity, so many entities, the largest first
    every_ms:       tell no more often than that; 0: whenever something has changed
    """

    expression: str
    is_condition: bool
    lists_unknown: bool = False
    limit: int = 1_000
    every_ms: int = 0


_VERSION = 1
_TYPES = dict(zip(Query._fields, (str, bool, bool, int, int), strict=True))


def characters_of(entity: Entity) -> int:
    """How many characters an entity takes in a document, about."""
    return sum(
        4 + len(value) * (1 if value.isascii() and value.isprintable() else 6) for value in entity
    )


class Asked(NamedTuple):
    """What a client asks: queries by keys, and of conditions the entities that it believes in."""

    queries: dict[str, Query]
    about: About


def pack_queries(queries: Mapping[str, Query], about: About = _NOBODY) -> bytes:
    """The document of these queries; raises ValueError where one breaks a limit."""
    for key, query in queries.items():
        _check(key, query)
    documents = {key: query._asdict() for key, query in queries.items()}
    believed = {key: each for key, each in about.items() if key in queries and each}
    _check_about(queries, believed)
    more = {"about": believed} if believed else {}
    return json.dumps({"version": _VERSION, "queries": documents, **more}).encode()


def unpack_queries(payload: bytes) -> Asked:
    """What a document asks; raises ValueError that says what is wrong with it."""
    try:
        document = json.loads(payload)
        version, documents = document["version"], document["queries"].items()
        believed = document.get("about", {}).items()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("what came is no document of queries") from None
    if version != _VERSION:
        raise ValueError(f"queries of version {version!s:.40}; this aggregator reads {_VERSION}")
    if len(documents) > QUERIES_MAX:
        raise ValueError(
            f"a client has at most {EXPRESSIONS_MAX} expressions, not {len(documents)}"
        )
    queries = {key: _query(key, document) for key, document in documents}
    about = {key: _entities(key, entities) for key, entities in believed}
    _check_about(queries, about)
    return Asked(queries, about)


def _entities(key: str, document: Any) -> list[Entity]:
    """The entities that are asked about, each by the values of its labels."""
    if isinstance(document, list) and all(isinstance(each, list) for each in document):
        found = [tuple(each) for each in document]
        if set(map(type, chain.from_iterable(found))) <= {str}:
            return found
    raise ValueError(f"what is asked about of {key[:40]!r} is no list of lists of texts")


def _check_about(queries: Mapping[str, Query], about: About) -> None:
    for key in about:
        if key not in queries or not queries[key].is_condition:
            raise ValueError(f"{key[:40]!r} is no condition, of which entities are asked about")
    asked = sum(map(len, about.values()))
    if asked > ABOUT_MAX:
        raise ValueError(f"{asked} entities are asked about, which is more than {ABOUT_MAX:,}")


def _query(key: str, document: Any) -> Query:
    if not isinstance(document, dict) or not document.keys() <= _TYPES.keys():
        raise ValueError(f"the query {key[:40]!r} has other fields than {', '.join(_TYPES)}")
    for field, value in document.items():
        if type(value) is not _TYPES[field]:
            raise ValueError(f"{field} of the query {key[:40]!r} is no {_TYPES[field].__name__}")
    if not {"expression", "is_condition"} <= document.keys():
        raise ValueError(f"the query {key[:40]!r} has no expression or no is_condition")
    query = Query(**document)
    _check(key, query)
    return query


def _check(key: str, query: Query) -> None:
    limits = (
        (len(key), 1, KEY_CHARACTERS_MAX, "characters of a key"),
        (len(query.expression), 1, EXPRESSION_CHARACTERS_MAX, "characters of an expression"),
        (query.limit, 1, LIMIT_MAX, "entities"),
        (query.every_ms, 0, EVERY_MS_MAX, "milliseconds between two updates"),
    )
    for value, least, most, what in limits:
        if not least <= value <= most:
            raise ValueError(f"{value} {what} are not between {least} and {most:,}")
