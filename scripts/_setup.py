"""Makes .venv what pyproject.toml and constraints.txt ask for, once; stands being killed and raced.

Usage: `_setup.py run|dev [QUESTION]`. `dev` adds the tools of scripts/test. With one of QUESTIONS
the exit code is the answer. Only the standard library is used, and all talk goes to stderr: stdout
belongs to the program that is started afterwards.

`.venv/rnts-stamp` holds what the environment was made from. It is missing while an installation is
under way, so a .venv that was begun (`.venv/rnts-begun`) and has no stamp is made anew. One that a
person made by other means has neither; it is kept and installed into.
"""

import fcntl
import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
VENV = REPOSITORY / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "rnts-stamp"
BEGUN = VENV / "rnts-begun"
WARM = VENV / "rnts-warm"
LOG = VENV / "rnts-setup.log"
EXTRAS = {"run": "", "dev": "[dev]"}
LOG_LINES_SHOWN = 15
CACHE_VARIABLES = ("RNTS_CACHE_DIR", "XDG_CACHE_HOME", "HOME")


class SetupError(Exception):
    """Set-up cannot go on; the message says why and what to do."""


def say(text: str) -> None:
    """One line to the person at the terminal."""
    print(f"rnts: {text}", file=sys.stderr, flush=True)


def digest(*parts: bytes) -> str:
    """A name for these inputs."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def place() -> str:
    """A .venv does not outlive a change of this: the version of its Python, and where it lies."""
    return f"Python {sys.version_info[0]}.{sys.version_info[1]} in {REPOSITORY}"


def requirements_key() -> str:
    """What is to be installed, and by which version of this program."""
    files = (REPOSITORY / "pyproject.toml", REPOSITORY / "constraints.txt", Path(__file__))
    return digest(*(file.read_bytes() for file in files))


def kernel_key() -> str:
    """What the compiled kernels depend on: the environment, the sources, the folder they go to."""
    inputs = (STAMP, *sorted((REPOSITORY / "kernels").glob("*.py")))
    folder = "\n".join(os.environ.get(name, "") for name in CACHE_VARIABLES)
    return digest(f"{os.getuid()} {folder}".encode(), *(path.read_bytes() for path in inputs))


def read_json(path: Path) -> dict[str, str]:
    """The object in `path`; empty where there is none or a torn one."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def replace(path: Path, content: dict[str, str]) -> None:
    """Write `content` whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content))
    new.replace(path)


def is_sound() -> bool:
    """Whether .venv is worth installing into: finished by us at this place, or made by a person."""
    return read_json(STAMP).get("place") == place() if BEGUN.exists() else True


def is_installed(level: str) -> bool:
    """Whether .venv holds what `level` asks for."""
    stamp = read_json(STAMP)
    current = stamp.get("place") == place() and stamp.get("key") == requirements_key()
    return current and stamp.get("level") in (level, "dev")


def write_stamp(level: str) -> bool:
    """Remember that `level` was installed; always true."""
    replace(STAMP, {"place": place(), "key": requirements_key(), "level": level})
    return True


def is_warm() -> bool:
    """Whether these kernels were compiled here before and their folder still stands."""
    warm = read_json(WARM)
    return warm.get("key") == kernel_key() and Path(warm.get("folder", "")).is_dir()


def ask(level: str, option: str) -> bool:
    """The answer of the Python in .venv to one of QUESTIONS; no if there is none that runs."""
    try:
        command = [PYTHON, "-IS", __file__, level, option]
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


@contextmanager
def lock() -> Iterator[int]:
    """Hold the checkout's lock; pip inherits it, so an orphan of a killed set-up is waited for."""
    descriptor = os.open(REPOSITORY, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work here; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def make_environment() -> None:
    """Leave a .venv with a Python that runs; what a person made is kept, what is broken is not."""
    if ask("run", "--sound"):
        return
    say(f"{'repairing' if VENV.exists() else 'making'} .venv with Python {sys.version.split()[0]}")
    if VENV.is_symlink() or VENV.is_file():
        VENV.unlink()
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir()
    BEGUN.touch()
    venv.EnvBuilder(symlinks=True, with_pip=True).create(VENV)


def progress(line: str) -> str | None:
    """What a line of pip's means to a person, if anything."""
    if line.startswith("Collecting "):
        return f"fetching {re.split('[<>=!~ ]', line[11:])[0]}"
    if line.startswith("Installing collected packages"):
        return f"unpacking {line.count(',') + 1} packages"
    return None


def pip(arguments: list[str], lock_descriptor: int) -> None:
    """Run pip install; on a terminal one line shows how far it is, the rest goes to the log."""
    options = ["--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    options += ["--no-compile", "-c", str(REPOSITORY / "constraints.txt")]
    process = subprocess.Popen(
        [PYTHON, "-I", "-m", "pip", "install", *options, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"},
        pass_fds=[lock_descriptor],
    )
    assert process.stdout is not None
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    lines: list[str] = []
    with process.stdout as output, LOG.open("a") as log:
        for line in output:
            log.write(line)
            lines.append(line)
            if terminal and (step := progress(line)):
                sys.stderr.write(f"\r\x1b[K  {step[:70]}")
                sys.stderr.flush()
    if terminal:
        sys.stderr.write("\r\x1b[K")
    if process.wait() != 0:
        sys.stderr.writelines(f"  {line}" for line in lines[-LOG_LINES_SHOWN:])
        raise SetupError(f"pip failed; the whole of what it said is in {LOG}")


def install(level: str, lock_descriptor: int) -> None:
    """Install the build backend at its pinned version, then this checkout as it stands."""
    level = max(level, read_json(STAMP).get("level", "run"), key=list(EXTRAS).index)
    BEGUN.touch()
    STAMP.unlink(missing_ok=True)
    LOG.unlink(missing_ok=True)
    say(f"installing RNTS{' and its tools' * (level == 'dev')} into .venv (a minute or so)")
    pip(["setuptools"], lock_descriptor)
    pip(["--no-build-isolation", f"--editable={REPOSITORY}{EXTRAS[level]}"], lock_descriptor)
    # pip would compile bytecode on one core, and with it the half that nothing here imports.
    unused = "/(tests?|pip|setuptools|mypyc?|pygments/lexers|numba/cuda|f2py)/"
    compiling = [PYTHON, "-I", "-m", "compileall", "-qq", "-j", "0", "-x", unused, "lib"]
    subprocess.run(compiling, check=False, cwd=VENV)
    if not ask(level, "--stamp"):
        raise SetupError(f"{PYTHON} does not run; remove {VENV} and try again")


def warm_up(level: str) -> None:
    """Compile the kernels behind their progress bar and remember that it was done."""
    command = [PYTHON.with_name("rnts"), "warmup", "--json"]
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    report = json.loads(done.stdout or "{}")
    if report.get("cache_folder"):
        replace(WARM, {"key": kernel_key(), "folder": report["cache_folder"]})
    elif done.returncode != 0 and not report and level == "run":  # the tests say better which
        raise SetupError("the kernels do not compile; see above")


def set_up(level: str) -> None:
    """Do what is missing, under the lock."""
    if problem := runpy.run_path(str(REPOSITORY / "rnts" / "platform.py"))["problem"]():
        raise SetupError(problem)
    with lock() as descriptor:
        if not ask(level, "--installed"):
            make_environment()
            install(level, descriptor)
        if not ask(level, "--check"):
            warm_up(level)


QUESTIONS = {
    "--sound": lambda level: is_sound(),
    "--installed": is_installed,
    "--check": lambda level: is_installed(level) and is_warm(),
    "--stamp": write_stamp,
}


def main(level: str, option: str = "") -> int:
    """Answer a question about .venv, or set it up; the exit code is 0 for yes and for done."""
    if option:
        return 0 if QUESTIONS[option](level) else 1
    try:
        set_up(level)
    except (SetupError, OSError, subprocess.SubprocessError) as error:
        say(f"set-up failed: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; the next start goes on from here")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
