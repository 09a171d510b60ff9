"""How plain Python wakes an agent that sleeps: the system call of `kernels/bell.py`, by ctypes.

It is loaded with the first segment, so that no record has to wait for it. Where Python has no
ctypes, or the processor another number for the call, agents look instead, and later.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    import mmap
    from typing import Any

_FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}.get(os.uname().machine, -1)
_WAKE = 1
_call: Any = None  # syscall(2), once it is loaded


def can_ring() -> bool:
    """Whether this process can wake an agent; loads what that takes, if need be."""
    global _call
    if _call is None and _FUTEX >= 0:
        try:
            import ctypes

            # With the GIL held: the call takes microseconds and waits for nobody.
            call = ctypes.PyDLL(None).syscall
            call.restype, call.argtypes = ctypes.c_long, [ctypes.c_long] * 4
            _call = call
        except (ImportError, OSError, AttributeError):
            return False
    return _call is not None


def address_of(buffer: mmap.mmap) -> int:
    """Where a mapping lies in memory; 0 where nobody can ring yet."""
    if _call is None:
        return 0
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def wake(address: int) -> None:
    """Wake one process that waits for the word at an address."""
    if _call is not None:
        _call(_FUTEX, address, _WAKE, 1)
