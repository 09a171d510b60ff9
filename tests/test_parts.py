"""Parts of kernels: linked into their callers, with no machine code of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from rnts.kernels import _jit, _parts
if sys.argv[1] == "foreign":
    _parts._NEEDED += ("something_else",)

@_jit.device
def inner(x):
    return x * 3

@_jit.inlined
def outer(x):
    return inner(x) + 1

@_jit.kernel("int64(int64)")
def entry(x):
    return outer(x) * 2

assert entry(5) == 32
parts = [found.library for part in (inner, outer) for found in part.overloads.values()]
kinds = {type(part).__name__ for part in parts}
names = [[each.name for each in part.get_defined_functions()] for part in parts]
addresses = [part.get_pointer_to_function(those[0]) for part, those in zip(parts, names)]
assert outer(5) == 16  # Python calls one that is compiled once more
print(len(parts), *kinds, any(addresses))
"""


@pytest.mark.parametrize(
    ("inside", "said"), [("known", "2 PartLibrary False"), ("foreign", "2 JITCodeLibrary True")]
)
def test_a_part_is_compiled_into_its_callers_only(tmp_path: Path, inside: str, said: str) -> None:
    """No machine code is made of a part; a Numba that is otherwise inside compiles them as ever."""
    (tmp_path / "program.py").write_text(_PROGRAM)
    program = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), inside],
        env={**os.environ, "RNTS_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "0"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert program.returncode == 0, program.stderr
    assert program.stdout.strip() == said
