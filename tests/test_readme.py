"""What the README shows works: its examples run, its commands and files exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rnts import __main__ as roof

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs(number: int, tmp_path: Path) -> None:
    """An example runs as it stands in a program of its own, and says nothing."""
    program = tmp_path / "example.py"
    program.write_text(f"def work(): pass\n{EXAMPLES[number]}")
    done = subprocess.run(
        [sys.executable, program], check=False, capture_output=True, text=True, cwd=tmp_path
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_commands_are_those_that_exist() -> None:
    """The table of commands is that of the program."""
    assert sorted(re.findall(r"^\| `rnts (\w+)` \|", README, re.MULTILINE)) == sorted(roof.COMMANDS)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "DESIGN.md"])
def test_links_lead_somewhere(document: str) -> None:
    """Each relative link of a document leads to a file of the repository."""
    for link in re.findall(r"\]\(([^):#]+)\)", (ROOT / document).read_text()):
        assert (ROOT / link).exists(), link


def test_first_screen_has_the_two_commands() -> None:
    """Who opens the README sees how to start it and how to test it."""
    first_screen = README.splitlines()[:20]

    for script in ("scripts/up", "scripts/test"):
        assert any(line.startswith(script) for line in first_screen)
        assert os.access(ROOT / script, os.X_OK)
