"""What the tests of settings share: a machine of their own, and what is said about mistakes."""

from pathlib import Path
from typing import Any

import pytest

import rnts.settings_sources
from rnts.errors import ConfigError
from rnts.settings import load, load_file

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parent / "data"
BATCH_SIZE = "telemetry.collection.batch_size"


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Keep the settings of the machine that runs the tests out of them, and names short."""
    monkeypatch.setattr(rnts.settings_sources, "SYSTEM_FILE", folder / "etc.yaml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "xdg"))
    monkeypatch.delenv("RNTS_COLLECTION__BATCH_SIZE", raising=False)
    monkeypatch.chdir(folder)


def problems(text: str | bytes, name: str = "rnts.yaml") -> list[str]:
    """What is said about a file with this text; fails if nothing is."""
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_file(Path(name))
    assert caught.value.exit_code == 3
    return caught.value.problems


def said(**arguments: Any) -> list[str]:
    """What `load` says about these arguments; fails if nothing."""
    with pytest.raises(ConfigError) as caught:
        load(**{"environ": {}, **arguments})
    return caught.value.problems
