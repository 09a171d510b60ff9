"""What a neuron costs an aggregator in memory: `python -m rnts.perf.neuron_memory NEURONS SAMPLES`.

All neurons name themselves, as an agent has them do, and report a full record so many times a
window, while one window is shown and two fill. There are the rules of config/alerts.yaml. What is
printed is by how much the resident memory of this process has grown, divided by the neurons: rows,
index, names, windows, what rules read, and the decoder's rows for the agent's session.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from typing import Any

import numpy as np

from rnts.accounting import SOURCE_COLUMNS
from rnts.frame import DecoderSession, FrameDecoder, FrameEncoder
from rnts.model import FIELDS, Kind
from rnts.perf import workload
from rnts.perf.codec import copy_of
from rnts.records import Records
from rnts.rules.condition import parse_condition
from rnts.settings import load_file
from rnts.warmup import load_kernels
from rnts.windows import Windows

_NEURONS, _NEURONS_SMOKE, _BATCH, _GROUPS = 1_000_000, 5_000, 10_000, 16
_WINDOW_NS, _WINDOWS, _UNSEALED, _PERCENTILES = 1_000_000_000, 7, 2, (50, 90, 95, 99, 99.9)
_NEURONS_FIRST = 1_000
_PAGE_BYTES, _LIMIT_S = 4096, 300.0


def neuron_memory(smoke: bool) -> dict[str, Any]:
    """Bytes of a neuron that says one thing a window, and of one that says three."""
    neurons = _NEURONS_SMOKE if smoke else _NEURONS
    found = {}
    for name, samples in (("neuron_bytes", 1), ("neuron_of_three_samples_bytes", 3)):
        command = [sys.executable, "-m", "rnts.perf.neuron_memory", str(neurons), str(samples)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_LIMIT_S)
        found[name] = json.loads(done.stdout)
    return found


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES


def _names(ids: np.ndarray) -> Iterator[Records]:
    """What these neurons say that they are, a batch after the other."""
    for start in range(0, len(ids), _BATCH):
        some, texts = ids[start : start + _BATCH], []
        for number in range(start, start + len(some)):
            words = f"worker-{number}", f"group-{number % _GROUPS}", "worker", "host-1"
            texts.append(b"".join(bytes([len(word)]) + word.encode() for word in words))
        yield Records(
            count=len(some),
            ids=some,
            times_ns=np.full(len(some), workload.START_NS),
            kinds=np.full(len(some), Kind.NAME, np.uint8),
            masks=np.zeros(len(some), np.int64),
            values=np.zeros((len(some), len(FIELDS)), np.int64),
            text_offsets=np.cumsum([0, *map(len, texts)]),
            text=np.frombuffer(bytearray().join(texts), np.uint8),
        )


def measure(neurons: int, samples: int) -> float:
    """Bytes of one of so many neurons that all say so many things in each window."""
    encoder, decoder, session = FrameEncoder(1, 1, "none"), FrameDecoder(), DecoderSession()
    no_sources = np.zeros((0, len(SOURCE_COLUMNS)), np.int64)
    slots = workload.of_many(neurons, 1, _BATCH)[:-1]
    frames = [
        encoder.encode(one, sequence=number, watermark_ns=0, sources=no_sources)
        for number, one in enumerate(slots, 1)
    ]
    batches = [copy_of(decoder.decode(frame, None, session).records) for frame in frames]
    del session, encoder, slots
    before = _resident_bytes()
    windows = Windows(_WINDOW_NS, _PERCENTILES, max_neurons=neurons, unsealed=_UNSEALED)
    with resources.as_file(resources.files("rnts.config") / "alerts.yaml") as path:
        for alert in load_file(path).alerts:
            windows.reflex.register(alert.name, parse_condition(alert.condition))
    session = DecoderSession()
    for frame in frames:
        decoder.decode(frame, None, session)
    for batch in batches:
        for named in _names(batch.ids):
            windows.fold(named, workload.START_NS)
    for window in range(_WINDOWS):
        start_ns = (workload.START_NS // _WINDOW_NS + window) * _WINDOW_NS
        for place in range(samples):
            for batch in batches:
                batch.times_ns[:] = start_ns + place
                now_ns, steady_ns = start_ns + place, (window + 1) * _WINDOW_NS + place
                windows.reflex.arrive(now_ns, steady_ns)
                windows.fold(batch, now_ns)
                windows.reflex.evaluate(now_ns, steady_ns)
        windows.advance(start_ns, complete=True)  # which closes the one before it
    return (_resident_bytes() - before) / neurons


if __name__ == "__main__":
    load_kernels()
    measure(_NEURONS_FIRST, 1)  # what is there once, however many neurons there are
    print(json.dumps(measure(*map(int, sys.argv[1:]))))
