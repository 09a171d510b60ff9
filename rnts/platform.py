"""Where RNTS runs: Linux on x86-64 or aarch64, with Python 3.11 or later; says what is missing.

This file imports nothing of its own package: set-up reads it before anything is installed.
"""

import platform
import sys

SYSTEM = "Linux"
MACHINES = ("x86_64", "aarch64")
PYTHON_MIN = (3, 11)


def problem(
    system: str = platform.system(),
    machine: str = platform.machine(),
    pointer_bits: int = sys.maxsize.bit_length() + 1,
    python: tuple[int, ...] = sys.version_info[:2],
) -> str | None:
    """Why RNTS cannot run here, in one sentence with all that is missing; None if it can."""
    missing = []
    if system != SYSTEM:
        missing.append(
            f"{SYSTEM} with its shared memory and pidfds (this is {system or 'unknown'})"
        )
    if machine.lower() not in MACHINES or pointer_bits != 64:
        missing.append(f"a 64-bit x86-64 or aarch64 (this is {machine}, {pointer_bits} bits)")
    if python[:2] < PYTHON_MIN:
        needed = ".".join(map(str, PYTHON_MIN))
        missing.append(f"Python {needed} or later (this is {python[0]}.{python[1]})")
    return f"RNTS cannot run here; it needs {', and '.join(missing)}" if missing else None


def require_supported() -> None:
    """Raise UsageError where RNTS cannot run; for processes of RNTS, never for applications."""
    if found := problem():
        from rnts.errors import UsageError

        raise UsageError(found)
