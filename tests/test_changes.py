"""Changes as columns: what a tuple of them would be, and back from JSON as they were."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnts.reflex.change import Change, Changes, Worst, join_changes, text_of
from rnts.reflex.packed import pack_changes, unpack_changes

NAMES = ("group", "neuron")
WORST = (Worst("n", 5.0, 0.25), Worst("m", -math.inf, 0.1))
texts = st.text(st.sampled_from("a\n\0ü\ud800"), max_size=2)
numbers = st.sampled_from((0.0, 1.0, -2.5, math.inf, -math.inf, math.nan))
rows = st.tuples(texts, texts, st.sampled_from((0.0, 1.0, math.nan)), numbers, st.booleans())


def changes_of(found: list[tuple[str, str, float, float, bool]]) -> Changes:
    """Rows of two labels, a truth, a value, and whether there are worst neurons."""
    groups, names, truths, values, worst = zip(*found, strict=True) if found else ((),) * 5
    bad = {place: WORST for place, is_bad in enumerate(worst) if is_bad}
    return Changes(NAMES, [groups, names], list(truths), list(values), bad)


def plain(changes: Changes) -> list[Change]:
    """The same, one by one; NaN is made comparable."""
    return [
        each._replace(truth=repr(each.truth), value=repr(each.value))  # type: ignore[arg-type]
        for each in changes
    ]


@given(st.lists(rows, min_size=1, max_size=6))
def test_columns_come_back_from_json(found: list[tuple[str, str, float, float, bool]]) -> None:
    """Whatever labels hold, and also where a column is one number."""
    changes = changes_of(found)
    document = json.loads(json.dumps(pack_changes(changes), allow_nan=False))
    assert plain(unpack_changes(document)) == plain(changes)


@given(st.lists(rows, max_size=6), st.integers(-7, 7), st.integers(-7, 7))
def test_columns_are_a_sequence(
    found: list[tuple[str, str, float, float, bool]], start: int, stop: int
) -> None:
    """Places, stretches, and what is joined again are those of a list of single changes."""
    changes = changes_of(found)
    singly = plain(changes)
    assert len(changes) == len(singly)
    assert plain(changes[start:stop]) == singly[start:stop]
    parts = [changes[:start], changes[start:]]
    joined = join_changes(parts)
    assert isinstance(joined, Changes) and plain(joined) == singly
    assert [plain(changes[place : place + 1])[0] for place in range(len(changes))] == singly
    assert [each.labels for each in changes] == [
        changes[place].labels for place in range(len(changes))
    ]


@given(st.lists(rows, min_size=1, max_size=6))
def test_texts_say_which_entity_it_is(found: list[tuple[str, str, float, float, bool]]) -> None:
    """Labels are equal where the texts of their entities are, also with what is between two."""
    changes = changes_of(found)
    assert changes.entities == [text_of([value for _, value in each]) for each in changes.labels]
    assert len(changes.different) == len(set(changes.labels))
    assert [changes.labels_at(place) for place in range(len(changes))] == changes.labels


def test_parts_with_other_labels_are_joined_one_by_one() -> None:
    """Columns of groups and of neurons cannot be the same columns."""
    group = Changes(("group",), [["g"]], [1.0], [2.0], {})
    joined = join_changes([group, changes_of([("g", "n", 0.0, 1.0, False)])])
    assert joined == (Change((("group", "g"),), 1.0, 2.0), *changes_of([("g", "n", 0, 1, False)]))
    with pytest.raises(ValueError, match="one length"):
        Changes(("group",), [["g", "h"]], [1.0], [2.0], {})


@pytest.mark.parametrize(
    "wrong", [{"labels": [["a", 5]]}, {"labels": []}, {"truths": [1.0] * 3}, {"values": "x"}]
)
def test_a_document_that_is_none_is_refused(wrong: dict[str, object]) -> None:
    """Labels that are no texts, and columns that do not fit one another."""
    document = {"names": ["group"], "labels": ["a\nb"], "truths": 1.0, "values": [2.5, None]}
    assert len(unpack_changes(document)) == 2
    with pytest.raises((ValueError, TypeError, LookupError)):
        unpack_changes({**document, **wrong})
