"""What both ends of standing queries send each other: whole, in pieces, damaged."""

import math
from collections import Counter

import pytest
from engine_tools import group
from hypothesis import given
from hypothesis import strategies as st

from rnts.delivery import Message, Type
from rnts.links.limits import MESSAGE_BYTES_MAX
from rnts.reflex.change import Certainty, Change, Changes, Update, Worst
from rnts.rules.faults import Fault
from rnts.standing.client import WatchClient
from rnts.standing.outbox import CHANGES_AT_ONCE, SHORT_AT_ONCE, Outbox
from rnts.standing.push import Part, Push, pack_push, unpack_push
from rnts.standing.query import (
    EXPRESSION_CHARACTERS_MAX,
    EXPRESSIONS_MAX,
    Query,
    pack_queries,
    unpack_queries,
)
from rnts.standing.standing import HEARTBEAT_NS

START_NS = 1_790_000_000_000_000_000
SLOW = Query("p99_processing_time_ms by group", is_condition=False)
FAILING = Query("error_rate > 0.5 by group", is_condition=True)


@pytest.mark.parametrize("document", [b"", b"{", b"[" * 100_000, b'{"queries": {}}'])
def test_what_is_no_document_at_all_is_refused(document: bytes) -> None:
    """Bytes that are no JSON, none of ours, or of no version."""
    with pytest.raises(ValueError, match="no document of queries"):
        unpack_queries(document)


def test_what_is_wrong_comes_in_pieces_and_all_of_it() -> None:
    """However long the words are that wait to be told, no message is larger than links carry."""
    box, told = Outbox(Counter()), {}
    for number in range(EXPRESSIONS_MAX):
        box.complain(f"q{number}", (Fault(0, "€" * EXPRESSION_CHARACTERS_MAX),))
    while box.is_waiting:
        payload = box.next_payload(lambda key: Update(key, 0, True, (), ()))
        assert len(payload) < MESSAGE_BYTES_MAX
        told |= unpack_push(payload).wrong
    assert len(told) == EXPRESSIONS_MAX


@pytest.mark.parametrize(
    ("name", "most"),
    [("n", SHORT_AT_ONCE), ("\0" * 30, SHORT_AT_ONCE), ("\1" * 255, CHANGES_AT_ONCE)],
)
def test_many_with_short_names_are_few_messages(name: str, most: int) -> None:
    """As many as may be in one message, which links carry whatever has to be escaped."""
    count, box, told = 2 * SHORT_AT_ONCE + 1, Outbox(Counter()), list[Change]()
    certain = [
        Certainty(*(-1.2345678901234567e-300 * (place + 1) for _ in range(5)))
        for place in range(count)
    ]
    columns = [[name] * count, [name] * count, [name] * count]
    values = [-1.2345678901234567e-300 * (place + 1) for place in range(count)]
    changes = Changes(("group", "host", "neuron"), columns, [1.0] * count, values, {}, certain)
    box.add("q", Update("q", 0, False, changes, ()))
    sizes = []
    while box.is_waiting:
        payload = box.next_payload(lambda key: Update(key, 0, True, (), ()))
        assert len(payload) < MESSAGE_BYTES_MAX
        (part,) = unpack_push(payload).parts
        told += part.update.changes
        sizes.append(len(part.update.changes))
    assert told == list(changes)
    assert max(sizes) == most and len(sizes) == -(-count // most)


def test_documents_come_back_as_they_were() -> None:
    """Queries, and pushes with what is unknown, infinite, and has worst neurons."""
    queries = {"a": SLOW, "b": FAILING._replace(lists_unknown=True, limit=5, every_ms=9)}
    about = {"b": [("g",), ("ü\x1b\n",)]}
    assert unpack_queries(pack_queries(queries, about)) == (queries, about)
    assert unpack_queries(pack_queries(queries)) == (queries, {})
    labels = (("group", "g"), ("host", "h"), ("neuron", "ü\x1b\n"))
    changes = (
        Change(labels, 1.0, math.inf, (Worst("n", 5.0, 0.25), Worst("m", -math.inf, 0.1))),
        Change((), 0.0, -0.5),
    )
    update = Update("k", START_NS, True, changes, (labels, ()), 3)
    wrong = {"w": (Fault(4, "it is"), Fault(0, "wrong"))}
    packed = pack_push([Part(update, 7, True)], wrong)
    assert unpack_push(packed) == Push((Part(update, 7, True),), wrong)
    (part,) = unpack_push(pack_push([Part(update._replace(changes=(changes[1]._replace(
        truth=math.nan),)), 0, False)], {})).parts  # fmt: skip
    assert math.isnan(part.update.changes[0].truth)


@given(st.integers(0, 400), st.binary(max_size=3))
def test_a_damaged_message_is_refused_or_read(position: int, noise: bytes) -> None:
    """Whatever becomes of its bytes, a client takes it for a message or says that it is none."""
    update = Update("k", START_NS, False, (Change(group("g"), 1.0, 2.5),), (group("h"),), 3)
    whole = pack_push([Part(update, 0, False)], {"w": (Fault(4, "it is"),)})
    damaged = whole[:position] + noise + whole[position + len(noise) :]
    client = WatchClient({"k": SLOW}, 0, 1)
    header = Message(Type.PUSH, 77, 1, first=1, last=5, committed=HEARTBEAT_NS).pack()
    updates = client.on_message([header, damaged], 1)
    assert client.counts["damaged"] == (client.alive_at_ns == 0)
    assert not updates or client.alive_at_ns == 5
