"""Neurons that each process has for itself, though they bear the same name in all of them.

A function of a web application runs in eight workers, and each of them counts its calls from 1. As
one neuron their counts would rise and fall by turns, and every fall reads as a restart. So the id
of such a neuron is a hash of its name and of the process, and a child after a fork has others.
"""

import functools
import os
import sys

from rnts.model import TEXT_BYTES_MAX
from rnts.neuron import Neuron
from rnts.producer import PROCESS
from rnts.runtime import boot_id, process_start_time
from rnts.text import name_to_id

_MADE_MAX = 4096  # neurons that are kept at hand; beyond it they are made again
_made: dict[tuple[str, str, str], Neuron] = {}
os.register_at_fork(after_in_child=_made.clear)


def telemetry_is_on() -> bool:
    """Whether it is of any use to report."""
    return PROCESS.enabled


def local_neuron(name: str, group: str, role: str) -> Neuron:
    """This process's neuron of that name, made when it is first asked for."""
    key = name, group, role
    found = _made.get(key)
    if found is None:
        neuron_id = name_to_id(":".join((_process_key(), *key))) or 1
        made = PROCESS.neuron(
            shortened(name), group=shortened(group), role=role, neuron_id=neuron_id
        )
        if len(_made) >= _MADE_MAX:
            _made.clear()
        found = _made.setdefault(key, made)
    return found


def forget(name: str, group: str, role: str) -> None:
    """Let go of a neuron that has left and whose name does not come again."""
    neuron = _made.pop((name, group, role), None)
    if neuron is not None:
        PROCESS.forget(neuron)


def shortened(text: str) -> str:
    """The end of a text that is too long for a name: names of code differ there."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= TEXT_BYTES_MAX:
        return text
    return "…" + raw[3 - TEXT_BYTES_MAX :].decode("utf-8", "ignore")


@functools.cache
def program() -> str:
    """What this process runs, as the group of what is not the application's own code."""
    path = sys.argv[0].rstrip("/") if getattr(sys, "argv", None) else ""
    folder, name = os.path.split(path)
    name = os.path.basename(folder) if name == "__main__.py" else name.removesuffix(".py")
    return "python" if name in ("", ".", "-c") else shortened(name)


def _process_key() -> str:
    """Says which process of which machine this is; as the host source knows it."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        namespace = 0  # a number less to tell it by
    process = os.getpid()
    return f"{boot_id()}:{namespace}:{process}:{process_start_time(process)}"
