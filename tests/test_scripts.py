"""scripts/up and scripts/test: where Python is found, when set-up has work, how programs start."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ("scripts/up", "scripts/test", "scripts/nightly", ".ci/run")


def load(path: Path) -> ModuleType:
    """The module at `path`, anew."""
    spec = importlib.util.spec_from_file_location("setup_under_test", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Checkout:
    """A made-up checkout with the real scripts; installing and compiling are only written down."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "rnts").mkdir(parents=True)
        (root / "kernels").mkdir()
        shutil.copytree(ROOT / "scripts", root / "scripts")
        shutil.copy(ROOT / "rnts" / "platform.py", root / "rnts")
        (root / "kernels" / "lane.py").write_text("")
        (root / "constraints.txt").write_text("numpy==2.0\n")
        (root / "pyproject.toml").write_text("")
        self.done: list[str] = []
        self.setup = load(root / "scripts" / "_setup.py")
        self.pip = self.setup.pip
        self.setup.pip = lambda arguments, _: self.done.append(f"pip {arguments[-1]}")

    def use_quick_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make environments without pip, and a program `rnts` that says what it was called with."""
        builder = venv.EnvBuilder

        class Builder(builder):
            def __init__(self, symlinks: bool, with_pip: bool) -> None:
                super().__init__(symlinks=symlinks, with_pip=False)

        def create(environment: "Builder", folder: Path) -> None:
            self.done.append("venv")
            builder.create(environment, folder)
            program = folder / "bin" / "rnts"
            program.write_text(
                "#!/bin/sh\n"
                f'if [ "$1" = warmup ]; then echo \'{{"cache_folder": "{self.root}"}}\'; exit; fi\n'
                'echo "$$|$PWD|$#|$2|$3"\n'
                'case "$2" in --wait) exec sleep 60 ;; esac\n'
            )
            program.chmod(0o755)

        Builder.create = create  # type: ignore[assignment]
        monkeypatch.setattr(venv, "EnvBuilder", Builder)

    def set_up(self, level: str = "run") -> list[str]:
        """Set up; returns what had to be done."""
        self.done.clear()
        assert self.setup.main(level) == 0
        return list(self.done)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout before its first start, in a folder with a space in its name."""
    checkout = Checkout(tmp_path / "a checkout")
    checkout.use_quick_parts(monkeypatch)
    return checkout


def installed(checkout: Checkout, extra: str = "") -> list[str]:
    """What an installation does."""
    return ["pip setuptools", f"pip --editable={checkout.root}{extra}"]


def test_first_start_makes_everything_and_the_second_nothing(checkout: Checkout) -> None:
    """Set-up is idempotent: the second time it finds all in place."""
    assert checkout.set_up() == ["venv", *installed(checkout)]
    assert checkout.set_up() == []


def test_tools_are_added_to_what_is_there(checkout: Checkout) -> None:
    """The tools of scripts/test are installed into the .venv of scripts/up, and stay in it."""
    checkout.set_up("run")

    assert checkout.set_up("dev") == installed(checkout, "[dev]")
    assert checkout.set_up("run") == []
    (checkout.root / "constraints.txt").write_text("numpy==2.1\n")
    assert checkout.set_up("run") == installed(checkout, "[dev]")


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed(checkout: Checkout, name: str) -> None:
    """A change of what is asked for is installed into the .venv that is there."""
    checkout.set_up()
    (checkout.root / name).write_text("# changed\n")

    assert checkout.set_up() == installed(checkout)


def test_changed_kernels_are_compiled(checkout: Checkout) -> None:
    """A change of a kernel makes set-up compile, and install nothing."""
    checkout.set_up()
    (checkout.root / "kernels" / "lane.py").write_text("changed = True\n")

    assert not checkout.setup.is_warm()
    assert checkout.set_up() == []
    assert checkout.setup.is_warm()


def test_killed_installation_is_begun_anew(checkout: Checkout) -> None:
    """A .venv without the stamp of a finished installation is thrown away."""

    def die(arguments: list[str], _: int) -> None:
        raise KeyboardInterrupt

    finish, checkout.setup.pip = checkout.setup.pip, die
    assert checkout.setup.main("run") == 130

    checkout.setup.pip = finish
    assert checkout.set_up() == ["venv", *installed(checkout)]


def break_python(environment: Path) -> None:
    """Take away the Python that the environment was made from."""
    (environment / "bin" / "python").unlink()
    (environment / "bin" / "python").symlink_to("/nowhere/python")


def break_stamp(environment: Path) -> None:
    """Leave half of a stamp."""
    (environment / "rnts-stamp").write_text('{"place": "Py')


def break_place(environment: Path) -> None:
    """Pretend that the checkout was moved here from another place."""
    stamp = json.loads((environment / "rnts-stamp").read_text())
    (environment / "rnts-stamp").write_text(json.dumps({**stamp, "place": "elsewhere"}))


@pytest.mark.parametrize("damage", [break_python, break_stamp, break_place])
def test_broken_environment_is_repaired(checkout: Checkout, damage: object) -> None:
    """What cannot be trusted is made anew."""
    checkout.set_up()
    assert callable(damage)
    damage(checkout.root / ".venv")

    assert checkout.set_up() == ["venv", *installed(checkout)]


def test_environment_of_a_person_is_kept(checkout: Checkout) -> None:
    """A .venv that was made by other means is installed into, never removed."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(checkout.root / ".venv")
    (checkout.root / ".venv" / "mine").touch()

    assert checkout.set_up() == installed(checkout)
    assert (checkout.root / ".venv" / "mine").exists()


def test_failed_installation_says_why(
    checkout: Checkout, capfd: pytest.CaptureFixture[str]
) -> None:
    """When pip fails, its last lines and the place of the whole log are shown."""
    checkout.setup.pip = checkout.pip

    assert checkout.setup.main("run") == 1
    said = capfd.readouterr().err
    assert "No module named pip" in said
    assert "rnts-setup.log" in said


def test_second_set_up_waits_for_the_first(checkout: Checkout) -> None:
    """Of two set-ups at once the second waits, says so, and finds all done."""
    checkout.set_up()
    program = checkout.root / "scripts" / "_setup.py"
    with checkout.setup.lock():
        second = subprocess.Popen(
            [sys.executable, program, "run"], stderr=subprocess.PIPE, text=True
        )
        assert second.stderr is not None
        assert "another set-up is at work" in second.stderr.readline()

    assert second.communicate(timeout=30) == (None, "")
    assert second.returncode == 0


def run_up(
    checkout: Checkout, *arguments: str, script: Path | None = None
) -> subprocess.Popen[str]:
    """scripts/up of the checkout, started from another folder."""
    return subprocess.Popen(
        [script or checkout.root / "scripts" / "up", *arguments],
        cwd=checkout.root.parent,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_program_replaces_the_script(checkout: Checkout) -> None:
    """The program has the script's pid, so that signals reach it, its folder and its arguments."""
    checkout.set_up()
    process = run_up(checkout, "one word", "")

    assert process.communicate()[0] == f"{process.pid}|{checkout.root.parent}|3|one word|\n"
    assert process.returncode == 0


def test_signal_reaches_the_program(checkout: Checkout) -> None:
    """SIGTERM for the script ends the program that it started."""
    checkout.set_up()
    process = run_up(checkout, "--wait")
    assert process.stdout is not None
    with process.stdout as output:
        output.readline()
        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == -signal.SIGTERM


def test_script_works_through_a_link(checkout: Checkout) -> None:
    """A link to the script, such as one on the PATH, starts the checkout it leads to."""
    checkout.set_up()
    link = checkout.root.parent / "rnts-up"
    link.symlink_to(checkout.root / "scripts" / "up")

    assert run_up(checkout, script=link).communicate()[0].endswith("|1||\n")


def find_python(tmp_path: Path, programs: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What `find_python` says where `programs` (name -> script) are all that is on the PATH."""
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    for tool in ("readlink", "dirname"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    environment = {**os.environ, "PATH": str(tmp_path)}
    environment.pop("RNTS_PYTHON", None)
    command = f'source "{ROOT}/scripts/_env"; find_python'
    return subprocess.run(
        [str(shutil.which("bash")), "-c", command],
        check=False,
        capture_output=True,
        env=environment,
        text=True,
    )


def test_newest_fitting_python_is_found(tmp_path: Path) -> None:
    """Launchers with nothing behind them are passed over, as are Pythons without venv."""
    programs = {
        "python3.13": "exit 127",
        "python3.12": "echo 'has no venv and ensurepip'",
        "python3.11": f'exec "{sys.executable}" "$@"',
        "python3": f'exec "{sys.executable}" "$@"',
    }

    assert find_python(tmp_path, programs).stdout == "python3.11\n"


def test_missing_python_is_explained(tmp_path: Path) -> None:
    """Without a fitting Python the message names what was found and what to install."""
    found = find_python(tmp_path, {"python3": "echo 'is Python 3.9'"})

    assert found.returncode != 0
    assert "needs Python 3.11 or later" in found.stderr
    assert "python3 is Python 3.9" in found.stderr
    assert "apt install python3 python3-venv" in found.stderr


def test_absent_python_is_explained(tmp_path: Path) -> None:
    """Without any Python the message says so."""
    assert "  no python3 on the PATH\nInstall one" in find_python(tmp_path, {}).stderr


def test_unsupported_system_is_refused(
    checkout: Checkout, capfd: pytest.CaptureFixture[str]
) -> None:
    """On a system where RNTS does not run, nothing is installed and the reason is given."""
    (checkout.root / "rnts" / "platform.py").write_text("def problem():\n    return 'no Linux'\n")

    assert checkout.setup.main("run") == 1
    assert "no Linux" in capfd.readouterr().err
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_can_be_executed(script: str) -> None:
    """The scripts have their run bit and stop at the first error."""
    assert os.access(ROOT / script, os.X_OK)
    assert "set -euo pipefail" in (ROOT / script).read_text()
