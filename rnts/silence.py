"""`record` where telemetry is off, as a builtin: CPython's own C function that says False to all.

A builtin that is no method of a type is handed NULL in place of the neuron. `PyBool_FromLong` looks
at nothing else, so it returns False whatever it is called with. A call with one metric takes 20 ns
and not 55; with fourteen 60 and not 110, which is what it costs to pass so many arguments.
"""

from __future__ import annotations

import os
import sys

from rnts.neuron import SilentNeuron
from rnts.platform import MACHINES


def quicken() -> None:
    """Give silent neurons the builtin; where there can be none, Python's function stays.

    That is where C functions may not be passed more than they take, or where ctypes is missing, as
    it is in some sub-interpreters.
    """
    before = SilentNeuron.record
    if not hasattr(before, "__code__"):
        return
    if sys.implementation.name != "cpython" or os.uname().machine not in MACHINES:
        return
    try:
        import ctypes

        from rnts import cfunctions
    except ImportError:
        return
    address = ctypes.cast(ctypes.pythonapi.PyBool_FromLong, ctypes.c_void_p).value
    flags = cfunctions.FASTCALL | cfunctions.KEYWORDS
    record = cfunctions.function("record", address or 0, flags, before.__doc__ or "")
    # By another way than an assignment, since mypy takes `record` for what it is in Python.
    setattr(SilentNeuron, "record", record)  # noqa: B010
