"""Ready machine code: kernels that Numba compiled run without it, and only where that is safe."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from capture_tools import run_python
from llvmlite import binding
from numba import types

from rnts.kernels import _arguments, _export, _jit, _objects
from rnts.perf.processes import start_road
from rnts.perf.sandbox import sandbox
from rnts.query import Client

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0") or _jit.CACHE_FOLDER is None,
    reason="nothing is compiled here that could be kept",
)

# Tests of kernels that hold for both ways to run them; quick ones for every day.
QUICK = ("test_runs.py", "test_varint.py")
ALL = (
    *QUICK, "test_aggregator.py", "test_columns.py", "test_durations.py", "test_fold.py",
    "test_frame.py", "test_histogram.py", "test_neurons.py", "test_windows.py",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def ready(frozen_kernels: None) -> Path:
    """The file with the code of all kernels, written unless `rnts warmup` has done so."""
    assert _jit.CACHE_FOLDER is not None
    assert _jit.export_all(), "the kernels cannot be written for use without Numba"
    return _objects.path_in(_jit.CACHE_FOLDER)


def is_loaded(pid: int, module: str) -> bool:
    """Whether a process has one of Numba's extension modules in its memory."""
    return f"/{module}." in Path(f"/proc/{pid}/maps").read_text()


def test_the_file_has_every_kernel(ready: Path) -> None:
    """Each entry point of rnts.kernels can be run from the file, and nothing else is there."""
    objects = _objects.find(ready.parent)
    kernels = [dispatcher.py_func for dispatcher, _ in _jit._entry_points]
    names = [_export.full_name(function) for function in kernels]

    assert objects is not None
    assert sorted(objects.names()) == sorted(n for n in names if n.startswith("rnts.kernels."))


def test_tests_of_kernels_pass_without_numba(size: Callable[[int, int], int]) -> None:
    """What is proven of kernels holds for ready code, too: the same tests pass with it."""
    files = [f"tests/{name}" for name in (QUICK if size(1, 2) == 1 else ALL)]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files]
    environment = {**os.environ, "RNTS_TEST_KERNELS": "ready"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False
    )

    assert done.returncode == 0, done.stdout


def test_agent_and_aggregator_do_without_numba() -> None:
    """The two long-running processes find each other, and neither has Numba's dispatcher loaded."""
    with sandbox() as box, Client() as client:
        for process in start_road(box, client, "--no-host"):
            assert is_loaded(process.pid, "_dynfunc")
            assert not is_loaded(process.pid, "_dispatcher")


WITHOUT_NUMBA = """
    import json, os, sys
    import numpy as np
    from rnts.warmup import prefer_objects

    prefer_objects()
    from rnts.kernels.varint import put_integers

    out = np.zeros(16, np.uint8)
    end = put_integers(np.array([1, -1, 300]), out, 0)
    print(json.dumps({"numba": "numba" in sys.modules, "bytes": out[:end].tolist()}))
"""


@pytest.mark.parametrize("numba", [False, True], ids=["ready code", "Numba"])
def test_a_person_who_wants_numba_gets_it(numba: bool) -> None:
    """A variable that is meant for Numba has Numba run the kernels; the results are the same."""
    variables = {"NUMBA_DEBUG_CACHE": "0"} if numba else {}
    answer = json.loads(run_python(WITHOUT_NUMBA, **variables).stdout)

    assert answer == {"numba": numba, "bytes": [2, 1, 216, 4]}


def test_without_the_file_numba_does_the_work(tmp_path: Path, ready: Path) -> None:
    """In a cache that has no ready code, a process compiles as ever."""
    variables = {"RNTS_CACHE_DIR": str(tmp_path)}
    answer = json.loads(run_python(WITHOUT_NUMBA, **variables).stdout)

    assert answer == {"numba": True, "bytes": [2, 1, 216, 4]}


def _cut(content: bytes) -> bytes:
    return content[:-1]


def _flip(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


def _misplace(content: bytes) -> bytes:
    return content.replace(b'"start": ', b'"start": 1', 1)


@pytest.mark.parametrize(
    "damage",
    [_cut, _flip, _misplace, lambda content: b"", lambda content: b"[]\nx"],
    ids=["cut", "flipped bit", "misplaced", "empty", "another document"],
)
def test_a_file_that_is_not_right_is_left_alone(
    damage: Callable[[bytes], bytes], tmp_path: Path, ready: Path
) -> None:
    """Damaged code is not run: there is none, as far as one sees."""
    assert ready == _objects.path_in(ready.parent)
    (tmp_path / ready.name).write_bytes(damage(ready.read_bytes()))

    assert _objects.find(tmp_path) is None


def test_code_is_for_one_kind_of_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another processor, Python, NumPy or Numba looks for a file of another name."""
    names = {_objects.path_in(tmp_path)}
    for owner, name, value in (
        (binding, "get_host_cpu_name", lambda: "abacus"),
        (sys, "version", "3.99"),
        (np, "__version__", "9.9"),
        (_objects, "_extensions", lambda: [Path(__file__)]),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            names.add(_objects.path_in(tmp_path))

    assert len(names) == 5


VALUES, OUT = np.zeros(4, np.int64), np.zeros(64, np.uint8)
READ_ONLY = np.zeros(64, np.uint8)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "arguments",
    [
        (VALUES, OUT),
        (VALUES, OUT, 0, 0),
        (VALUES.astype(np.float64), OUT, 0),
        (VALUES.astype(">i8"), OUT, 0),
        (np.zeros(8, np.int64)[::2], OUT, 0),
        (VALUES.reshape(2, 2), OUT, 0),
        (VALUES, READ_ONLY, 0),
        (VALUES.tolist(), OUT, 0),
        (VALUES, OUT, 0.5),
        (VALUES, OUT, None),
    ],
    ids=[
        "too few", "too many", "floats", "other byte order", "strided", "two dimensions",
        "read-only", "a list", "a fraction", "None",
    ],
)  # fmt: skip
def test_other_arguments_are_refused(arguments: tuple[Any, ...], ready: Path) -> None:
    """Ready code takes what was declared; anything else raises TypeError and is not read."""
    objects = _objects.find(ready.parent)
    assert objects is not None
    put = objects.function("rnts.kernels.varint.put_integers")

    with pytest.raises(TypeError):
        put(*arguments)
    assert put(VALUES, OUT, 0) == 4


def test_tuples_are_looked_into() -> None:
    """A tuple of another length, or with one wrong part, is refused by name."""
    check = _arguments.check_of("kernel", [{"dtype": "int64", "ndim": 1}, "float"])
    check((VALUES, 1.5))

    for wrong in ((VALUES,), (VALUES, "1"), (OUT, 1.5), [VALUES, 1.5]):
        with pytest.raises(TypeError, match="kernel takes"):
            check(wrong)


class Pair(NamedTuple):
    """A tuple as good as another."""

    values: Any
    factor: Any


KINDS = [[{"dtype": "int64", "ndim": 1}, "float"], "int", [{"dtype": "uint8", "ndim": 1}]]


@pytest.mark.parametrize(
    "arguments",
    [
        ((VALUES, 1.5), 3, (OUT,)),
        (Pair(VALUES, 1.5), 3, (OUT,)),
        ((VALUES, 2), np.int64(3), (OUT,)),
        ((VALUES, np.float32(2)), True, (OUT,)),
        ((np.zeros(4, np.dtype({"names": ["a"], "formats": ["<i8"]}))["a"], 1.5), 3, (OUT,)),
    ],
    ids=["usual", "named tuple", "integers", "other scalars", "a field's dtype"],
)
def test_what_is_as_good_goes_through(arguments: tuple[Any, ...]) -> None:
    """The kernel gets the very arguments, in their order, and gives back what it returns."""
    seen: list[tuple[Any, ...]] = []
    call = _arguments.checked(lambda *given: seen.append(given) or 7, "kernel", KINDS)

    assert call(*arguments) == 7
    assert all(mine is theirs for mine, theirs in zip(arguments, seen[0], strict=True))


@pytest.mark.parametrize(
    "arguments",
    [
        ([VALUES, 1.5], 3, (OUT,)),
        ((VALUES, 1.5, 2.5), 3, (OUT,)),
        ((OUT, 1.5), 3, (OUT,)),
        ((VALUES.reshape(2, 2), 1.5), 3, (OUT,)),
        ((np.int64(1), 1.5), 3, (OUT,)),
        ((VALUES, 1.5), 3, OUT),
        ((VALUES, 1.5), 3, (OUT[::2],)),
        ((VALUES, 1.5), "3", (OUT,)),
        (None, 3, (OUT,)),
    ],
    ids=[
        "a list",
        "too long",
        "wrong part",
        "dimensions",
        "a scalar",
        "no tuple",
        "strided",
        "a string",
        "None",
    ],
)
def test_nothing_else_reaches_the_kernel(arguments: tuple[Any, ...]) -> None:
    """What is wrong is refused before compiled code sees it."""
    call = _arguments.checked(lambda *given: pytest.fail("it was called"), "kernel", KINDS)

    with pytest.raises(TypeError):
        call(*arguments)


@pytest.mark.parametrize(
    "kind",
    [
        types.Array(types.int64, 1, "A"),
        types.Array(types.int64, 1, "C", readonly=True),
        types.int32,
        types.unicode_type,
    ],
)
def test_types_that_cannot_be_checked_are_not_exported(kind: Any) -> None:
    """A kernel with an argument that nobody would check stays with Numba."""
    with pytest.raises(ValueError, match="cannot be checked"):
        _export.kind_of(kind)


def test_code_that_is_not_proven_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the process that tries the code dies, no file is left and Numba stays in charge."""
    content = _export._content(_ours())
    monkeypatch.setattr(_export, "_content", lambda entry_points: content[:-1])

    assert not _export.export(_ours(), tmp_path)
    assert list(tmp_path.iterdir()) == []

    monkeypatch.setattr(_export, "_content", lambda entry_points: content)

    assert _export.export(_ours(), tmp_path)
    assert list(tmp_path.iterdir()) == [_objects.path_in(tmp_path)]


def test_a_numba_that_is_built_differently_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Export looks into Numba's private parts; without them it says no, and raises nothing."""

    def look(*_: Any) -> None:
        raise AttributeError("no such cache")

    monkeypatch.setattr(_export, "_compiled", look)

    assert not _export.export(_ours(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def _ours() -> list[tuple[Any, str]]:
    name = "rnts.kernels.varint"
    return [entry for entry in _jit._entry_points if entry[0].py_func.__module__ == name]


def test_warmup_leaves_ready_code(ready: Path, tmp_path: Path) -> None:
    """`rnts warmup` writes the file anew where it is missing; the cache is a copy."""
    folder = tmp_path / ready.parent.name
    shutil.copytree(ready.parent, folder, ignore=shutil.ignore_patterns(ready.name))
    assert _objects.find(folder) is None

    environment = {**os.environ, "RNTS_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "rnts", "warmup"]
    subprocess.run(command, env=environment, check=True, timeout=600)

    assert _objects.find(folder) is not None


CALLER = """
    from rnts.kernels import _export, _jit, varint

    @_jit.device
    def call(values, out):
        return varint.put_integers(values, out, 0)

    put = varint.put_integers
    call.compile("int64(int64[::1], uint8[::1])")
    assert len(put.overloads) == 1, put.overloads
    list(_jit.compile_all())
    entry, code = _export._compiled(put, dict(_jit._entry_points)[put])
    print(len(put.overloads), len(code) > 0)
"""


def test_what_a_caller_has_compiled_does_not_count() -> None:
    """A kernel that was compiled for a caller's literal number still gets its own signature."""
    answer = run_python(CALLER)

    assert answer.stdout.split() == ["2", "True"], answer.stderr
