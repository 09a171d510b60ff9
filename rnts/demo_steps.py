"""The demo's inner loop, compiled: a step of the network, then what its neurons say of it.

Every neuron that fired delivers its spike and reports a sample and links; then a sweep goes on over
the population, so that neurons which do not fire are heard of too. A sample of a spike has as
`processing_time_ns` what its delivery took, by two readings of the clock.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

from rnts import accounting, demo_network, demo_report, events, jit, layout, model
from rnts.demo_network import Network
from rnts.demo_report import (
    CALM,
    GROUP_FAREWELL,
    GROUP_PLAN,
    PACE_CREDIT,
    PACE_RECORDS,
    PACE_SPIN_NS,
    PLAN_AVERAGE,
    PLAN_LINKS,
    PLAN_SHARE,
    PLAN_STRIDE,
    STORM,
    TOTAL_CURSOR,
    TOTAL_INPUTS,
    TOTAL_RECORDS,
    TOTAL_SPIKES,
    Reports,
    count_record,
    report_links,
    report_sample,
)
from rnts.events import Deactivated
from rnts.kernels._jit import device, inlined, kernel
from rnts.kernels.spiking import (
    GROUP_END,
    GROUP_MODE,
    HEADER_SEED,
    HEADER_STEP,
    MODE_DEAD,
    MODE_SLOW,
    advance,
    deliver,
    draw,
    stream_keys,
)

SPIKES_SHARE = 2 / 3  # of the records of a step, at most; the sweep has what is left over
STORM_FACTOR = 10.0  # a storm may report this many times the records of a whole calm step
LINKS_MAX = 4.0  # of one spike
AVERAGE_GAIN = 0.02  # weight of the newest step in the running average of spikes a step
CREDIT_STEPS_MAX = 16.0  # steps that the sweep may save up for, or be in debt for
FAREWELLS_MAX = 1_000  # of one step

_SIGNATURE = (
    "int64(int64, int64,"
    " Tuple((int64[::1], float64[::1], int64[:,::1], int64[:,::1], float64[:,::1], int64[:,::1],"
    " int32[:,::1], int32[::1], int64[::1], int32[::1], int8[::1], int32[::1])),"
    " Tuple((uint64[::1], int8[::1], int32[::1], int32[::1], int64[:,::1], float64[:,::1],"
    " float64[::1], int64[::1], int64[::1])))"
)
_DEACTIVATED = Deactivated.code
_SAMPLING_STREAM = -16  # and downwards, one a step: away from the streams of the model


@device
def plan(plans, row, spikes):
    """Choose of how many spikes one is reported, and with how many links, for the next step."""
    average = plans[row, PLAN_AVERAGE]
    average += (AVERAGE_GAIN if average > 0.0 else 1.0) * (spikes - average)
    plans[row, PLAN_AVERAGE] = average
    share = plans[row, PLAN_SHARE]
    plans[row, PLAN_STRIDE] = max(1.0, math.ceil(2.0 * average / share))
    spare = math.floor(share / max(average, 1e-3)) - 1.0
    plans[row, PLAN_LINKS] = min(max(spare, 1.0), LINKS_MAX)


@device
def make_plans(calm_spikes, storm_spikes, pace, plans):
    """Share the records of the next step out."""
    plans[CALM, PLAN_SHARE] = pace[PACE_RECORDS] * SPIKES_SHARE
    plans[STORM, PLAN_SHARE] = pace[PACE_RECORDS] * STORM_FACTOR
    plan(plans, CALM, calm_spikes)
    plan(plans, STORM, storm_spikes)


@inlined
def report_spike(lane, step, neuron, group, network, reports):
    """Deliver one spike, by the clock, and report it; returns the inputs sent."""
    row = reports.plans[reports.groups[group, GROUP_PLAN]]
    start = jit.now_ns()
    first, targets, delays = network.first, network.targets, network.delays
    sent = deliver(step, neuron, first, targets, delays, network.inbox)
    now = jit.now_ns()
    if network.groups[group, GROUP_MODE] == MODE_SLOW:
        while 0 <= now - start < reports.pace[PACE_SPIN_NS]:  # below 0: the clock was set back
            now = jit.now_ns()
    report_sample(lane, neuron, now, max(0, now - start), row[PLAN_STRIDE], network, reports)
    report_links(lane, neuron, now, int(row[PLAN_LINKS]), network, reports)
    return sent


@device
def report_spikes(lane, count, network, reports):
    """Deliver all spikes of a step; report each, or a random one of `stride` with that weight.

    Returns the records that calm groups have used up; those of a storm come on top.
    """
    step, group, storming, spent = network.header[HEADER_STEP], 0, 0, 0
    keys = stream_keys(network.header[HEADER_SEED], _SAMPLING_STREAM - step)
    first, targets, delays = network.first, network.targets, network.delays
    for index in range(count):
        neuron = network.spikes[index]
        while neuron >= network.groups[group, GROUP_END]:
            group += 1
        row = reports.groups[group, GROUP_PLAN]
        before = reports.totals[TOTAL_RECORDS]
        stride = int(reports.plans[row, PLAN_STRIDE])
        if stride == 1 or draw(keys, neuron) % stride == 0:
            sent = report_spike(lane, step, neuron, group, network, reports)
        else:
            sent = deliver(step, neuron, first, targets, delays, network.inbox)
        reports.totals[TOTAL_INPUTS] += sent
        storming += row == STORM
        spent += reports.totals[TOTAL_RECORDS] - before if row == CALM else 0
    make_plans(count - storming, storming, reports.pace, reports.plans)
    return spent


@device
def sweep(lane, spent, network, reports):
    """Report the next living neurons in turn, with the records that calm spikes have left over."""
    pace, totals = reports.pace, reports.totals
    neurons, limit = network.first.size - 1, pace[PACE_RECORDS] * CREDIT_STEPS_MAX + 1.0
    credit = min(max(pace[PACE_CREDIT] + pace[PACE_RECORDS] - spent, -limit), limit)
    cursor, group = totals[TOTAL_CURSOR], 0
    turns = min(max(int(credit), 0), neurons)
    for _ in range(turns):
        if cursor == neurons:
            cursor, group = 0, 0
        while cursor >= network.groups[group, GROUP_END]:
            group += 1
        if network.groups[group, GROUP_MODE] != MODE_DEAD:
            report_sample(lane, cursor, jit.now_ns(), None, None, network, reports)
        cursor += 1
    pace[PACE_CREDIT] = credit - turns
    totals[TOTAL_CURSOR] = cursor


@device
def say_farewell(lane, network, reports):
    """Let neurons that were killed say that they have left, so many a step."""
    for group in range(network.groups.shape[0]):
        start, end = reports.groups[group, GROUP_FAREWELL], network.groups[group, GROUP_END]
        for neuron in range(start, min(start + FAREWELLS_MAX, end)):
            accepted = jit.event(lane, reports.ids[neuron], jit.now_ns(), type=_DEACTIVATED)
            count_record(accepted, reports.totals)
        reports.groups[group, GROUP_FAREWELL] = min(start + FAREWELLS_MAX, end)


@device
def step_once(lane, network, reports):
    """One step of the model, and its reports; returns the spikes."""
    count = advance(
        network.header,
        network.parameters,
        network.groups,
        network.drive,
        network.state,
        network.counters,
        network.inbox,
        network.spikes,
    )
    spent = report_spikes(lane, count, network, reports)
    sweep(lane, spent, network, reports)
    say_farewell(lane, network, reports)
    network.header[HEADER_STEP] += 1
    return count


def _fingerprint() -> int:
    """A number for all sources that are compiled into `run_steps`."""
    digest = hashlib.sha256()
    for module in (accounting, demo_network, demo_report, events, jit, layout, model):
        digest.update(Path(str(module.__file__)).read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


def _compile(fingerprint: int) -> Any:
    """Bind the sources' fingerprint: Numba keys its cache by this file and by closure variables."""

    @kernel(_SIGNATURE)
    def run_steps(lane, steps, network, reports):
        """Advance the network by so many steps and report to `lane`; with lane 0 nobody is heard.

        `network` and `reports` are the plain tuples of a `Network` and its `Reports`. Returns the
        number of spikes. Allocates nothing.
        """
        if fingerprint < 0:
            return 0
        named, noted, fired = Network(*network), Reports(*reports), 0
        for _ in range(steps):
            fired += step_once(lane, named, noted)
        noted.totals[TOTAL_SPIKES] += fired
        return fired

    return run_steps


run_steps = _compile(_fingerprint())
