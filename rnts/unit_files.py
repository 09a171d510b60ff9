"""The files of units: which folder they are in, which of them are ours, written whole or not."""

import os
from collections.abc import Mapping
from pathlib import Path

from rnts.errors import UsageError
from rnts.unit_places import Places
from rnts.unit_text import MARK

SYSTEM_FOLDER = Path("/etc/systemd/system")


def unit_folder(is_system: bool, environ: Mapping[str, str] = os.environ) -> Path:
    """Where units of the system, or of this user, belong; named only, not made."""
    return SYSTEM_FOLDER if is_system else _config_home(environ) / "systemd" / "user"


def handover(places: Places, environ: Mapping[str, str] = os.environ) -> dict[Path, str]:
    """A file by which programs of this user are told of a runtime folder that is not the usual one.

    The manager of a user reads it at login, and gives its variables to all that it starts.
    """
    if places.is_system or not places.is_runtime_chosen:
        return {}
    lines = [f"{MARK}, so that programs of this user find its agent."]
    for name in ("RNTS_RUNTIME_DIR", "RNTS_STATE_DIR"):
        value = places.environment[name].replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'{name}="{value.replace("$", chr(92) + "$")}"')
    return {_handover_file(environ): "\n".join(lines) + "\n"}


def our_files(is_system: bool, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The files that an installation has left, units first."""
    found = sorted(unit_folder(is_system, environ).glob("rnts*"))
    if not is_system:
        found.append(_handover_file(environ))
    return [path for path in found if path.is_file() and _is_ours(path)]


def write_files(files: Mapping[Path, str]) -> list[Path]:
    """Write what is not there yet or differs, each file whole; returns those.

    Raises UsageError, and writes nothing, where a file is somebody else's or cannot be written.
    """
    if foreign := [path for path in files if os.path.lexists(path) and not _is_ours(path)]:
        raise UsageError(
            f"{foreign[0]} was not written by `rnts service install`: move it away, and put your "
            "own settings into a drop-in (`systemctl edit`)"
        )
    changed = [
        path for path, text in files.items() if not path.exists() or path.read_text() != text
    ]
    fresh = [path.with_name(f".{path.name}.new") for path in changed]
    try:
        for path, new in zip(changed, fresh, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(files[path])
        for path, new in zip(changed, fresh, strict=True):
            new.replace(path)
    except OSError as error:
        for new in fresh:
            new.unlink(missing_ok=True)
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from error
    return changed


def make_folders(places: Places) -> None:
    """Make the folders that services write to, private to this user, where they are missing."""
    for path in (places.state, places.cache, *places.more):
        try:
            os.makedirs(path, 0o700, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{path} cannot be made: {error.strerror}") from error


def _config_home(environ: Mapping[str, str]) -> Path:
    chosen = environ.get("XDG_CONFIG_HOME", "")
    return Path(chosen) if os.path.isabs(chosen) else Path(os.path.expanduser("~/.config"))


def _handover_file(environ: Mapping[str, str]) -> Path:
    return _config_home(environ) / "environment.d" / "60-rnts.conf"


def _is_ours(path: Path) -> bool:
    return path.is_file() and path.read_text(errors="replace").startswith(MARK)
