"""A second process that compiles kernels beside this one: the first start takes half as long.

Numba compiles on one core, under a lock. The helper takes kernels from the end of the list, one at
a time, and this process from its front; what the helper has compiled is then loaded from the cache.
A helper that fails is no loss but of time: what it did not do is done here.
"""

import contextlib
import gc
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator

HELPER = "rnts-compile-helper"  # the thread that feeds it

Compile = Callable[[list[str]], Iterator[tuple[str, bool]]]


def compile_with_help(names: list[str], compile_these: Compile) -> Iterator[tuple[str, bool]]:
    """Compile kernels in two processes; yields (name, was in the cache) as they are ready here."""
    waiting, helped = deque(names), list[str]()
    thread = threading.Thread(target=_feed, args=(waiting, helped), name=HELPER, daemon=True)
    thread.start()
    while waiting:
        try:
            name = waiting.popleft()
        except IndexError:  # the helper was quicker
            break
        yield from compile_these([name])
    thread.join()
    for name in helped:
        for found, _ in compile_these([name]):
            yield found, False


def _feed(waiting: deque[str], helped: list[str]) -> None:
    """Give the helper one kernel after the other, for as long as there are any and it answers."""
    command = [sys.executable, "-m", __name__]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with (
        contextlib.suppress(OSError),
        subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=nowhere) as helper,
    ):
        assert helper.stdin is not None and helper.stdout is not None
        with contextlib.suppress(IndexError):
            while helper.stdout.readline():  # it is ready, for the first one or the next
                helped.append(waiting.pop())
                helper.stdin.write(f"{helped[-1]}\n")
                helper.stdin.flush()
        helper.stdin.close()


def help_out() -> None:
    """What the helper does: says that it is ready, and compiles what it is told."""
    from rnts.kernels import _jit
    from rnts.warmup import import_kernels

    gc.set_threshold(50_000)  # as `rnts warmup` does: see `rnts.__main__`
    import_kernels()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        list(_jit.compile_all([line.strip()]))
        sys.stdout.write("ready\n")
        sys.stdout.flush()


if __name__ == "__main__":
    help_out()
