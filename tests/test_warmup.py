"""`rnts warmup` compiles what is not compiled yet, shows how far it is, and is quiet otherwise."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from capture_tools import run_python
from typer.testing import CliRunner, Result

from rnts import builtins, warmup, warmup_help
from rnts.__main__ import build
from rnts.errors import RntsError
from rnts.kernels import _cache, _jit
from rnts.warmup import Step

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `rnts warmup` with two made-up kernels, of which one may be compiled already."""
    monkeypatch.setenv("RNTS_VERBOSITY", "0")

    def run(*arguments: str, is_warm: bool, folder: Path | None = tmp_path) -> Result:
        steps = [Step("lane.drain", True), Step("window.fold", is_warm)]
        monkeypatch.setattr(warmup, "cache_folder", lambda: folder)
        monkeypatch.setattr(warmup, "import_kernels", lambda: len(steps))
        monkeypatch.setattr(warmup, "is_warm", lambda: is_warm)
        monkeypatch.setattr(warmup, "compile_kernels", lambda: iter(steps))
        return CliRunner().invoke(build(), ["warmup", *arguments])

    return run


def test_nothing_is_said_when_all_are_there(run: Run) -> None:
    """A second warm-up is quiet."""
    result = run(is_warm=True)

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_lines_where_there_is_no_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log gets one line before and one after, on stderr."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    result = run(is_warm=False)

    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == "rnts: compiling 2 kernels"
    assert "2 kernels are compiled and kept" in result.stderr.splitlines()[1]


def test_bar_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets a bar that counts the kernels and names the last one."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    result = run(is_warm=False)

    assert "compiling kernels" in result.stderr
    assert "2/2" in result.stderr
    assert "window.fold" in result.stderr


def test_document_says_what_was_done(run: Run, tmp_path: Path) -> None:
    """`--json` names the folder, and for each kernel whether it had to be compiled."""
    document = json.loads(run("--json", is_warm=False).stdout)

    assert document.pop("seconds") >= 0
    assert document == {
        "version": 1,
        "cache_folder": str(tmp_path),
        "kernels": {"lane.drain": "cached", "window.fold": "compiled"},
    }


def test_nothing_is_compiled_that_cannot_be_kept(run: Run) -> None:
    """Without a folder that can be written the command fails and says which variable helps."""
    result = run("--json", is_warm=False, folder=None)

    assert isinstance(result.exception, RntsError)
    assert "RNTS_CACHE_DIR" in str(result.exception)
    assert json.loads(result.stdout)["cache_folder"] is None


def test_real_kernels_are_all_found() -> None:
    """Every module of kernels/ is imported, and there is something to compile."""
    assert warmup.import_kernels() > 0
    assert warmup.wanted_cache_folder().is_absolute()


def test_cache_forgets_former_sources_only(tmp_path: Path) -> None:
    """Beyond ten, the oldest folders of kernels go; what else lies there is left alone."""
    names = [character * 16 for character in "0123456789ab"]
    for age, name in enumerate([*names, "photos"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (age, age))
    _cache._forget_old(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names[2:], "photos"])


def test_cache_is_an_absolute_folder_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative RNTS_CACHE_DIR counts from here; a user without a home has no cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNTS_CACHE_DIR", "cache")
    assert _cache.cache_root() == tmp_path / "cache"

    monkeypatch.delenv("RNTS_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "~")
    assert _cache.prepare_cache() is None
    assert not list(tmp_path.iterdir())


def test_a_helper_compiles_beside_this_process() -> None:
    """A second process takes kernels from the end; each is ready here once, in either case."""
    names = [name for name in _jit.entry_names() if name.startswith("rnts.kernels.varint.")]
    done: list[str] = []

    def compile_these(wanted: list[str]) -> Iterator[tuple[str, bool]]:
        if not done:  # the helper does all others meanwhile
            (thread,) = [one for one in threading.enumerate() if one.name == warmup_help.HELPER]
            thread.join(120)
        done.extend(wanted)
        yield from ((name, True) for name in wanted)

    steps = list(warmup_help.compile_with_help([*names, *names], compile_these))

    assert done[0] == names[0]
    assert sorted(done) == sorted([*names, *names])
    assert [is_cached for _, is_cached in steps] == [True] + [False] * (len(done) - 1)


def test_a_helper_that_fails_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the helper does not compile is compiled here."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    names = [f"kernel_{i}" for i in range(9)]
    steps = warmup_help.compile_with_help(names, lambda wanted: iter([(wanted[0], False)]))

    assert sorted(name for name, _ in steps) == names


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0") or _jit.CACHE_FOLDER is None,
    reason="nothing is compiled here that could be kept",
)
def test_what_was_compiled_ahead_serves_every_process() -> None:
    """A process finds all builtins in the cache, and a kernel that it calls without more ado."""
    builtins.prepared("record")  # as `rnts warmup` does it, and the kernels are ready, too
    found = run_python("""
        import numpy as np
        from rnts import builtins
        from rnts.kernels import varint

        kernel = varint.put_integers
        assert kernel(np.array([300]), np.zeros(9, np.uint8), 0) == 2
        print([name for name, from_cache in builtins.prepare() if not from_cache],
              kernel.stats.cache_hits.total(), kernel.stats.cache_misses.total())
    """)

    assert found.stdout == "[] 1 0\n", found.stderr
