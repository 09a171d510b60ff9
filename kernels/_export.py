"""Writes the machine code that Numba has compiled into the file that `_objects.py` runs it from.

This is the one place that looks into Numba's private parts: the entries of its cache. A file gets
its name only after a process of its own has linked every kernel and called some; where anything
fails, in a Numba that is built differently, there is no file and processes load Numba as ever.
"""

import hashlib
import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rnts.kernels import _objects

_PROOF_S = 60.0
# What may come of looking into a Numba that is built differently, or of a full disk.
_FAILURES = (
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.PickleError,
    subprocess.SubprocessError,
)

log = logging.getLogger("rnts.kernels")


def export(entry_points: list[tuple[Any, str]], folder: Path) -> bool:
    """Write the code of compiled kernels, (dispatcher, signature) each; whether it can be used.

    What is there already is left as it is.
    """
    if _objects.find(folder) is not None:
        return True
    try:
        path = _objects.path_in(folder)
        content = _content(entry_points)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(content)
        try:
            _prove(Path(file.name))
            os.replace(file.name, path)
        finally:
            Path(file.name).unlink(missing_ok=True)
    except _FAILURES as error:
        # The kernels themselves are compiled and kept all the same.
        log.info(
            "processes load Numba, since kernels cannot be written for use without it: %s", error
        )
        return False
    return True


def _content(entry_points: list[tuple[Any, str]]) -> bytes:
    """The file: a line with the digest, a line that says what is where, then all the code."""
    kernels: dict[str, Any] = {}
    code = b""
    for dispatcher, declared in entry_points:
        entry, piece = _compiled(dispatcher, declared)
        kernels[full_name(dispatcher.py_func)] = {**entry, "start": len(code), "size": len(piece)}
        code += piece
    content = json.dumps(kernels).encode() + b"\n" + code
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def full_name(function: Any) -> str:
    """The name by which a kernel is found again."""
    return f"{function.__module__}.{function.__qualname__}"


def _compiled(dispatcher: Any, declared: str) -> tuple[dict[str, Any], bytes]:
    """What Numba's cache has for a kernel: symbols and types, and the object code."""
    from numba.core.sigutils import normalize_signature

    # By its signature: a caller that is compiled gives a literal number a type of its own.
    arguments, _ = normalize_signature(declared)
    result = dispatcher.overloads[arguments]
    cache = dispatcher._cache
    key = cache._index_key(arguments, result.target_context.codegen())
    entry = cache._cache_file.load(key)
    (_, form, data), descriptor, environment, signature, _, _, _, reload_init, others = entry
    if form != "object" or reload_init or any(it.consts for it in (environment, *others)):
        raise ValueError(f"{full_name(dispatcher.py_func)} needs more than its code")
    kinds = [kind_of(argument) for argument in signature.args]
    symbols = (descriptor.llvm_cpython_wrapper_name, descriptor.env_name)
    return dict(zip(("wrapper", "environment"), symbols, strict=True)) | {"arguments": kinds}, data[
        0
    ]


def kind_of(numba_type: Any) -> Any:
    """What `_objects` is to check of an argument; raises ValueError for types without a check."""
    from numba import types

    if isinstance(numba_type, types.Array) and numba_type.layout == "C" and numba_type.mutable:
        return {"dtype": str(numba_type.dtype), "ndim": numba_type.ndim}
    if isinstance(numba_type, types.BaseTuple):
        return [kind_of(part) for part in numba_type]
    if numba_type in (types.int64, types.uint64):
        return "int"
    if numba_type == types.float64:
        return "float"
    raise ValueError(f"arguments of type {numba_type} cannot be checked")


def _prove(path: Path) -> None:
    """Try the file in a process of its own, which may die of it; raises RuntimeError if it does."""
    command = [sys.executable, "-m", __name__, str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_PROOF_S)
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise RuntimeError(f"the proof ended with {done.returncode}: {words[0]}")


def prove(path: Path) -> None:
    """Link all kernels, enter each, and run two of them; raises where something is not right."""
    import numpy as np

    objects = _objects.read(path)
    for name in objects.names():
        try:
            objects.native(name)()
        except TypeError:
            continue  # so its wrapper runs: it counts its arguments first
        raise AssertionError(f"{name} takes no arguments")
    values, out = np.array([0, -1, 300, -(1 << 63)]), np.zeros(64, np.uint8)
    put = objects.function("rnts.kernels.varint.put_integers")
    get = objects.function("rnts.kernels.varint.get_integers")
    again = np.zeros_like(values)
    end = put(values, out, 0)
    assert end == get(out, 0, end, again) and values.tolist() == again.tolist()


if __name__ == "__main__":
    prove(Path(sys.argv[1]))
