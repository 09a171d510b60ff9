"""Asks the systemd of this user, or of the system, by its own command."""

import subprocess
from collections.abc import Sequence

from rnts.errors import ConnectError

_PATIENCE_S = 600  # a start waits until all are ready, and kernels may have to be compiled
_ASKED = (
    "LoadState", "ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "Result",
    "MemoryCurrent",
)  # fmt: skip


def systemctl(is_system: bool, *words: str) -> str:
    """What `systemctl` prints; raises ConnectError with what it says where it fails."""
    command = ["systemctl", *([] if is_system else ["--user"]), *words]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConnectError(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ConnectError(f"{' '.join(command)}: {said}")
    return done.stdout


def unit_states(is_system: bool, units: Sequence[str]) -> dict[str, dict[str, str]]:
    """What systemd knows of each unit, by the names of its properties."""
    if not units:
        return {}
    told = systemctl(is_system, "show", "--property", ",".join(("Id", *_ASKED)), *units)
    return parse_states(told)


def parse_states(told: str) -> dict[str, dict[str, str]]:
    """The properties of units, one block a unit, by the ids of the units."""
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in told.split("\n\n")
    ]
    return {block.pop("Id"): block for block in blocks if "Id" in block}
