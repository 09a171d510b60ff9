"""The one door to Numba: how kernels are decorated, where their machine code is kept.

`@kernel("int64(int64[::1], int64)")` declares an entry point together with its one signature, so
that `compile_all` can build everything ahead and a call with other types fails instead of
compiling in the middle of the road. `@device` marks what only other kernels call.

The cache lies in a folder named by the hash of all kernel sources: Numba watches only the file of
the entry point and would miss a change in a kernel that it calls. Without a writable folder the
kernels are compiled anew in each process (Numba would raise at import; numba #5566).
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba import njit

_CACHE_GENERATIONS = 3  # folders of former sources that are kept for processes still running


def cache_root() -> Path:
    """The folder that holds compiled kernels: $RNTS_CACHE_DIR, else XDG's cache folder."""
    if chosen := os.environ.get("RNTS_CACHE_DIR"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "rnts" / "numba"


def source_hash() -> str:
    """A name for these kernel sources and this Numba."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _prepare_cache() -> Path | None:
    """Make the cache folder, private to this user, and forget old ones; None if there is none."""
    folder = cache_root() / source_hash()
    if not folder.is_absolute():
        return None  # a user without a home: "~" stayed as it was
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        os.utime(folder)
    except OSError:
        return None
    _forget_old(folder.parent)
    return folder


def _forget_old(root: Path) -> None:
    """Remove the folders of former sources, and nothing else that a person may keep in `root`."""
    # Another process may be removing the same ones.
    with contextlib.suppress(OSError):
        ours = root.glob("[0-9a-f]" * 16)
        for path in sorted(ours, key=lambda path: path.stat().st_mtime)[:-_CACHE_GENERATIONS]:
            shutil.rmtree(path, ignore_errors=True)


CACHE_FOLDER = _prepare_cache()
if CACHE_FOLDER is not None:
    # Numba reads the variable in locators of processes that we start, too.
    numba.config.CACHE_DIR = str(CACHE_FOLDER)

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_entry_points: list[tuple[Any, str]] = []


def kernel(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Decorate an entry point with its one signature; compiled on first use, kept on disk."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(cache=CACHE_FOLDER is not None, **_OPTIONS)(function)
        _entry_points.append((dispatcher, signature))
        return dispatcher

    return decorate


def device(function: Callable[..., Any]) -> Any:
    """Decorate a function that only kernels call; it is compiled as a part of each of them."""
    return njit(**_OPTIONS)(function)


def compile_all() -> Iterator[tuple[str, bool]]:
    """Compile or load each entry point that was imported; yields (name, came from the cache)."""
    if numba.config.DISABLE_JIT:
        return
    for dispatcher, signature in _entry_points:
        if not dispatcher.signatures:
            dispatcher.compile(signature)
            dispatcher.disable_compile()
        hits = sum(dispatcher.stats.cache_hits.values())
        yield f"{dispatcher.py_func.__module__}.{dispatcher.__name__}", hits > 0


def entry_point_count() -> int:
    """How many entry points are imported so far."""
    return len(_entry_points)
