"""Annotations of what applications use, as frameworks that read them at run time see them."""

import typing
from collections.abc import Iterator
from inspect import isfunction

import pytest

import rnts

PUBLIC = [
    name for name in rnts.__all__ if isinstance(getattr(rnts, name), type | type(rnts.neuron))
]


def functions_of(owner: type) -> Iterator[object]:
    """The functions of a class that people call, by themselves, as properties or in `with`."""
    for name, found in vars(owner).items():
        function = found.fget if isinstance(found, property) else found
        function = getattr(function, "__func__", function)
        if isfunction(function) and (not name.startswith("_") or name.endswith("__")):
            yield function


@pytest.mark.parametrize("name", PUBLIC)
def test_annotations_can_be_read(name: str) -> None:
    """`typing.get_type_hints` finds every name in what `rnts` exports, down to its methods."""
    found = getattr(rnts, name)
    read = [found, *(functions_of(found) if isinstance(found, type) else ())]
    for each in read:
        hints = typing.get_type_hints(each)
        assert not any(isinstance(hint, str) for hint in hints.values())


def test_what_is_not_checked_has_no_annotations() -> None:
    """Only states of health are exported that are neither classes nor functions."""
    others = {name for name in rnts.__all__ if name not in PUBLIC}
    assert all(isinstance(getattr(rnts, name), rnts.Health) for name in others)


def test_annotations_name_what_comes() -> None:
    """What is read are the classes themselves."""
    assert typing.get_type_hints(rnts.neuron)["return"] is rnts.Neuron
    assert typing.get_type_hints(rnts.instrument)["return"] is rnts.Instrumentation
    assert typing.get_type_hints(rnts.Activation.__enter__)["return"] is rnts.Activation
    assert typing.get_type_hints(rnts.Neuron.link)["return"] is rnts.Link
    assert typing.get_type_hints(rnts.ErrorOccurred)["error_type"] is str
