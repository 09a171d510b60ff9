"""Which cores a unit may run on: `--cores [ROLE=]LIST`, LIST as 0-3,6."""

from collections.abc import Collection, Sequence

from rnts.cpu_list import parse_cpus
from rnts.errors import UsageError


def parse_cores(
    words: Sequence[str], roles: Collection[str], present: Collection[int]
) -> dict[str, str]:
    """Lists of cores by role, as `CPUAffinity=` takes them; that of "" is for all others.

    Raises UsageError for what is no list, for a core that is not `present`, and for a role that is
    not among `roles`.
    """
    found: dict[str, str] = {}
    for word in words:
        role, equals, text = word.rpartition("=")
        if equals and role not in roles:
            raise UsageError(f"--cores {word}: {role!r} is none of {', '.join(roles)}")
        if role in found:
            raise UsageError(f"--cores {word}: cores of {role or 'all'} are given twice")
        cores = sorted(parse_cpus(text))
        if not cores:
            raise UsageError(f"--cores {word}: write numbers of cores as 0-3,6")
        if missing := [core for core in cores if core not in present]:
            raise UsageError(f"--cores {word}: there is no core {missing[0]} here")
        found[role] = " ".join(map(str, cores))
    return found
