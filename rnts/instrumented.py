"""What `rnts.instrument` hands out; apart from what does the work, which is loaded when it is."""

from __future__ import annotations

from collections.abc import Callable


class Instrumentation:
    """What `rnts.instrument` did; `close` takes it back, unless others have asked for the same."""

    def __init__(
        self, libraries: tuple[str, ...], release: Callable[[Instrumentation], None]
    ) -> None:
        self.libraries = libraries
        self.is_open = True
        self._release = release

    def close(self) -> None:
        """Let the libraries report no more; a second time is no mistake."""
        self._release(self)

    def __enter__(self) -> Instrumentation:  # noqa: PYI034 - `typing` is not loaded
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "" if self.is_open else " (closed)"
        return f"<rnts.Instrumentation of {', '.join(self.libraries) or 'nothing'}{state}>"
