"""Says how healthy a process is, and by which of a few sober rules; the worst one wins.

Only what the kernel states counts: no scores and no guesses. A process that is merely busy, large
or asleep is healthy.
"""

from dataclasses import dataclass

from rnts.model import Health

BLOCKED_S = 5.0  # uninterruptible for so long is degraded …
HUNG_S = 120.0  # … and for so long critical: the kernel itself calls such a task hung by then
STARVED_S = 2.0  # ready to run for so long without getting a CPU
SWAPPING_FAULTS_PER_S = 100.0  # page faults that read a disk; a slow disk serves about as many
CALMED_FAULTS_PER_S = 50.0  # the way back, so that the state does not flutter at the limit
MEMORY_SHARE_MAX = 0.95  # of the memory limit of its control group, by resident size
DESCRIPTORS_SHARE_MAX = 0.95  # of RLIMIT_NOFILE; at the limit it can accept and open nothing


@dataclass(slots=True)
class Signs:
    """What the rules look at; None where it is not known."""

    state: str  # a letter of proc_pid_stat(5)
    state_s: float = 0.0  # for so long in this state, without having run in between
    major_faults_per_s: float = 0.0
    swapped_bytes: int | None = None
    resident_bytes: int = 0
    memory_limit_bytes: int | None = None
    descriptors: int | None = None
    descriptors_max: int | None = None


def judge(signs: Signs, cause_before: str = "") -> tuple[Health, str, str]:
    """State, cause and reason: the cause is the rule's name, the reason a sentence with figures.

    `cause_before` is the cause of the last judgement; it keeps `swapping` up until faults calm.
    """
    return _critical(signs) or _degraded(signs, cause_before) or (Health.HEALTHY, "", "")


def _critical(signs: Signs) -> tuple[Health, str, str] | None:
    limit = signs.memory_limit_bytes
    if limit and signs.resident_bytes >= limit * MEMORY_SHARE_MAX:
        share = 100 * signs.resident_bytes / limit
        reason = f"holds {share:.0f} % of its memory limit of {limit >> 20} MiB"
        return Health.CRITICAL, "memory", reason
    if signs.descriptors_max and signs.descriptors is not None:
        most = signs.descriptors_max
        if signs.descriptors >= most * DESCRIPTORS_SHARE_MAX:
            reason = f"has {signs.descriptors} of at most {most} files open"
            return Health.CRITICAL, "descriptors", reason
    if signs.state == "D" and signs.state_s >= HUNG_S:
        return Health.CRITICAL, "hung", f"blocked in the kernel for {signs.state_s:.0f} s"
    return None


def _degraded(signs: Signs, cause_before: str) -> tuple[Health, str, str] | None:
    if signs.state == "Z":
        return Health.DEGRADED, "zombie", "has ended, but its parent does not collect it"
    if signs.state == "T":
        return Health.DEGRADED, "stopped", "stopped by a signal"
    if signs.state == "t":
        return Health.DEGRADED, "traced", "stopped by a tracer"
    if signs.state == "D" and signs.state_s >= BLOCKED_S:
        return Health.DEGRADED, "blocked", f"blocked in the kernel for {signs.state_s:.0f} s"
    if signs.state == "R" and signs.state_s >= STARVED_S:
        return Health.DEGRADED, "starved", f"has waited for a CPU for {signs.state_s:.0f} s"
    calm = CALMED_FAULTS_PER_S if cause_before == "swapping" else SWAPPING_FAULTS_PER_S
    if signs.swapped_bytes and signs.major_faults_per_s >= calm:
        faults, swapped = signs.major_faults_per_s, signs.swapped_bytes >> 20
        reason = f"swaps: {faults:.0f} major faults/s, {swapped} MiB swapped out"
        return Health.DEGRADED, "swapping", reason
    return None
