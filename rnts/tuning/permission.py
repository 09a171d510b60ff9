"""Why we may not change something of this machine, in words; empty where we may."""

import shlex

from rnts.tuning.machine import Machine, Process


def file_refusal(machine: Machine, path: str) -> str:
    """Of a file of the kernel."""
    rights = machine.rights
    for mount in rights.read_only:
        if path == mount or path.startswith(f"{mount.rstrip('/')}/"):
            return f"{mount} is mounted read-only here, as in a container: the host's root may"
    if rights.is_root:
        return ""
    if rights.user == 0:
        return "root of a container's user namespace may not: the host's root may"
    return "only root may"


def right_refusal(machine: Machine, capability: str) -> str:
    """Of what takes a capability."""
    if capability in machine.rights.capabilities:
        return ""
    return f"it takes root, or CAP_{capability.upper()}"


def process_refusal(machine: Machine, process: Process) -> str:
    """Of threads of a process."""
    if process.user == machine.rights.user or "sys_nice" in machine.rights.capabilities:
        return ""
    return f"process {process.number} belongs to user {process.user}"


def write_command(path: str, value: str) -> str:
    """How root writes a value into a file of the kernel."""
    return f"echo {shlex.quote(value)} | sudo tee {shlex.quote(path)}"
