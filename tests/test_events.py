"""Events are values: told by their fields, compared by them, and never changed."""

import copy
import pickle
from typing import Any

import pytest

import rnts
from rnts.model import EVENT

EVENTS = (
    rnts.Activated(0.5, trigger="input"),
    rnts.Deactivated(reason="done"),
    rnts.ConnectionEstablished(peer_id=7),
    rnts.ConnectionLost(7, reason="reset"),
    rnts.ThresholdExceeded(metric="queue_depth", value=12.0),
    rnts.ErrorOccurred("Timeout", details="upstream"),
)
each_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)


@each_event
def test_an_event_holds_the_fields_of_its_class(event: Any) -> None:
    """What a class annotates is what its events hold, in that order, and what they are made of."""
    names = [name for name, _ in EVENT[type(event).__name__].fields]

    assert list(vars(event)) == names == list(type(event).__match_args__)
    assert type(event)(**vars(event)) == event == type(event)(*vars(event).values())


@each_event
def test_events_are_equal_if_class_and_fields_are(event: Any) -> None:
    """A copy is equal and has the same hash; no other event is equal, nor one of other fields."""
    name = next(iter(vars(event)))
    other = type(event)(**{**vars(event), name: 99})

    for made in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert made == event and hash(made) == hash(event) and made is not event
    assert event != other and [e for e in EVENTS if e == event] == [event]


def test_events_of_two_classes_with_the_same_fields_differ() -> None:
    """The class is part of the value."""
    assert rnts.Activated(7, "x") != rnts.ConnectionLost(7, "x")
    assert rnts.Deactivated("x") != "x"


@each_event
def test_an_event_is_frozen(event: Any) -> None:
    """Neither its fields nor anything else can be set or deleted."""
    before = dict(vars(event))
    for name in (*before, "other"):
        with pytest.raises(AttributeError, match=name):
            setattr(event, name, 1)
        with pytest.raises(AttributeError, match=name):
            delattr(event, name)

    assert vars(event) == before


def test_an_event_says_how_it_is_made() -> None:
    """Its representation is the call that makes it."""
    assert repr(EVENTS[5]) == "ErrorOccurred(error_type='Timeout', details='upstream')"
    match EVENTS[3]:
        case rnts.ConnectionLost(peer_id, reason):
            assert (peer_id, reason) == (7, "reset")
        case other:
            pytest.fail(f"{other} does not match its class")
