"""The one door to Numba: how kernels are decorated, where their machine code is kept.

`@kernel("int64(int64[::1], int64)")` declares an entry point together with its one signature, so
that `compile_all` can build everything ahead and a call with other types fails instead of
compiling in the middle of the road. `@device` marks what only other kernels call, `@inlined` what
must not even cost a call, `@intrinsic` what writes LLVM's code itself, `@builtin` what CPython
calls.

The cache lies in a folder of its own for each state of the sources (`_cache.py`): Numba watches
only the file of the entry point and would miss a change in a kernel that it calls. Without a
writable folder each process compiles its own (Numba would raise at import; numba #5566).

A process that has called `prefer_objects` gets its entry points from ready machine code
(`_objects.py`) where there is some; then Numba is not imported, and nothing else can be called.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from itertools import compress
from pathlib import Path
from typing import Any

from rnts.kernels import _cache, _objects

OBJECTS: _objects.Objects | None = None
CACHE_FOLDER: Path | None = None
if _objects.is_preferred():
    OBJECTS = _objects.find(_cache.cache_folder())
if OBJECTS is not None:
    CACHE_FOLDER = _cache.cache_folder()
    with contextlib.suppress(OSError):
        os.utime(CACHE_FOLDER)  # in use: newer sources are not to push it out
else:
    import numba

    from rnts.kernels._parts import part_options

    CACHE_FOLDER = _cache.prepare_cache()
    if CACHE_FOLDER is not None:
        # Numba reads the variable in locators of processes that we start, too.
        numba.config.CACHE_DIR = str(CACHE_FOLDER)

# Nobody hands a kernel to C code, and only entry points are called by Python: what would be needed
# for that is a sixth of the time that compiling takes.
_OPTIONS: dict[str, Any] = {
    "nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True,
}  # fmt: skip
_entry_points: list[tuple[Any, str]] = []
_ready: set[Callable[..., Any]] = set()  # those that have the code of their signature


def kernel(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Decorate an entry point with its one signature; compiled on first use, kept on disk."""

    def decorate(function: Callable[..., Any]) -> Any:
        if OBJECTS is not None:
            return OBJECTS.function(f"{function.__module__}.{function.__qualname__}")
        dispatcher = numba.njit(cache=CACHE_FOLDER is not None, **_OPTIONS)(function)
        _entry_points.append((dispatcher, signature))
        return dispatcher

    return decorate


def device(function: Callable[..., Any]) -> Any:
    """Decorate a function that only kernels call; it is compiled as a part of each of them."""
    return function if OBJECTS is not None else _part(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Decorate a device function that becomes a part of its callers, whatever its size."""
    return function if OBJECTS is not None else _part(function, forceinline=True)


def _part(function: Callable[..., Any], **options: bool) -> Any:
    """A function for compiled callers; what Python calls, in tests, is compiled once more."""
    options |= {"no_cpython_wrapper": True, **part_options()}
    dispatcher = numba.njit(**_OPTIONS, **options)(function)
    if numba.config.DISABLE_JIT:
        return dispatcher

    class Part(type(dispatcher)):  # type: ignore[misc]
        _whole: Any = None

        def __call__(self, *arguments: Any) -> Any:
            self._whole = self._whole or numba.njit(**_OPTIONS)(function)
            return self._whole(*arguments)

    dispatcher.__class__ = Part  # or Numba would jump to the wrapper that is not there
    return dispatcher


def intrinsic(function: Callable[..., Any]) -> Any:
    """Decorate a function that returns the signature and the generator of a piece of code."""
    if OBJECTS is not None:
        return function
    from numba.extending import intrinsic

    return intrinsic(function)


def builtin(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a C function that CPython calls; compiled at once, kept on disk, holds the GIL."""
    options = {"cache": CACHE_FOLDER is not None, "error_model": "numpy"}
    compile_it: Callable[[Callable[..., Any]], Any] = numba.cfunc(signature, **options)
    return compile_it


def entry_names() -> list[str]:
    """The entry points that were imported so far, by module and name."""
    return [_name_of(dispatcher) for dispatcher, _ in _entry_points]


def _name_of(dispatcher: Any) -> str:
    return f"{dispatcher.py_func.__module__}.{dispatcher.__name__}"


def compile_all(names: Collection[str] | None = None) -> Iterator[tuple[str, bool]]:
    """Compile or load the entry points of these names, else all; yields (name, was in the cache).

    Afterwards a call with types that were not declared raises TypeError at once. A long-running
    process does this before it takes on work, so that nothing compiles on the road.
    """
    if OBJECTS is not None or numba.config.DISABLE_JIT:
        return
    for dispatcher, signature in _entry_points:
        name = _name_of(dispatcher)
        if names is not None and name not in names:
            continue
        # One that was compiled for a caller, which has a literal number for it, is not ready yet.
        if dispatcher.py_func not in _ready:
            _compile(dispatcher, signature)
            dispatcher.disable_compile()
            _ready.add(dispatcher.py_func)
        hits = sum(dispatcher.stats.cache_hits.values())
        yield name, hits > 0


def _compile(dispatcher: Any, signature: str) -> None:
    """Compile for the types that are declared, or load it.

    By the types, and not by their text: that is what a call of a process asks the cache for that
    has not done this before.
    """
    from numba.core.sigutils import normalize_signature

    arguments, returned = normalize_signature(signature)
    dispatcher.compile(arguments)
    found = dispatcher.overloads[arguments].signature.return_type
    assert found == returned, f"{_name_of(dispatcher)} is to return {returned}, and returns {found}"


def export_all() -> bool:
    """Keep the code of all kernels for processes without Numba; whether they can use it now.

    To be called when `compile_all` has gone through all modules of `rnts.kernels`.
    """
    from rnts.kernels._export import export

    assert CACHE_FOLDER is not None and OBJECTS is None
    is_ours = [d.py_func.__module__.startswith("rnts.kernels.") for d, _ in _entry_points]
    return export(list(compress(_entry_points, is_ours)), CACHE_FOLDER)


def entry_point_count() -> int:
    """How many entry points are imported so far."""
    return len(_entry_points)
