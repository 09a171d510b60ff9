"""CPython's C-API inside kernels: each function by its symbol's name, so that code can be cached.

Objects are int64 addresses. Whoever calls these holds the GIL; the code around them must not have
been compiled with `nogil`. An address that is returned is a new reference, unless it says borrowed.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I64 = ir.IntType(64)
_F64 = ir.DoubleType()
_VOID = ir.VoidType()
_TYPES: dict[Any, Any] = {types.int64: I64, types.float64: _F64, types.void: _VOID}

# In a 64-bit CPython that has a GIL an object is a count of references, its type, then its own.
TYPE, FLOAT_VALUE, INT_SIZE, TUPLE_SIZE, TUPLE_ITEMS = 8, 16, 16, 16, 24


def call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Emit a call of the C function `name`, all of whose arguments are words."""
    kind = ir.FunctionType(result, [I64] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _function(name: str, result: Any, arguments: int, meaning: str) -> Any:
    """An intrinsic that calls a C function of so many words."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        returned = call(builder, name, _TYPES[result], *values)
        return context.get_dummy_value() if result == types.void else returned

    signature = result(*[types.int64] * arguments)
    # Numba counts the parameters of what it is given, so there is one for each number of them.
    function: Any = {
        0: lambda typing_context: (signature, generate),
        1: lambda typing_context, a: (signature, generate),
        2: lambda typing_context, a, b: (signature, generate),
        4: lambda typing_context, a, b, c, d: (signature, generate),
    }[arguments]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = meaning
    return intrinsic(function)


as_int = _function("PyLong_AsLongLong", types.int64, 1, "An int's value; -1 may be an error.")
from_int = _function("PyLong_FromLongLong", types.int64, 1, "An int.")
from_bool = _function("PyBool_FromLong", types.int64, 1, "True or False.")
error = _function("PyErr_Occurred", types.int64, 0, "The exception that is set, borrowed, or 0.")
clear_error = _function("PyErr_Clear", types.void, 0, "Forget the exception that is set.")
bad_argument = _function("PyErr_BadArgument", types.int64, 0, "Set a TypeError.")
vectorcall = _function(
    "PyObject_Vectorcall", types.int64, 4, "Call (callable, arguments, count, names of keywords)."
)

keep = _function("Py_IncRef", types.void, 1, "Count one more reference to an object, or to 0.")
let_go = _function("Py_DecRef", types.void, 1, "Count one reference less to an object, or to 0.")
new_object = _function(
    "PyType_GenericAlloc", types.int64, 2, "A new object of a type, of so many items, all zeros."
)


def stack_of(words: int) -> Any:
    """An intrinsic that gives the address of so many words on the stack; they are not cleared."""

    @intrinsic
    def stack(typing_context):
        def generate(context, builder, signature, arguments):
            memory = cgutils.alloca_once(builder, ir.ArrayType(I64, words))
            return builder.ptrtoint(memory, I64)

        return types.int64(), generate

    return stack
