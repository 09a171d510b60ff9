"""The model holds what the specification asks for, and lays it out without overlaps."""

import re
from pathlib import Path

import pytest

from rnts import model, model_doc
from rnts.model import FIELD, FIELDS, METRICS, Field, Health, Kind, Storage

ROOT = Path(__file__).resolve().parent.parent

# Name and type of each metric, as the specification has them.
SPECIFIED_METRICS = """
activation_count u64, processing_time_ns u64, queue_depth u32, memory_bytes u64,
messages_sent u64, messages_received u64, bytes_transmitted u64, connection_count u32,
cpu_usage_percent f32, gpu_usage_percent f32, cache_hit_rate f32,
signal_strength f64, noise_ratio f64, activation_potential f64
"""
SPECIFIED_EVENTS = {
    "Activated": {"strength": float, "trigger": str},
    "Deactivated": {"reason": str},
    "ConnectionEstablished": {"peer_id": int},
    "ConnectionLost": {"peer_id": int, "reason": str},
    "ThresholdExceeded": {"metric": str, "value": float},
    "ErrorOccurred": {"error_type": str, "details": str},
}


def test_metrics_are_those_of_the_specification() -> None:
    """The fourteen metrics have their names, their order and their types."""
    specified = [tuple(metric.split()) for metric in SPECIFIED_METRICS.split(",")]

    assert [(f.name, f.storage.name.lower()) for f in METRICS] == specified


def test_events_are_those_of_the_specification() -> None:
    """The six events have their fields, and codes that count from zero."""
    assert {event.name: dict(event.fields) for event in model.EVENTS} == SPECIFIED_EVENTS
    assert [event.code for event in model.EVENTS] == list(range(len(SPECIFIED_EVENTS)))


def test_health_states_are_those_of_the_specification() -> None:
    """A neuron is healthy, degraded, critical or unknown."""
    assert [state.name for state in Health] == ["HEALTHY", "DEGRADED", "CRITICAL", "UNKNOWN"]


@pytest.mark.parametrize("kind", Kind)
def test_fields_of_a_kind_do_not_overlap(kind: Kind) -> None:
    """Each bit of a slot belongs to one field at most, none to the head of the slot."""
    taken = set(range(model.WORD_FIELDS * 64))
    for field in (f for f in FIELDS if f.kind is kind):
        start = field.word * 64 + field.shift
        bits = set(range(start, start + field.storage.bits))

        assert not bits & taken, field.name
        assert max(bits) < model.SLOT_BYTES * 8, field.name
        taken |= bits


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_field_is_aligned(field: Field) -> None:
    """A field lies at a multiple of its width, so that one store writes it."""
    assert field.shift % field.storage.bits == 0
    assert field.shift + field.storage.bits <= 64


def test_masks_tell_fields_apart() -> None:
    """Each field has a bit of its own in the 32 bits of a mask, and each kind its own bits."""
    assert [field.bit for field in FIELDS] == list(range(len(FIELDS)))
    assert len(FIELDS) <= 32
    assert sum(model.KIND_MASK.values()) == (1 << len(FIELDS)) - 1
    for field in FIELDS:
        assert field.mask & model.KIND_MASK[field.kind]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_field_is_described(field: Field) -> None:
    """Role, unit and meaning are given; a unit in the name is the unit; only floats have steps."""
    units = {"_ns": "ns", "_bytes": "B", "bytes_transmitted": "B", "_percent": "%"}

    assert field.role in {"counter", "gauge", "ratio", "state", "key"}
    assert field.meaning
    assert field.unit == next((u for end, u in units.items() if field.name.endswith(end)), "1")
    assert field.step is None or (field.storage.is_float and field.step > 0)
    assert FIELD[field.name] is field


def test_layout_for_kernels_says_the_same() -> None:
    """LAYOUT and STEPS are the fields as numbers, in the order of the bits."""
    for field, (word, shift, storage, is_counter) in zip(FIELDS, model.LAYOUT, strict=True):
        assert (word, shift, Storage(storage)) == (field.word, field.shift, field.storage)
        assert is_counter == (field.role == "counter")
    assert [step or None for step in model.STEPS] == [field.step for field in FIELDS]


def test_longest_texts_fit_into_the_slots_of_a_record() -> None:
    """Four strings of the greatest length, each with its length byte, fit behind the first slot."""
    text_bytes = model.STRINGS_MAX * (1 + model.TEXT_BYTES_MAX)

    assert text_bytes <= (model.SLOTS_MAX - 1) * model.SLOT_BYTES
    assert len(model.NAME_FIELDS) <= model.STRINGS_MAX


def test_document_is_in_step_with_the_model() -> None:
    """docs/metrics.md is what the model says now; `python -m rnts.model_doc` writes it."""
    assert (ROOT / "docs" / "metrics.md").read_text() == model_doc.metrics_document()


def test_document_names_everything() -> None:
    """Each field, event, state and reason for a drop is in the document."""
    named = set(re.findall(r"`(\w+)`", model_doc.metrics_document()))

    assert named >= {field.name for field in FIELDS}
    assert named >= {event.name for event in model.EVENTS}
    assert named >= {state.name.lower() for state in Health}
    assert named >= set(model_doc.DROPS)
