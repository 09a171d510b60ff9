"""The machine code of the emitters: plain loads and stores, no call but for clock and bell."""

import platform
import re
from collections.abc import Callable
from typing import Any

import pytest
from numba import int64, njit

from rnts import builtins, jit, layout
from rnts.kernels import _jit, activations, builtin, packed

MACHINE = platform.machine()
pytestmark = pytest.mark.skipif(
    MACHINE not in ("x86_64", "aarch64"), reason=f"no rules for the code of {MACHINE}"
)

FORBIDDEN = {
    "x86_64": r"\block\b|xchg\w*\s.*\(|\w*fence|cmpxchg|xadd|^syscall|\bint\b|\brep\b",
    "aarch64": r"\bcas\w*|\bld\w*xr\w*|\bst\w*xr\w*|\bswp\w*|\bldadd\w*|\bdmb\b|\bdsb\b|\bsvc\b",
}
# On x86-64 every store is a release; where it has a name of its own that must be there.
MUST_HAVE = {
    "x86_64": rf"^mov\w*\s+%\w+, {layout.LANE_ATTEMPTS}\(%",
    "aarch64": r"\bstlr\b",
}
CALL = {"x86_64": r"\b(?:call|jmp)q?\s+(\*?)([^.\s]\S*)", "aarch64": r"\b(?:bl|blr|br)\s+()(\S+)"}
NAMED = {
    "x86_64": r"\$([A-Za-z_][\w.$]*), %",
    "aarch64": r":(?:abs_g\d\w*|lo12|got):([A-Za-z_][\w.$]*)",
}


@njit(nogil=True)
def _few(lane, value):
    return jit.record(lane, 7, value, queue_depth=value)


@njit(nogil=True)
def _few_timed(lane, value):
    return jit.record(lane, 7, jit.now_ns(), queue_depth=value)


@njit(nogil=True)
def _all(lane, value):
    return jit.record(
        lane, 7, value, value, value, value, value, value, value, value, value, value, value,
        value, value, value, value, health=1, weight=0.5,
    )  # fmt: skip


@njit(nogil=True)
def _all_timed(lane, value):
    return jit.record(
        lane, 7, jit.now_ns(), value, value, value, value, value, value, value, value, value,
        value, value, value, value, value, health=1, weight=0.5,
    )  # fmt: skip


@njit(nogil=True)
def _link(lane, value):
    return jit.link(lane, 7, value, value, 1, value, value)


@njit(nogil=True)
def _loop(lane, value):
    for i in range(value):
        jit.record(lane, 7, i, activation_count=i, processing_time_ns=value)


def _of_njit(function: Any) -> Callable[[], tuple[str, str]]:
    def compiled() -> tuple[str, str]:
        function.compile((int64, int64))
        [signature] = function.signatures
        entry = function.overloads[signature].fndesc.llvm_func_name
        return function.inspect_asm(signature), entry

    return compiled


def _of_builtin(make: Callable[[], Any]) -> Callable[[], tuple[str, str]]:
    def compiled() -> tuple[str, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_jit, "CACHE_FOLDER", None)  # what comes from the cache has no assembly
            made = make()
        return made._library.get_asm_str(), made.native_name

    return compiled


# Of CPython only what converts, and what hands over to it; nothing of that once a lane is touched.
_ASKED = {"PyLong_AsLongLong", "PyErr_Occurred", "PyErr_BadArgument"}
_METHOD = {"PyBool_FromLong", "PyObject_Vectorcall", "clock_gettime"}
_OF_RECORD = {"PyLong_AsUnsignedLongLong", "PyFloat_AsDouble"}

# Where a C function does not become a part of Numba's wrapper, that looks whether it raised.
_OF_NUMBA = {
    "numba_gil_ensure", "numba_gil_release", "numba_unpickle", "PyErr_SetNone", "PyErr_SetString",
    "PyErr_SetObject", "PyErr_WriteUnraisable", "PyUnicode_FromString", "PyExc_SystemError",
    "Py_DecRef", "PyExc_StopIteration", "PyErr_Format", "PyErr_Clear",
}  # fmt: skip

# One entry for each: assembly with the symbol where it begins, and what else it may call.
EMITTERS: dict[str, tuple[Callable[[], tuple[str, str]], set[str]]] = {
    "njit, one field": (_of_njit(_few), set()),
    "njit, one field and the clock": (_of_njit(_few_timed), {"clock_gettime"}),
    "njit, all fields": (_of_njit(_all), set()),
    "njit, all fields and the clock": (_of_njit(_all_timed), {"clock_gettime"}),
    "njit, a link": (_of_njit(_link), set()),
    "njit, in a loop": (_of_njit(_loop), set()),
    "builtin record": (
        _of_builtin(lambda: builtin.compile_record(builtins.plan())),
        _ASKED | _METHOD | _OF_RECORD,
    ),
    "builtin finish": (
        _of_builtin(lambda: activations.compile_finish(builtins.plan())),
        _ASKED | _METHOD,
    ),
    "builtin exit": (
        _of_builtin(lambda: activations.compile_exit(builtins.plan())),
        _ASKED | _METHOD | {"Py_IncRef"},
    ),
    "builtin append": (
        _of_builtin(lambda: packed.compile_append(builtins.plan())),
        _ASKED | {"PyLong_FromLongLong"},
    ),
    "builtin refuse": (_of_builtin(packed.compile_refuse), _ASKED | {"PyLong_FromLongLong"}),
}
# What publishes may ring, which tests/test_bell.py has nobody do who is not asked.
_RINGS = {"syscall"}
_SILENT = {"builtin refuse"}


def bodies(assembly: str) -> dict[str, list[str]]:
    """The instructions of each function, without labels and directives."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    functions = set(re.findall(r"\.type\s+([^,\s]+),[@%]function", assembly))
    for line in assembly.splitlines():
        label = re.match(r"\"?([^\s\"]+?)\"?:", line)
        if label and label[1].strip('"') in functions:
            current = found.setdefault(label[1], [])
        elif label and label[1].startswith(".Lfunc_end"):
            current = None
        elif current is not None and re.match(r"\s+[a-z]", line):
            current.append(line.strip())
    return found


def reached(assembly: str, entry: str) -> tuple[list[str], set[str]]:
    """All instructions that a call of `entry` can come to, and the strangers that it may call."""
    own, seen, waiting = bodies(assembly), set(), [entry]
    instructions: list[str] = []
    strangers: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in own:
            strangers.add(name)
            continue
        code = own[name]
        instructions += code
        calls = [found for line in code if (found := re.search(CALL[MACHINE], line))]
        for call in calls:
            is_by_register = "%" in call[2] or re.fullmatch(r"x\d+", call[2])
            if is_by_register:
                assert "(" not in call[2], f"a call through memory: {call[0]}"
            else:
                waiting.append(call[2].strip('"'))
        if calls:  # whatever address of a function is loaded here may be what is called
            names = {name for line in code for name in re.findall(NAMED[MACHINE], line)}
            waiting += [name for name in names if not name.startswith((".", "_ZN08NumbaEnv"))]
    return instructions, strangers


@pytest.mark.parametrize("name", EMITTERS)
def test_an_emitter_neither_locks_nor_calls(name: str) -> None:
    """No locked or fenced instruction, and nobody is called but RNTS, the clock and the bell."""
    compile_it, may_call = EMITTERS[name]
    assembly, entry = compile_it()
    code, strangers = reached(assembly, entry)

    assert [line for line in code if re.search(FORBIDDEN[MACHINE], line)] == []
    assert strangers - _OF_NUMBA == may_call | (set() if name in _SILENT else _RINGS)
    assert any(re.search(MUST_HAVE[MACHINE], line) for line in code), "this is no emitter"
    # The builtin has code of its own for each of its sixteen arguments; the rules of sampling,
    # which are jumped over where all is kept, are three hundred instructions.
    assert len(code) < (1_600 if name == "builtin record" else 750)


@njit(nogil=True)
def _breaks(value):
    return len(str(value))


def test_what_calls_others_is_found_out() -> None:
    """The check sees calls into the runtime, and locked instructions in a text that has them."""
    _breaks.compile((int64,))
    [signature] = _breaks.signatures
    entry = _breaks.overloads[signature].fndesc.llvm_func_name
    code, strangers = reached(_breaks.inspect_asm(signature), entry)
    assert any("NRT" in stranger for stranger in strangers)
    assert code
    bad = {"x86_64": "lock xaddq %rax, (%rdi)", "aarch64": "ldaxr x0, [x1]"}
    assert re.search(FORBIDDEN[MACHINE], bad[MACHINE])
