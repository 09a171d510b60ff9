"""`Neuron.record` as plain functions, generated from the model: one writes, one is off."""

import time
from typing import Any

from rnts.misuse import RECORD_ARGUMENTS, plain_time, plain_values
from rnts.model import FIELD, Kind
from rnts.writer import EMITTERS, SAMPLE_FORMAT, fields_of

_RECORD_DOC = """Report what the neuron did; True if the record is on its way to the agent.

Pass what you know, by name or in this order; what is left out, or is None, stays absent. A full
lane drops the record under `lane_full`. A value of a wrong type is a TypeError and one that does
not fit an OverflowError, as with any builtin; the record then counts as `invalid`.
"""
_SIGNATURE = ", ".join(f"{name}=None" for name in RECORD_ARGUMENTS)
_NAMES = ", ".join(RECORD_ARGUMENTS)


def _compile_record() -> Any:
    """Build `Neuron.record` from the model: one flat function, since this is the hot path.

    A loop over keyword arguments took twice the time of these tests and one `pack_into`.
    """
    order = ", ".join(f.name for f in fields_of(Kind.SAMPLE))
    lines = [
        f"def record(self, {_SIGNATURE}, *, timestamp_ns=None):",
        "    try:",
        "        lane = self._producer.local.lane",
        "    except AttributeError:",
        "        lane = self._producer.attach_thread()",
        "        if lane is not None and lane.is_compiled:",
        "            lane.adopt(self)",
        f"            return lane.record(self, {_NAMES}, timestamp_ns=timestamp_ns)",
        "    if lane is None:",
        "        return False",
        "    if lane.busy and lane.is_reentered():",
        "        return lane.refuse('reentrant')",
        "    mask = 0",
    ]
    for name in RECORD_ARGUMENTS:
        lines += [
            f"    if {name} is None: {name} = 0",
            f"    else: mask |= {FIELD[name].mask}",
        ]
    lines += [
        "    try:",
        "        offset = lane.begin(1)",
        "        if offset < 0:",
        "            return False",
        "        if timestamp_ns is None:",
        "            timestamp_ns = time_ns()",
        "        elif not timestamp_ns:",
        "            plain_time(timestamp_ns)",
        f"        pack_into(lane.buffer, offset, {int(Kind.SAMPLE)}, 1, 0, mask, self.id,",
        f"            timestamp_ns, {order})",
        "        lane.publish(1)",
        "        return True",
        "    except Exception:",
        f"        plain_values(({_NAMES}))",
        "        plain_time(timestamp_ns)",
        "        return False",
        "    finally:",
        "        if lane.busy:",
        "            lane.settle()",
    ]
    return _built(lines)


def _compile_silent() -> Any:
    """Build `record` for a process without telemetry: nothing is faster in Python."""
    return _built(
        [f"def record(self, {_SIGNATURE}, *, timestamp_ns=None):", "    return False"],
    )


def _compile_values() -> Any:
    """Build the function that puts the arguments of a call of `record` in order."""
    return _built(
        [
            f"def record({_SIGNATURE}, *, timestamp_ns=None):",
            f"    return ({_NAMES}), timestamp_ns",
        ]
    )


def _built(lines: list[str]) -> Any:
    """The function `record` that the lines define."""
    scope: dict[str, Any] = {
        "time_ns": time.time_ns,
        "pack_into": SAMPLE_FORMAT.pack_into,
        "plain_values": plain_values,
        "plain_time": plain_time,
    }
    exec("\n".join(lines), scope)  # noqa: S102 - the text is made of names of the model only
    record = scope["record"]
    record.__doc__ = _RECORD_DOC
    record.__module__ = "rnts"
    return record


record = _compile_record()
record_silently = _compile_silent()
record_values = _compile_values()  # (values in order, time) of the arguments of a call
EMITTERS.add(record.__code__)
