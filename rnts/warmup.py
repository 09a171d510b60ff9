"""Compiles every kernel ahead of its use, so that no process has to do it on the road."""

import logging
import os
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from rnts.kernels import _cache
from rnts.warmup_help import compile_with_help

log = logging.getLogger("rnts")


class Step(NamedTuple):
    """One kernel that is ready: its name, and whether its machine code was there already."""

    kernel: str
    from_cache: bool


def import_kernels() -> int:
    """Import all modules with kernels; returns how many entry points there are."""
    import rnts.kernels
    from rnts.kernels import _jit

    for module in pkgutil.iter_modules(rnts.kernels.__path__):
        import_module(f"rnts.kernels.{module.name}")
    import_module("rnts.demo_steps")  # kernels that report by the SDK stand above `rnts.kernels`
    return _jit.entry_point_count() + import_module("rnts.builtins").BUILTINS


def compile_kernels() -> Iterator[Step]:
    """Compile or load one kernel after the other; call `import_kernels` first."""
    from rnts.kernels import _jit

    names = _jit.entry_names()
    is_alone = is_warm() or _jit.CACHE_FOLDER is None or (os.cpu_count() or 1) < 2
    steps = _jit.compile_all(names) if is_alone else compile_with_help(names, _jit.compile_all)
    for name, from_cache in steps:
        yield Step(name.removeprefix("rnts.kernels."), from_cache)
    for name, from_cache in import_module("rnts.builtins").prepare():
        yield Step(f"builtin.{name}", from_cache)
    if _jit.CACHE_FOLDER is not None:
        _jit.export_all()
        _cache.warm_mark(_jit.CACHE_FOLDER).touch()


def prefer_objects() -> None:
    """Have this process load kernels without Numba where it can; before it imports any."""
    from rnts.kernels import _objects

    _objects.prefer_objects()


def load_kernels() -> None:
    """Make the kernels that this process has imported ready, from the cache where it is warm."""
    from rnts.kernels import _jit

    if _jit.CACHE_FOLDER is None:
        log.warning(
            "%s cannot be written, so this process compiles its kernels anew, for half a minute; "
            "make it writable or set RNTS_CACHE_DIR",
            wanted_cache_folder(),
        )
    for _ in _jit.compile_all():
        pass


def is_ready() -> bool:
    """Whether processes find code there that runs without Numba."""
    from rnts.kernels import _jit, _objects

    return _jit.CACHE_FOLDER is not None and _objects.find(_jit.CACHE_FOLDER) is not None


def cache_folder() -> Path | None:
    """Where the machine code of these sources is kept; None where no folder can be written."""
    from rnts.kernels import _jit

    return _jit.CACHE_FOLDER


def wanted_cache_folder() -> Path:
    """The folder that was tried, for telling a person what to make writable."""
    return _cache.cache_root()


def is_warm() -> bool:
    """Whether every kernel has machine code of this Python there; loads and compiles nothing."""
    return _cache.is_warm()
