"""Where the machine code of kernels is kept; asked also by programs that must not load Numba.

The folder is named by the hash of all kernel sources and Numba's version. A mark in it says that
every kernel was compiled for a Python, so that nobody has to load Numba to find out.
"""

import contextlib
import hashlib
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

_CACHE_GENERATIONS = 10  # folders of other sources that are kept: several checkouts take turns


def cache_root() -> Path:
    """The folder that holds compiled kernels: $RNTS_CACHE_DIR, else XDG's cache folder."""
    if chosen := os.environ.get("RNTS_CACHE_DIR"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "rnts" / "numba"


def source_hash() -> str:
    """A name for these kernel sources and this Numba."""
    digest = hashlib.sha256(_numba_version())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _numba_version() -> bytes:
    """What tells this Numba from others: the file in which it keeps its version."""
    spec = PathFinder.find_spec("numba")
    if spec is not None and spec.origin is not None:
        with contextlib.suppress(OSError):
            return Path(spec.origin).with_name("_version.py").read_bytes()
    from importlib.metadata import version  # 50 ms

    return version("numba").encode()


def cache_folder() -> Path:
    """The folder for these sources, whether it is there or not."""
    return cache_root() / source_hash()


def prepare_cache() -> Path | None:
    """Make the cache folder, private to this user, and forget old ones; None if there is none."""
    import tempfile  # with what it imports 8 ms, and `is_warm` does without

    folder = cache_folder()
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
    import shutil

    # Another process may be removing the same ones.
    with contextlib.suppress(OSError):
        ours = root.glob("[0-9a-f]" * 16)
        for path in sorted(ours, key=lambda path: path.stat().st_mtime)[:-_CACHE_GENERATIONS]:
            shutil.rmtree(path, ignore_errors=True)


def warm_mark(folder: Path) -> Path:
    """The file that says that all kernels in `folder` are compiled for this Python."""
    return folder / f"warm-py{sys.version_info[0]}{sys.version_info[1]}{sys.abiflags}"


def is_warm() -> bool:
    """Whether all kernels of these sources are compiled; loads and compiles nothing."""
    return warm_mark(cache_folder()).exists()
