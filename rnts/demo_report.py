"""What a neuron of the demo says of itself, from inside compiled code, through `rnts.jit`."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts import jit
from rnts.demo_network import RATE_STEPS, STEP_NS, STEPS_PER_SECOND, Network
from rnts.events import ErrorOccurred, ThresholdExceeded
from rnts.kernels._jit import inlined
from rnts.kernels.spiking import (
    COUNT_LAST_STEP,
    COUNT_RECEIVED,
    COUNT_SPIKES,
    GROUP_END,
    HEADER_STEP,
    STATE_INTERVAL,
    STATE_INTERVAL_SQUARE,
    STATE_POTENTIAL,
    STATE_RATE,
    pending_inputs,
)
from rnts.model import Health

GROUP_PLAN, GROUP_FAREWELL = 0, 1
CALM, STORM = 0, 1  # plans: as much as fits the rate, or all that a storm brings
PLAN_SHARE, PLAN_AVERAGE, PLAN_STRIDE, PLAN_LINKS = 0, 1, 2, 3
PACE_RECORDS, PACE_CREDIT, PACE_SPIN_NS = 0, 1, 2
TOTAL_SPIKES, TOTAL_INPUTS, TOTAL_RECORDS, TOTAL_REFUSED, TOTAL_CURSOR = 0, 1, 2, 3, 4
SIZE_NEURON, SIZE_SYNAPSE = 0, 1

INTERVALS_MIN = 8  # spikes before the irregularity of a neuron means something
INPUT_BYTES = 4  # what one synaptic input takes in an inbox
RATE_DEGRADED_HZ, RATE_CRITICAL_HZ = 90.0, 180.0
QUEUE_DEGRADED, QUEUE_CRITICAL = 50, 500
RECOVERY = 0.8  # a state is left below this part of its limit, so that it does not flicker

_HEALTHY, _DEGRADED, _CRITICAL = int(Health.HEALTHY), int(Health.DEGRADED), int(Health.CRITICAL)
_EXCEEDED, _ERROR = ThresholdExceeded.code, ErrorOccurred.code


class Reports(NamedTuple):
    """What reporting needs besides the network, for N neurons in G groups with S synapses.

    ids       uint64[N]
    health    int8[N]         as last reported
    links     int32[N]        the synapse of each neuron, from its first, that is reported next
    reported  int32[S]        the neuron's spikes when the synapse was last reported
    groups    int64[G, 2]     GROUP_*; a farewell is the next neuron that says that it has left
    plans     float64[2, 4]   PLAN_* of calm and of storming groups
    pace      float64[3]      PACE_*; records a step, credit of the sweep, how long the slow spin
    totals    int64[5]        TOTAL_*
    sizes     int64[2]        bytes of a neuron and of a synapse
    """

    ids: NDArray[np.uint64]
    health: NDArray[np.int8]
    links: NDArray[np.int32]
    reported: NDArray[np.int32]
    groups: NDArray[np.int64]
    plans: NDArray[np.float64]
    pace: NDArray[np.float64]
    totals: NDArray[np.int64]
    sizes: NDArray[np.int64]


def allocate_reports(network: Network, ids: NDArray[np.uint64]) -> Reports:
    """Reports of a network that nothing has been said of yet."""
    groups = np.zeros((len(network.groups), 2), np.int64)
    groups[:, GROUP_FAREWELL] = network.groups[:, GROUP_END]
    plans = np.zeros((2, 4))
    plans[:, PLAN_STRIDE] = plans[:, PLAN_LINKS] = 1
    return Reports(
        ids=ids,
        health=np.zeros(network.neurons, np.int8),
        links=np.zeros(network.neurons, np.int32),
        reported=np.zeros(len(network.targets), np.int32),
        groups=groups,
        plans=plans,
        pace=np.zeros(3),
        totals=np.zeros(5, np.int64),
        sizes=np.array([network.neuron_bytes, network.synapse_bytes], np.int64),
    )


# Without inlining each call copies 21 arrays' descriptors: 170 ns, thrice the work of a sample.
@inlined
def judge(rate_hz, queue, before):
    """The health of a neuron that fires and queues so, and said `before` of itself last."""
    keep_critical = RECOVERY if before == _CRITICAL else 1.0
    if rate_hz > RATE_CRITICAL_HZ * keep_critical or queue > QUEUE_CRITICAL * keep_critical:
        return _CRITICAL
    keep_degraded = RECOVERY if before != _HEALTHY else 1.0
    if rate_hz > RATE_DEGRADED_HZ * keep_degraded or queue > QUEUE_DEGRADED * keep_degraded:
        return _DEGRADED
    return _HEALTHY


@inlined
def count_record(accepted, totals):
    """Count a record that was offered, and whether the lane refused it."""
    totals[TOTAL_RECORDS] += 1
    if not accepted:
        totals[TOTAL_REFUSED] += 1


@inlined
def report_health(lane, neuron, now, rate_hz, queue, reports):
    """Judge a neuron; a turn for the worse is an event of its own. Returns the state."""
    before = reports.health[neuron]
    state = judge(rate_hz, queue, before)
    if state > before:
        value = rate_hz if rate_hz > RATE_DEGRADED_HZ else float(queue)
        code = _ERROR if state == _CRITICAL else _EXCEEDED
        said = jit.event(lane, reports.ids[neuron], now, type=code, value=value)
        count_record(said, reports.totals)
    reports.health[neuron] = state
    return state


@inlined
def report_sample(lane, neuron, now, took_ns, weight, network, reports):
    """One sample of a neuron; `took_ns` and `weight` are None where there is none to report."""
    state, counters = network.state, network.counters
    fan_out = network.first[neuron + 1] - network.first[neuron]
    fired, received = counters[COUNT_SPIKES, neuron], counters[COUNT_RECEIVED, neuron]
    since = network.header[HEADER_STEP] - counters[COUNT_LAST_STEP, neuron]
    rate_hz = state[STATE_RATE, neuron] * math.exp(-since / RATE_STEPS) * STEPS_PER_SECOND
    queue = pending_inputs(neuron, counters, network.inbox)
    noise = math.nan  # which the road takes as absent
    if fired >= INTERVALS_MIN:
        mean = state[STATE_INTERVAL, neuron]
        noise = max(0.0, 1.0 - mean * mean / state[STATE_INTERVAL_SQUARE, neuron])
    said = report_health(lane, neuron, now, rate_hz, queue, reports)
    accepted = jit.record(
        lane,
        reports.ids[neuron],
        now,
        activation_count=fired,
        processing_time_ns=took_ns,
        queue_depth=queue,
        memory_bytes=reports.sizes[SIZE_NEURON] + fan_out * reports.sizes[SIZE_SYNAPSE],
        messages_sent=fired * fan_out,
        messages_received=received,
        bytes_transmitted=(fired * fan_out + received) * INPUT_BYTES,
        connection_count=fan_out + network.fan_in[neuron],
        signal_strength=rate_hz,
        noise_ratio=noise,
        activation_potential=state[STATE_POTENTIAL, neuron],
        health=said,
        weight=weight,
    )
    count_record(accepted, reports.totals)


@inlined
def report_links(lane, neuron, now, count, network, reports):
    """The next `count` synapses of a neuron, in turn, with all spikes since each was reported."""
    start, fan_out = network.first[neuron], network.first[neuron + 1] - network.first[neuron]
    fired = network.counters[COUNT_SPIKES, neuron]
    turn = reports.links[neuron]
    for _ in range(min(count, fan_out)):
        synapse = start + turn
        messages = fired - reports.reported[synapse]
        reports.reported[synapse] = fired
        accepted = jit.link(
            lane,
            reports.ids[neuron],
            now,
            peer_id=reports.ids[network.targets[synapse]],
            messages=messages,
            bytes=messages * INPUT_BYTES,
            latency_ns=network.delays[synapse] * STEP_NS,
        )
        count_record(accepted, reports.totals)
        turn = turn + 1 if turn + 1 < fan_out else 0
    reports.links[neuron] = turn
