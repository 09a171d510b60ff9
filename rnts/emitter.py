"""`Neuron.record` as a plain function, generated from the model."""

import time
from typing import Any

from rnts.model import FIELD, METRIC_NAMES, Kind
from rnts.writer import EMITTERS, SAMPLE_FORMAT, fields_of

_RECORD_DOC = """Report what the neuron did; True if the record is on its way to the agent.

Pass what you know, by name or in this order; what is left out stays absent. Never raises: a
value of a wrong type or range drops the record under the reason `invalid`, a full lane under
`lane_full`, and an unknown metric is left out, counted and warned about once.
"""


def _compile_record() -> Any:
    """Build `Neuron.record` from the model: one flat function, since this is the hot path.

    A loop over keyword arguments took twice the time of these tests and one `pack_into`.
    """
    names = [*METRIC_NAMES, "health", "weight"]
    order = [f.name for f in fields_of(Kind.SAMPLE)]
    arguments = ", ".join(f"{name}=None" for name in names)
    lines = [
        f"def record(self, {arguments}, *, timestamp_ns=None, **unknown):",
        "    try:",
        "        lane = self._producer.local.writer",
        "    except AttributeError:",
        "        lane = self._producer.attach_thread()",
        "    if lane is None:",
        "        return False",
        "    if lane.busy and lane.is_reentered():",
        "        return lane.refuse('reentrant')",
        "    if unknown:",
        "        self._producer.warn_unknown(unknown)",
        "    mask = 0",
    ]
    for name in names:
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
        f"        pack_into(lane.buffer, offset, {int(Kind.SAMPLE)}, 1, 0, mask, self.id,",
        f"            timestamp_ns, {', '.join(order)})",
        "        lane.publish(1)",
        "        return True",
        "    except Exception:",
        "        return False",
        "    finally:",
        "        if lane.busy:",
        "            lane.settle()",
    ]
    scope: dict[str, Any] = {"time_ns": time.time_ns, "pack_into": SAMPLE_FORMAT.pack_into}
    exec("\n".join(lines), scope)  # noqa: S102 - the text is made of names of the model only
    record = scope["record"]
    record.__doc__ = _RECORD_DOC
    record.__module__ = "rnts"
    return record


record = _compile_record()
EMITTERS.add(record.__code__)
