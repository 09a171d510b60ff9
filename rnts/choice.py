"""Which emitter serves a process; asked once, and without loading what is not wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from rnts.compiled import CompiledEmitter


def is_compiled_wanted() -> bool:
    """Whether the compiled emitter is to serve a process that has not said which.

    $RNTS_JIT decides, 1 or 0; else it serves if it costs nothing that was not paid already. Our own
    processes that do without Numba stay without.
    """
    objects = sys.modules.get("rnts.kernels._objects")
    if objects is not None and objects.is_preferred():
        return False
    if chosen := os.environ.get("RNTS_JIT"):
        return chosen != "0"
    if "numba" not in sys.modules:
        return False
    from rnts.kernels._cache import is_warm

    return is_warm()


def make_compiled(attach: Callable[[int], object]) -> CompiledEmitter:
    """A compiled emitter that calls `attach` for a lane; RuntimeError where there cannot be one.

    Numba may raise anything else on a machine that it does not get along with.
    """
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if sys.implementation.name != "cpython" or sys.maxsize < 1 << 32:
        raise RuntimeError("the compiled emitter needs a 64-bit CPython")
    if not has_gil:
        raise RuntimeError("the compiled emitter needs the GIL, and this Python has none")
    from rnts.compiled import CompiledEmitter

    return CompiledEmitter(attach)
