"""Runs a function in a child process one machine instruction at a time, or kills it after one."""

import ctypes
import functools
import mmap
import os
import platform
import signal
from collections.abc import Callable, Iterator
from typing import Self

_TRACEME, _POKEUSER, _CONT, _SINGLESTEP, _SYSCALL, _SETOPTIONS = 0, 6, 7, 9, 24, 0x4200
_EXITKILL = 0x100000  # the child never outlives the test
# Debug registers as a tracer sees them, in bytes of `struct user`: an address to watch, and what
# for: register 0 is on, for stores (bit 16) to 8 bytes (bit 19).
_DEBUG_ADDRESS, _DEBUG_CONTROL, _ON_STORE = 848, 848 + 7 * 8, 1 | 1 << 16 | 1 << 19
_REFUSED = 77  # exit status of a child that may not be traced

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class SteppedChild:
    """A fork of this process that has stopped just before `run()`, after `prepare()`.

    It stops again when `run()` has returned. The few thousand instructions of the interpreter
    around `run()` are stepped through with it, and do no harm.
    """

    def __init__(self, run: Callable[[], object], prepare: Callable[[], object] = int) -> None:
        self.steps = 0
        self.process = os.fork()
        if self.process == 0:
            _be_stepped(run, prepare)
        status = self._wait()
        if not os.WIFSTOPPED(status):
            raise PermissionError(f"the child ended with status {status} before it could stop")
        assert os.WSTOPSIG(status) == signal.SIGSTOP, f"stopped by {os.WSTOPSIG(status)}"
        _libc.ptrace(_SETOPTIONS, self.process, None, _EXITKILL)

    def step(self) -> bool:
        """Let one instruction happen; False once `run()` has returned."""
        return self._go_on(_SINGLESTEP)

    def run_to_store(self, address: int) -> bool:
        """Let all happen up to the next store to the 8 bytes there; False if there was none."""
        self._poke(_DEBUG_ADDRESS, address)
        self._poke(_DEBUG_CONTROL, _ON_STORE)
        is_stored = self._go_on(_CONT)
        self._poke(_DEBUG_CONTROL, 0)
        return is_stored

    def system_calls(self) -> int:
        """Let all happen; how often the kernel was called, and came back, before `run()` did."""
        count = 0
        while self._go_on(_SYSCALL):
            count += 1
        return count

    def _poke(self, place: int, value: int) -> None:
        if _libc.ptrace(_POKEUSER, self.process, place, value) != 0:
            raise OSError(ctypes.get_errno(), "cannot watch memory")

    def _go_on(self, request: int) -> bool:
        if _libc.ptrace(request, self.process, None, None) != 0:
            raise OSError(ctypes.get_errno(), "cannot step")
        status = self._wait()
        assert os.WIFSTOPPED(status), f"the child ended with status {status} in the middle"
        if os.WSTOPSIG(status) == signal.SIGSTOP:
            return False
        assert os.WSTOPSIG(status) == signal.SIGTRAP, f"stopped by {os.WSTOPSIG(status)}"
        self.steps += 1
        return True

    def every_step(self) -> Iterator[int]:
        """The number of instructions done so far, after each of them."""
        while self.step():
            yield self.steps

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            self.process = 0

    def _wait(self) -> int:
        return os.waitpid(self.process, 0)[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


def _be_stepped(run: Callable[[], object], prepare: Callable[[], object]) -> None:
    """What the child does; it never returns to the test that it is a copy of."""
    try:
        prepare()
        if _libc.ptrace(_TRACEME, 0, None, None) != 0:
            os._exit(_REFUSED)
        stop, me, number = os.kill, os.getpid(), signal.SIGSTOP
        stop(me, number)
        run()
        stop(me, number)
    finally:
        os._exit(1)


@functools.cache
def reason_not_to_step() -> str | None:
    """Why this machine lets nobody step; None if it does."""
    if platform.machine() != "x86_64":
        return f"single steps are tried on x86-64 only, not on {platform.machine()}"
    try:
        with SteppedChild(int) as child:
            child.step()
    except OSError as error:
        return f"ptrace is forbidden here: {error}"
    return None


@functools.cache
def can_watch() -> bool:
    """Whether this machine stops a child at a store; some virtual ones have no debug registers."""
    word = mmap.mmap(-1, 8)
    address = ctypes.addressof(ctypes.c_uint64.from_buffer(word))
    try:
        with SteppedChild(lambda: word.write(b"stored!!")) as child:
            return child.run_to_store(address) and word[:] == b"stored!!"
    except OSError:
        return False
