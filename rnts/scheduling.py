"""What a thread asks of the scheduler: processors, niceness, and the length of its slices.

A thread whose slices are shorter is put on a processor sooner when it wakes, and gets no more of it
than others (EEVDF, Linux 6.12 and later). Anybody may ask for that; a better niceness takes rights.
"""

import ctypes
import os
import struct

# struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, utilisation.
_ATTRIBUTES = struct.Struct("<IIQiIQQQII")
_NUMBERS = {"x86_64": (314, 315), "aarch64": (274, 275)}  # of sched_setattr, sched_getattr
_POLICY_NORMAL = 0
_LIBC = ctypes.CDLL(None, use_errno=True)


def slice_ns(thread: int) -> int | None:
    """The length of a thread's slices; None where the kernel has none, or it is not scheduled so.

    Raises OSError where there is no such thread.
    """
    try:
        _, policy, _, _, _, runtime_ns, *_ = _attributes(thread)
    except ProcessLookupError:
        raise
    except OSError:  # a sandbox in which nobody may ask
        return None
    return runtime_ns if policy == _POLICY_NORMAL and runtime_ns else None


def set_slice_ns(thread: int, wanted_ns: int) -> None:
    """Ask for slices of this length, 0 for those that all have. Raises OSError if refused."""
    _, policy, _, nice, *_ = _attributes(thread)
    if policy != _POLICY_NORMAL:
        return
    raw = _ATTRIBUTES.pack(_ATTRIBUTES.size, policy, 0, nice, 0, wanted_ns, 0, 0, 0, 0)
    buffer = ctypes.create_string_buffer(raw, _ATTRIBUTES.size)
    _call(_NUMBERS[os.uname().machine][0], thread, buffer, 0)


def _attributes(thread: int) -> tuple[int, ...]:
    buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
    _call(_NUMBERS[os.uname().machine][1], thread, buffer, _ATTRIBUTES.size, 0)
    return _ATTRIBUTES.unpack(buffer.raw)


def _call(number: int, thread: int, *arguments: object) -> None:
    if _LIBC.syscall(number, thread, *arguments) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
