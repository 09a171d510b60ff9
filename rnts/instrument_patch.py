"""Putting a function of ours in the place of a library's, and taking it back."""

from collections.abc import Callable
from typing import Any


class Patch:
    """One function of a library, replaced.

    `make(original, patch)` returns the stand-in, which asks `patch.is_on` before it does anything
    but call the original: where somebody else has patched over ours it cannot be taken out of their
    chain, and stays there without effect.
    """

    def __init__(
        self, owner: Any, name: str, make: Callable[[Callable[..., Any], "Patch"], Any]
    ) -> None:
        self._owner, self._name = owner, name
        self._original = getattr(owner, name)
        self._stand_in = make(self._original, self)
        self.is_on = True
        setattr(owner, name, self._stand_in)

    def undo(self) -> None:
        """Put the original back."""
        self.is_on = False
        if getattr(self._owner, self._name) is self._stand_in:
            setattr(self._owner, self._name, self._original)
