"""What a client asks about entities that it believes in, at both ends of standing queries."""

import json
from typing import Any

import pytest
from engine_tools import group
from test_standing import FAILING, SLOW, Ends

from rnts.standing import outbox
from rnts.standing.outbox import UNCONFIRMED_MAX
from rnts.standing.query import ABOUT_MAX, pack_queries, unpack_queries


def test_who_asks_about_entities_misses_nothing_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told of those that are false; after what was too much it asks again, as it is then."""
    monkeypatch.setattr(outbox, "ENTITIES_MAX", 50)
    ends, asked = Ends(), [("a",), ("b",)]
    ends.values[FAILING.expression] = {group("a"): (0.0, 0.1), group("c"): (0.0, 0.2)}
    client = ends.client(about=lambda keys: dict.fromkeys(keys, asked), failing=FAILING)
    (whole,) = ends.step(client)
    assert whole.is_full and [(c.labels, c.truth) for c in whole.changes] == [(group("a"), 0)]
    ends.values[FAILING.expression][group("b")] = (0.0, 0.3)
    assert [c.labels for c in ends.step(client)[0].changes] == [group("b")]
    for tick in range(1, UNCONFIRMED_MAX + 60):
        ends.values[FAILING.expression] = {group(f"g{tick}"): (1.0, 1.0), group("c"): (0.0, 1.0)}
        ends.step()
    assert ends.standing.counts["overflowed"] == 1
    asked[:] = [("c",)]
    while client.counts["overflowed"] == 0:
        assert not any(update.is_full for update in ends.step(client))
    (whole,) = ends.step(client, pass_ns=10**9)
    assert whole.is_full and {c.labels[0][1]: c.truth for c in whole.changes} == {
        f"g{UNCONFIRMED_MAX + 59}": 1,
        "c": 0,
    }


@pytest.mark.parametrize(
    ("key", "about", "words"),
    [
        ("none", [("a",)], "no condition"),
        ("slow", [("a",)], "no condition"),
        ("failing", [("a",)] * (ABOUT_MAX + 1), "more than 10,000"),
        ("failing", [(1,)], "no list of lists of texts"),
        ("failing", ["a"], "no list of lists of texts"),
    ],
)
def test_what_may_be_asked_about(key: str, about: Any, words: str) -> None:
    """Of conditions that are asked, so many entities, each by the values of its labels."""
    queries = {"slow": SLOW, "failing": FAILING}
    document = json.loads(pack_queries(queries)) | {"about": {key: about}}
    with pytest.raises(ValueError, match=words):
        unpack_queries(json.dumps(document).encode())
