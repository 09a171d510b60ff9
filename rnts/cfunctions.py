"""C functions, by their addresses, as functions of Python."""

import ctypes
from typing import Any

FASTCALL, KEYWORDS = 0x80, 0x02  # METH_FASTCALL, METH_KEYWORDS
ONE_ARGUMENT, NO_ARGUMENT = 0x08, 0x04  # METH_O, METH_NOARGS
_kept: list[Any] = []  # what CPython points to, for the life of the process


class _Method(ctypes.Structure):
    """A PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def _definition(name: str, address: int, flags: int, doc: str) -> int:
    """Address of a PyMethodDef, which is there to stay."""
    made = _Method(name.encode(), address, flags, doc.encode())
    _kept.append(made)
    return ctypes.addressof(made)


def function(name: str, address: int, flags: int, doc: str = "") -> Any:
    """A builtin function; as an attribute of a class it is not bound, and its `self` is NULL."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    return make(_definition(name, address, flags, doc), None, None)


def method(owner: type, name: str, address: int, flags: int, doc: str = "") -> Any:
    """A builtin as a method of a type, which checks that it is called with an object of it."""
    make = ctypes.pythonapi.PyDescr_NewMethod
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.py_object, ctypes.c_void_p]
    return make(owner, _definition(name, address, flags, doc))
