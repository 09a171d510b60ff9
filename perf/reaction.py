"""From `record()` to a started action: real processes, a canary among the load, one clock.

Agent, aggregator and alert process run as `rnts up` runs them. Canaries of this process turn bad at
random moments; a rule of all neurons sees that, and its action publishes. `reaction_…` is from just
before the record to the arrival of what was published, so it has one hop more than the action's
start. The load is a million records a second from four programs; `reaction_idle_…` is without it.
`relay_…` is what three processes take that only pass a message on (`relay.py`), before ours.
`storm_ms` is from the moment at which 10,000 neurons of ten groups turn critical to the arrival of
the last group's first notification.
"""

import json
import random
import statistics
import time
from collections import Counter
from typing import Any

import numpy as np
import zmq

import rnts
from rnts.errors import RntsError
from rnts.perf.pipeline import Road
from rnts.perf.relay import Relay
from rnts.perf.sandbox import Sandbox, sandbox
from rnts.producer import PROCESS
from rnts.query import Client

PRODUCERS, RATE = 4, 1_000_000
_CANARIES, _SAMPLES, _SAMPLES_SMOKE = 512, 10_000, 40
_GAP_S, _BAD_S, _PATIENCE_S = 0.008, 1.5, 5.0
_RELAYED, _RELAYED_SMOKE = 2_000, 40
_BAD, _GOOD = 4_000_000_000, 0  # of queue_depth; the load stays far below
_NEURONS, _NEURONS_SMOKE, _GROUPS = 10_000, 200, 10
_CRITICAL, _HEALTHY = 2, 0
_TOPIC = "bench"
SETTINGS = """
alerts:
  - {name: canary, condition: "queue_depth > 3000000000", severity: critical, receivers: [bench]}
  - name: storm
    condition: "health_status == 'critical'"
    severity: critical
    receivers: [bench]
    limit: 20000
actions: [{name: bench, kind: publish}]
receivers: [{name: bench, actions: [bench], resolved: false, burst: 10000, repeat: 0s}]
alerting: {flapping: {begins_at: 1000, ends_below: 2}}
"""


class Topic:
    """Hears what the alert process publishes."""

    def __init__(self, box: Sandbox) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.SUBSCRIBE, _TOPIC.encode())
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.connect(f"ipc://{box.folder}/control.sock")

    def hear(self, timeout_s: float) -> tuple[int, dict[str, Any]] | None:
        """The next notification and when it arrived; None if there is none in time."""
        if not self._socket.poll(max(0, round(timeout_s * 1000))):
            return None
        _, body = self._socket.recv_multipart()
        return time.time_ns(), json.loads(body)

    def close(self) -> None:
        """Hear no more."""
        self._context.destroy(linger=0)


class Canaries:
    """Turns one canary bad after the other, and notes when that is told."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._neurons = [rnts.neuron(f"canary-{i}", group="canaries") for i in range(_CANARIES)]
        for neuron in self._neurons:
            neuron.record(queue_depth=_GOOD)
        self._since_ns: dict[str, int] = {}
        self._next = 0

    def warm_up(self) -> None:
        """Wait until the whole road stands: one canary is told of."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self._neurons[0].record(queue_depth=_BAD)
            if self._topic.hear(0.5) is not None:
                self._neurons[0].record(queue_depth=_GOOD)
                time.sleep(1.0)
                return
            self._neurons[0].record(queue_depth=_GOOD)
            time.sleep(0.2)
        raise RntsError("the alert process tells nothing")

    def sample(self, count: int, gap_s: float = _GAP_S) -> tuple[list[int], int]:
        """How long each took in ns, and how many were never told of."""
        times: list[int] = []
        back_at: list[tuple[float, int]] = []
        made, due = 0, time.monotonic()
        while made < count:
            now = time.monotonic()
            while back_at and back_at[0][0] <= now:
                self._neurons[back_at.pop(0)[1]].record(queue_depth=_GOOD)
            if now >= due:
                self._next = (self._next + 1) % _CANARIES
                self._since_ns[f"canary-{self._next}"] = time.time_ns()
                self._neurons[self._next].record(queue_depth=_BAD)
                back_at.append((now + _BAD_S, self._next))
                made, due = made + 1, now + gap_s * random.uniform(0.5, 1.5)
            self._take(times, due - time.monotonic())
        deadline = time.monotonic() + _PATIENCE_S
        while self._since_ns and time.monotonic() < deadline:
            self._take(times, 0.1)
        lost = len(self._since_ns)
        self._since_ns.clear()
        for _, number in back_at:
            self._neurons[number].record(queue_depth=_GOOD)
        time.sleep(_BAD_S)
        return times, lost

    def _take(self, times: list[int], timeout_s: float) -> None:
        heard = self._topic.hear(timeout_s)
        if heard is None:
            return
        arrived_ns, document = heard
        for alert in document["alerts"]:
            since_ns = self._since_ns.pop(alert["labels"].get("neuron", ""), None)
            if since_ns is not None and alert["kind"] == "firing":
                times.append(arrived_ns - since_ns)


def _storm(topic: Topic, count: int) -> tuple[float, int]:
    """Milliseconds until the last group was told of, and notifications of all groups."""
    neurons = [rnts.neuron(f"storm-{i}", group=f"storm-{i % _GROUPS}") for i in range(count)]
    table = np.zeros(count, [("neuron_id", "<u8"), ("health", "u1")])
    table["neuron_id"] = [neuron.id for neuron in neurons]
    table["health"] = _HEALTHY
    rnts.record_batch(table)
    time.sleep(3.0)
    table["health"] = _CRITICAL
    start_ns, last_ns, told = time.time_ns(), 0, Counter[str]()
    rnts.record_batch(table)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        heard = topic.hear(0.2)
        if heard is None or heard[1]["rule"] != "storm":
            continue
        group = heard[1]["group"].get("group", "")
        if not told[group]:
            last_ns = heard[0]
        told[group] += 1
    if len(told) < _GROUPS:
        raise RntsError(f"a storm of {_GROUPS} groups was told of {len(told)}")
    return (last_ns - start_ns) / 1e6, sum(told.values())


def percentiles(times: list[int], name: str) -> dict[str, float]:
    """Three of what so many took, by the names of their figures; infinite where there are none."""
    found = np.percentile(times, [50, 99, 99.9]) if times else [float("inf")] * 3
    names = (f"{name}_ns_p50", f"{name}_ns_p99", f"{name}_ns_p999")
    return dict(zip(names, map(float, found), strict=True))


def begin(box: Sandbox) -> tuple[Topic, Canaries]:
    """Start the alert process on a road that stands; returns when a canary was told of."""
    rules = box.folder / "rules.yaml"
    rules.write_text(SETTINGS)
    box.start_rnts("alert", "--rules", str(rules))
    topic = Topic(box)
    rnts.attach(jit=False)
    canaries = Canaries(topic)
    canaries.warm_up()
    return topic, canaries


def reaction(smoke: bool) -> dict[str, Any]:
    """Times of reaction under load and without, those never told of, and a storm."""
    samples, relayed = (_SAMPLES_SMOKE, _RELAYED_SMOKE) if smoke else (_SAMPLES, _RELAYED)
    with sandbox() as box, Client() as client:
        road, relay = Road(box, client, 1000, 1 if smoke else PRODUCERS), Relay(box)
        topic, canaries = begin(box)
        try:
            relay_idle = relay.sample(relayed)
            idle, lost_idle = canaries.sample(samples)
            seconds = (samples + relayed) * _GAP_S * 1.1 + (2.0 if smoke else 8.0)
            with road.under_load(RATE // 10 if smoke else RATE, seconds) as load:
                time.sleep(1.0)
                relay_loaded = relay.sample(relayed)
                loaded, lost_loaded = canaries.sample(samples)
            storm_ms, told = _storm(topic, _NEURONS_SMOKE if smoke else _NEURONS)
        finally:
            relay.close()
            topic.close()
            PROCESS.close(unlink=True)
    figures: dict[str, Any] = {
        **percentiles(loaded, "reaction"),
        **percentiles(relay_loaded, "relay"),
        **percentiles(idle, "reaction_idle"),
        **percentiles(relay_idle, "relay_idle"),
        "reaction_samples": len(loaded),
        "load_records_per_second": load.taken / seconds,
        "load_lost": load.lost,
        "lost": lost_idle + lost_loaded,
        "storm_ms": storm_ms,
        "storm_groups": _GROUPS,
        "storm_notifications": told,
    }
    return figures | {"reaction_mean_ns": statistics.fmean(loaded) if loaded else None}
