"""`rnts config check` and `rnts config show`: what they print, where, and what they raise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from settings_tools import DATA, isolate
from typer.testing import CliRunner

from rnts.commands.config import app
from rnts.errors import ConfigError
from rnts.settings import load

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, tmp_path)


def test_check_accepts_the_seed_files() -> None:
    """Valid files are `ok`, and nothing else is said."""
    files = [str(DATA / "agent.yaml"), str(DATA / "alerts.yaml")]
    result = RUNNER.invoke(app, ["check", *files])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "".join(f"{file}: ok\n" for file in files)


def test_check_reports_all_problems_of_all_files() -> None:
    """A wrong file does not hide the others: right ones are ok, all problems come at the end."""
    Path("one.yaml").write_text("agent: {hst: 1}\n")
    Path("two.yaml").write_text("agent: {host: true}\n")
    result = RUNNER.invoke(app, ["check", "one.yaml", "two.yaml", "three.yaml"])
    assert result.stdout == "two.yaml: ok\n"
    assert isinstance(result.exception, ConfigError)
    assert result.exception.exit_code == 3
    assert result.exception.problems == [
        "one.yaml:1:9: agent.hst: unknown setting; did you mean host?",
        "three.yaml: cannot be read: No such file or directory",
    ]


def test_check_looks_at_the_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the environment or in ./rnts.yaml says nothing about the file."""
    monkeypatch.setenv("RNTS_COLLECTION__BATCH_SIZE", "wrong")
    Path("rnts.yaml").write_text("wrong: 1")
    Path("right.yaml").write_text("")
    assert RUNNER.invoke(app, ["check", "right.yaml"]).stdout == "right.yaml: ok\n"


def test_check_needs_a_file() -> None:
    """Without a file the command is used wrongly, which is exit code 2."""
    assert RUNNER.invoke(app, ["check"]).exit_code == 2


def test_show_prints_settings_that_load_again() -> None:
    """The output of `show`, put into a file, is the same settings."""
    result = RUNNER.invoke(app, ["show"])
    assert result.exit_code == 0
    Path("again.yaml").write_text(result.stdout)
    assert load(Path("again.yaml")) == load()


def test_show_says_where_each_value_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --origin each line ends in a comment with the file, the variable or `default`."""
    monkeypatch.setenv("RNTS_COLLECTION__BATCH_SIZE", "500")
    Path("rnts.yaml").write_text("agent:\n  host: false\n")
    lines = RUNNER.invoke(app, ["show", "--origin"]).stdout.splitlines()
    assert "    batch_size: 500  # environment RNTS_COLLECTION__BATCH_SIZE" in lines
    assert "  host: false  # rnts.yaml:2:9" in lines
    assert "  max_groups: 64  # default" in lines


def test_show_prints_rules_as_a_block() -> None:
    """Alert rules are written an item each, and the comment stands at the list."""
    text = RUNNER.invoke(app, ["show", "--origin", "--config", str(DATA / "alerts.yaml")]).stdout
    assert f"alerts:  # {DATA}/alerts.yaml:2:3\n  - name: high_latency\n    condition: " in text
    assert len(yaml.safe_load(text)["alerts"]) == 3


def test_show_prints_one_json_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json there is one document on one line, with --origin also the origins."""
    monkeypatch.setenv("RNTS_COLLECTION__BATCH_SIZE", "500")
    [line] = RUNNER.invoke(app, ["show", "--json"]).stdout.splitlines()
    document = json.loads(line)
    assert document == {"version": 1, "settings": load().plain()}
    assert document["settings"]["telemetry"]["collection"]["batch_size"] == 500
    [line] = RUNNER.invoke(app, ["show", "--json", "--origin"]).stdout.splitlines()
    origins = json.loads(line)["origin"]
    name = "telemetry.collection.batch_size"
    assert origins[name] == "environment RNTS_COLLECTION__BATCH_SIZE"
    assert origins["agent.host"] == "default"


def test_show_refuses_wrong_settings() -> None:
    """Invalid settings are not shown but refused, with exit code 3."""
    Path("rnts.yaml").write_text("agent: [")
    result = RUNNER.invoke(app, ["show"])
    assert isinstance(result.exception, ConfigError)
    assert result.exception.exit_code == 3
    assert result.stdout == ""


def test_the_command_imports_nothing_heavy() -> None:
    """Importing the command loads no pydantic and no YAML; settings load no numba, no numpy."""
    code = (
        "import sys, rnts.commands.config\n"
        "assert not {'pydantic', 'yaml', 'rnts.settings'} & set(sys.modules)\n"
        "import rnts.settings\n"
        "assert not {'numba', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
