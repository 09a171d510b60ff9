"""The roof: what `rnts` imports, how it ends, and how it speaks to people and to programs."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_tools import here
from typer.testing import CliRunner

from rnts import __main__ as roof
from rnts import __version__, errors, logs

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"numba", "numpy", "zmq", "pydantic", "psutil", "yaml", "lz4", "rich"}
OF_TYPER = {"pydantic"}  # typer loads it in order to read the options of a command


def rnts(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `rnts ARGUMENTS` as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "rnts", *arguments],
        check=False,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        text=True,
    )


@pytest.fixture
def untouched_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The logger of RNTS; handlers, levels and variables are put back afterwards."""
    monkeypatch.setenv(logs.VARIABLE, "0")
    monkeypatch.delenv("RNTS_DEBUG", raising=False)
    root, ours = logging.getLogger(), logging.getLogger("rnts")
    handlers, level = list(root.handlers), ours.level
    yield ours
    root.handlers[:] = handlers
    ours.setLevel(level)


def test_every_command_is_on_the_table() -> None:
    """The table has each file of commands/ that is no private part, and nothing else."""
    files = (path.stem for path in (ROOT / "commands").glob("*.py"))

    assert sorted(roof.COMMANDS) == sorted(name for name in files if not name.startswith("_"))


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [(["--help"], HEAVY), (["--version"], HEAVY), (["warmup", "--help"], HEAVY - OF_TYPER)],
)
def test_help_imports_nothing_heavy(arguments: list[str], heavy: set[str]) -> None:
    """Help costs no numba, numpy, zmq, pydantic, psutil or rich: that keeps it quick."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rnts", *arguments],
        check=True,
        capture_output=True,
        cwd=ROOT,
        text=True,
    )
    imported = {name.split(".")[0] for name in re.findall(r"\| +(\S+)$", done.stderr, re.MULTILINE)}

    assert "typer" in imported
    assert not imported & heavy


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["agent"], ["agent"]),
        (["-q", "--verbose", "rules", "check", "agent"], ["rules"]),
        (["-h", "agent"], roof.COMMANDS),
        (["agnt", "agent"], roof.COMMANDS),
        (["-q"], roof.COMMANDS),
    ],
)
def test_only_the_command_that_is_called_is_read(words: list[str], wanted: list[str]) -> None:
    """Options of all others cost a start a tenth; help and suggestions know all of them."""
    assert roof.wanted(words) == wanted


def test_help_lists_every_command() -> None:
    """`rnts --help` goes to stdout, ends with 0 and names each command with what it does."""
    done = rnts("--help")

    assert done.returncode == 0
    assert done.stderr == ""
    for name in roof.COMMANDS:
        assert re.search(rf"^  {name}  +\w", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", roof.COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """`rnts COMMAND --help` ends with 0 and says how to call it."""
    done = CliRunner().invoke(roof.build([name]), [name, "-h"], prog_name="rnts")

    assert done.exit_code == 0
    assert f"Usage: rnts {name}" in done.stdout


def test_version() -> None:
    """`rnts --version` is one line for programs to read."""
    assert rnts("--version").stdout == f"rnts {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(["docter"], "Did you mean 'doctor'?"), (["doctor", "--jsn"], "--json")],
)
def test_wrong_usage_is_2_with_a_suggestion(arguments: list[str], hint: str) -> None:
    """A mistyped command or option ends with 2, says what was meant, and prints no data."""
    done = rnts(*arguments)

    assert done.returncode == 2
    assert hint in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RntsError("it broke"), 1),
        (errors.UsageError("it broke"), 2),
        (errors.ConfigError(["it broke"]), 3),
        (errors.ConnectError("it broke"), 4),
    ],
)
def test_errors_become_exit_codes(
    error: errors.RntsError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    untouched_logging: logging.Logger,
) -> None:
    """An error of ours is a line on stderr and its exit code, without a traceback."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(roof, "build", lambda names: lambda prog_name: fail())
    with pytest.raises(SystemExit) as ended:
        roof.main()

    assert ended.value.code == code
    assert capsys.readouterr() == ("", "rnts: it broke\n")


def test_debugging_adds_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under RNTS_DEBUG=1 the message is followed by where it came from."""
    monkeypatch.setenv("RNTS_DEBUG", "1")
    try:
        raise errors.ConfigError(["first", "second"])
    except errors.ConfigError as error:
        assert roof.report(error) == 3

    said = capsys.readouterr().err
    assert said.startswith("rnts: first\nrnts: second\n")
    assert "Traceback" in said
    assert "test_cli.py" in said


def test_interrupt_is_130(
    monkeypatch: pytest.MonkeyPatch, untouched_logging: logging.Logger
) -> None:
    """Ctrl-C in a command ends with 130 and no traceback."""

    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rnts.warmup.cache_folder", interrupt)
    monkeypatch.setattr(sys, "argv", ["rnts", "warmup"])
    with pytest.raises(SystemExit) as ended:
        roof.main()

    assert ended.value.code == 130


def test_an_interrupt_of_the_start_is_130(
    monkeypatch: pytest.MonkeyPatch, untouched_logging: logging.Logger
) -> None:
    """Ctrl-C while commands are still being loaded, which takes a moment: no traceback either."""

    def interrupt(names: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(roof, "build", interrupt)
    with pytest.raises(SystemExit) as ended:
        roof.main()
    assert ended.value.code == 130


def test_closed_pipe_ends_quietly() -> None:
    """Where the reader of stdout has gone, as in `rnts --help | true`, nothing is said."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "rnts", "--help"],
        check=False,
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)

    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.parametrize("command", ["doctor"])
def test_colors_are_left_out_on_request(command: str) -> None:
    """NO_COLOR wins over a terminal that could show colours."""
    plain = here(command, TERM="xterm", NO_COLOR="1", FORCE_COLOR="1").stdout
    colored = here(command, TERM="xterm", FORCE_COLOR="1").stdout

    assert "\x1b[32m" in colored
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain)


@pytest.mark.parametrize(
    ("verbosity", "heard"),
    [(logs.QUIET, ["w"]), (logs.NORMAL, ["i", "w"]), (logs.VERBOSE, ["d", "i", "w"])],
)
def test_verbosity_decides_what_is_heard(
    verbosity: int,
    heard: list[str],
    untouched_logging: logging.Logger,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """-q keeps warnings, -v adds what helps in finding a fault; both reach child processes."""
    logs.set_up("rnts agent", verbosity)
    logger = logging.getLogger("rnts.agent")
    logger.debug("d")
    logger.info("i")
    logger.warning("w")

    lines = capsys.readouterr().err.splitlines()
    assert [line[-1] for line in lines] == heard
    assert os.environ[logs.VARIABLE] == str(verbosity)
    assert logs.inherited_verbosity() == verbosity


def test_log_record_is_one_line_with_its_speaker(
    untouched_logging: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line says who speaks; breaks within it are escaped, errors are named."""
    logs.set_up("rnts agent")
    try:
        raise ValueError("bad\nvalue")
    except ValueError:
        untouched_logging.exception("two\nlines")

    said = capsys.readouterr().err
    pattern = rf"rnts agent\[{os.getpid()}\] \d\d:\d\d:\d\d error: (.*)\n"
    found = re.fullmatch(pattern, said)
    assert found is not None
    assert found[1] == r"two\nlines: ValueError: bad\nvalue"


def test_verbose_log_has_tracebacks(
    untouched_logging: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """With -v an error's traceback follows its line."""
    logs.set_up("rnts agent", logs.VERBOSE)
    try:
        raise ValueError("bad")
    except ValueError:
        untouched_logging.exception("failed")

    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "meant"), [("7", 1), ("-7", -1), ("loud", 0), ("", 0)])
def test_inherited_verbosity_stands_nonsense(
    monkeypatch: pytest.MonkeyPatch, value: str, meant: int
) -> None:
    """A variable that says nothing sensible means the nearest, or the normal, verbosity."""
    monkeypatch.delenv("RNTS_DEBUG", raising=False)
    monkeypatch.setenv(logs.VARIABLE, value)

    assert logs.inherited_verbosity() == meant
