"""Says who a process is: its id, its name, the program, the user, and how it was started.

The id is a hash of the machine's boot, the process number and the start time, so that neither a
number that is used again nor another machine has it. Command lines often hold secrets: no more of
one leaves the machine than the program and, if it is a plain word or path, the next argument.
"""

import pwd
import re
from typing import NamedTuple

from rnts.host_proc import ProcReader, Stat, Unreadable, status_number
from rnts.kernels.process_ids import PROCESS_BITS_BELOW, PROCESS_MARK
from rnts.text import name_to_id

KERNEL = "kernel"
_COMM_BYTES = 15  # the kernel cuts a program's name there
_EFFECTIVE = 1  # of the real, effective, saved and file system users
_NAME_LENGTH_MAX = 60  # characters: with the number, 255 bytes hold them in any alphabet
_PLAIN_ARGUMENT = re.compile(r"[\w./+][\w./+-]{0,99}")


class Identity(NamedTuple):
    """What a process is announced with."""

    name: str
    group: str
    role: str
    trigger: str


class Machine:
    """Tells processes of this boot of this machine from all others."""

    def __init__(self, reader: ProcReader) -> None:
        self._reader = reader
        self._users: dict[int, str] = {}
        parts = []
        for read in (self._boot, self._namespace):
            try:
                parts.append(read())
            except Unreadable:
                parts.append("")  # a number less to tell it by, where the system does not show it
        self._key = ":".join(parts)

    def neuron_id(self, pid: int, start_ticks: int) -> int:
        """The id of a process; the same for every agent that looks at it.

        It says by itself that it is one: what is about failure leaves out who never reports any.
        """
        below = name_to_id(f"{self._key}:{pid}:{start_ticks}") % (1 << PROCESS_BITS_BELOW)
        return PROCESS_MARK << PROCESS_BITS_BELOW | below

    def identify(self, pid: int, stat: Stat) -> Identity:
        """Read who a process is; raises Unreadable."""
        program = printable(stat.comm)
        if stat.is_kernel:
            return Identity(f"{program}[{pid}]", KERNEL, KERNEL, program)
        arguments = self._arguments(pid)
        if arguments:
            # The whole name, where the kernel has only kept its beginning.
            whole = arguments[0].rsplit("/", 1)[-1]
            if len(stat.comm) >= _COMM_BYTES and whole.startswith(program):
                program = whole[:_NAME_LENGTH_MAX]
        trigger = " ".join(arguments) or program
        return Identity(f"{program}[{pid}]", program, self._user(pid), trigger)

    def _arguments(self, pid: int) -> list[str]:
        try:
            raw = self._reader.read(f"{pid}/cmdline")
        except Unreadable as error:
            if error.reason != "forbidden":
                raise
            return []
        arguments = [printable(part) for part in raw.split(b"\0", 2)[:2] if part]
        if len(arguments) == 2 and not _PLAIN_ARGUMENT.fullmatch(arguments[1]):
            arguments.pop()
        return arguments

    def _user(self, pid: int) -> str:
        uid = status_number(self._reader.read(f"{pid}/status"), b"Uid", _EFFECTIVE)
        if uid is None:
            raise Unreadable("malformed", f"{pid}/status")
        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name[:_NAME_LENGTH_MAX]
            except KeyError:
                self._users[uid] = str(uid)
        return self._users[uid]

    def _boot(self) -> str:
        return self._reader.read("sys/kernel/random/boot_id").decode("ascii", "replace").strip()

    def _namespace(self) -> str:
        return self._reader.link("self/ns/pid")


def printable(raw: bytes) -> str:
    """Text of a stranger made fit for a screen: no control characters, no broken UTF-8."""
    text = raw.decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "�" for c in text)
