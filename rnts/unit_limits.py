"""What a unit of RNTS may not do and have: memory, system calls, files, each with its reason."""

from collections.abc import Iterator

from rnts.runtime import SHARED_MEMORY
from rnts.settings import Settings
from rnts.unit_places import Places, is_below
from rnts.unit_text import Setting, because, quoted

_MIB = 1 << 20
# Of what names, kernels, Python and an action's command may take; a limit here ends a leak.
_BASE_BYTES = 1024 * _MIB

_SHARED = (
    "Not set, since programs meet RNTS in /dev/shm and by their process ids, and would be "
    "hidden: PrivateUsers, PrivateIPC, PrivatePIDs, PrivateDevices, ProtectProc, a tmpfs over "
    "/dev/shm. Nor MemoryDenyWriteExecute: kernels are machine code that is linked at start."
)
_NAMESPACE = (
    "No ProtectSystem, ProtectHome, PrivateTmp and the like: a manager of a user has them only "
    "together with PrivateUsers, and newer ones set that by themselves."
)


def _memory(role: str, settings: Settings) -> Setting:
    """The memory with which a role counts as leaking."""
    if role in ("aggregate", "up"):
        why = "It follows from the neurons and groups that come; a leak takes half the machine."
        return Setting("MemoryMax", "50%", why)
    more = settings.agent.retained_bytes_max if role == "agent" else 0
    why = "By the settings, with room to spare: what needs more is a leak, and starts again."
    return Setting("MemoryMax", f"{-(-(_BASE_BYTES + more) // _MIB)}M", why)


def limits(role: str, settings: Settings, places: Places) -> Iterator[Setting]:
    """What holds for a role under the manager of a user or of the system."""
    yield _memory(role, settings)
    yield Setting("OOMScoreAdjust", "200", "Telemetry goes before the programs that it watches.")
    yield Setting("LimitNOFILE", "65536", "Two descriptors for each program that is watched.")
    yield from _everywhere()
    if places.is_system:
        yield from _capabilities(role)
        yield from _files(places)
    else:
        yield because(_NAMESPACE)


def _everywhere() -> Iterator[Setting]:
    yield because(_SHARED)
    yield Setting("UMask", "0077")
    yield Setting("NoNewPrivileges", "yes")
    yield Setting("LockPersonality", "yes")
    yield Setting("RestrictNamespaces", "yes")
    yield Setting("RestrictRealtime", "yes")
    yield Setting("RestrictSUIDSGID", "yes")
    yield Setting(
        "RestrictAddressFamilies",
        "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "Links over ipc and TCP; the C library asks for its own addresses over netlink.",
    )
    yield Setting("SystemCallArchitectures", "native")
    yield Setting("SystemCallFilter", "@system-service")
    yield Setting(
        "SystemCallErrorNumber",
        "EPERM",
        "What is not allowed is an error that is told, and no sudden death.",
    )


def _capabilities(role: str) -> Iterator[Setting]:
    """Root is needed for what others' programs own, which only the agent looks into."""
    if role in ("agent", "up"):
        yield Setting(
            "CapabilityBoundingSet",
            "CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_SYS_PTRACE",
            "Segments of every user are opened, drained and removed; /proc tells of every process.",
        )
    else:
        yield Setting("CapabilityBoundingSet", "", "Root's files are enough, its powers are not.")
        yield Setting("DevicePolicy", "closed", "Not for the agent, which asks GPUs how they are.")


def _files(places: Places) -> Iterator[Setting]:
    yield Setting("ProtectSystem", "strict", "All is read-only but /dev, /proc, /sys, and below.")
    yield Setting("ProtectHome", "read-only")
    # As a whole: a folder in there that is removed and made again would be another than ours.
    shared = any(is_below(path, SHARED_MEMORY) for path in places.writable)
    rest = [path for path in places.writable if not is_below(path, SHARED_MEMORY)]
    wanted = ([SHARED_MEMORY] if shared else []) + rest
    writable = " ".join(quoted(f"-{path}") for path in wanted)
    yield Setting("ReadWritePaths", writable, "A folder that is not there yet may be missing.")
    yield Setting("ProtectKernelTunables", "yes")
    yield Setting("ProtectKernelModules", "yes")
    yield Setting("ProtectKernelLogs", "yes")
    yield Setting("ProtectControlGroups", "yes")
    yield Setting("ProtectHostname", "yes")
    if any(is_below(path, folder) for path in places.all for folder in ("/tmp", "/var/tmp")):
        yield because("No PrivateTmp: it would hide what lies in /tmp and is used here.")
    else:
        yield Setting("PrivateTmp", "yes")
