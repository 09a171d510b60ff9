"""Where the processes of one user meet: the runtime folder, its sockets and its segments.

Paths are strings here: `pathlib` costs 10 ms, which an application that reports need not pay.
"""

from __future__ import annotations

import os
import select
import stat

from rnts.errors import UsageError

TYPE_CHECKING = False  # see `rnts.value`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHARED_MEMORY = "/dev/shm"
SOCKET_NAME = "aggregator.sock"
LANE_SLOTS_NAME = "lane_slots"  # written by the agent: what its ring_buffer_size asks programs for
SEGMENT_SUFFIX = ".seg"
IPC_PATH_BYTES_MAX = 107  # sun_path of Linux, less the closing zero


def runtime_folder() -> str:
    """$RNTS_RUNTIME_DIR, else /dev/shm/rnts-<uid>; named only, not made."""
    if chosen := os.environ.get("RNTS_RUNTIME_DIR"):
        return chosen.rstrip("/") or "/"  # a link with a slash behind it passes for its folder
    return f"{SHARED_MEMORY}/rnts-{os.getuid()}"


def make_runtime_folder() -> str:
    """The runtime folder, made if needed; refused where another user could write into it."""
    folder = runtime_folder()
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        info = os.lstat(folder)
        if info.st_uid == os.getuid() and stat.S_IMODE(info.st_mode) == 0:  # by a umask of 777
            os.chmod(folder, 0o700)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {error.strerror}; processes meet in shared memory there: "
            "`rnts doctor` checks it, RNTS_RUNTIME_DIR names another folder"
        ) from error
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o022:
        raise UsageError(
            f"{folder} must be a folder of this user that nobody else can write to; "
            "remove it or set RNTS_RUNTIME_DIR"
        )
    return folder


def state_folder(environment: Mapping[str, str] | None = None) -> str:
    """Where what outlives a start of the machine is kept; named only, not made.

    $RNTS_STATE_DIR, else `state` in $RNTS_RUNTIME_DIR, so that who works apart does so in all, else
    $XDG_STATE_HOME/rnts or ~/.local/state/rnts; a user without a home has it in the runtime folder.
    Another process has another `environment`.
    """
    own = os.environ if environment is None else environment
    if chosen := own.get("RNTS_STATE_DIR"):
        return chosen.rstrip("/") or "/"
    if apart := own.get("RNTS_RUNTIME_DIR"):
        return os.path.join(apart, "state")
    home = os.path.expanduser("~") if environment is None else own.get("HOME", "~")
    base = own.get("XDG_STATE_HOME") or os.path.join(home, ".local/state")
    if environment is None and base.startswith("~"):  # it stayed as it was
        return os.path.join(runtime_folder(), "state")
    return os.path.join(base, "rnts")


def lane_slots_wanted(folder: str) -> int | None:
    """Slots of a lane that the agent asks the programs of this user for; None if it does not."""
    try:
        with open(os.path.join(folder, LANE_SLOTS_NAME)) as file:
            return int(file.read(16))
    except (OSError, ValueError):
        return None


def agent_seen_ns(folder: str) -> int:
    """When an agent was last at work in `folder`, in nanoseconds since the epoch; 0 if never."""
    try:
        return os.stat(os.path.join(folder, LANE_SLOTS_NAME)).st_mtime_ns
    except OSError:
        return 0


def segment_folders() -> list[Path]:
    """Folders in which an agent of this user looks for segments; root looks into everyone's."""
    from pathlib import Path

    own = Path(runtime_folder())
    if os.getuid() != 0 or "RNTS_RUNTIME_DIR" in os.environ:
        return [own]
    return sorted({own, *Path(SHARED_MEMORY).glob("rnts-[0-9]*")})


def default_endpoint() -> str:
    """The address at which this user's aggregator listens unless told otherwise."""
    path = os.path.join(runtime_folder(), SOCKET_NAME)
    if len(os.fsencode(path)) > IPC_PATH_BYTES_MAX:
        raise UsageError(
            f"the socket path {path} has more than {IPC_PATH_BYTES_MAX} bytes; "
            "set RNTS_RUNTIME_DIR to a shorter folder"
        )
    return f"ipc://{path}"


def is_loopback(endpoint: str) -> bool:
    """Whether an address cannot be reached from another machine."""
    from ipaddress import ip_address

    host = endpoint.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    try:
        return endpoint.startswith("ipc://") or host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, such as 127.example.org
        return False


def process_start_time(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def watch_process(pid: int, start_time: int) -> int:
    """A pidfd that becomes readable at the death of a process; -1 if it is dead already.

    The start time is compared after the pidfd is open, so a reused pid cannot pass. Where the
    kernel does not tell it, the process counts as alive. Raises OSError if there is none to be had.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return -1
    started = process_start_time(pid)
    if started and start_time and started != start_time:
        os.close(descriptor)
        return -1
    return descriptor


def has_ended(watch: int) -> bool:
    """Whether the process of a pidfd, or of -1, is gone, and with it all its threads."""
    if watch < 0:
        return True
    poll = select.poll()  # select() ends at descriptor 1023
    poll.register(watch, select.POLLIN)
    return bool(poll.poll(0))


def boot_id() -> int:
    """64 bits of the kernel's boot id, so that a segment of an earlier boot is known as such."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return int(file.read().replace("-", "")[:16], 16)
    except (OSError, ValueError):
        return 0
