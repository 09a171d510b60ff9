"""The spiking network: equal to its slow twin, and alive as such networks are in the literature."""

import os

import naive_spiking as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnts.demo_network import (
    FLOOR_MV,
    GROUP_NAMES,
    REFRACTORY_STEPS,
    RESET_MV,
    REST_MV,
    STEPS_PER_SECOND,
    THRESHOLD_MV,
    Network,
    build_network,
    poisson_table,
)
from rnts.kernels import spiking
from rnts.kernels.spiking import (
    COUNT_BACKLOG,
    COUNT_LAST_STEP,
    COUNT_RECEIVED,
    COUNT_SPIKES,
    GROUP_MODE,
    MODE_DEAD,
    MODE_NORMAL,
    MODE_SLOW,
    STATE_INTERVAL,
    STATE_INTERVAL_SQUARE,
    STATE_POTENTIAL,
    STATE_RATE,
)

SEEDS = st.integers(0, 2**63 - 1)
MODES = st.lists(
    st.sampled_from([MODE_NORMAL, MODE_NORMAL, MODE_DEAD, MODE_SLOW]),
    min_size=len(GROUP_NAMES),
    max_size=len(GROUP_NAMES),
)
compiled_only = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"), reason="millions of updates"
)


def step(network: Network) -> list[int]:
    """One step with its deliveries; who fired."""
    count = spiking.advance(
        network.header, network.parameters, network.groups, network.drive,
        network.state, network.counters, network.inbox, network.spikes,
    )  # fmt: skip
    fired = network.spikes[:count].tolist()
    spiking.deliver_all(
        network.header, network.spikes, count,
        network.first, network.targets, network.delays, network.inbox,
    )  # fmt: skip
    return fired


def synapses_of(network: Network, neuron: int) -> list[tuple[int, int]]:
    """The (target, delay) of a neuron's synapses."""
    part = slice(network.first[neuron], network.first[neuron + 1])
    return list(zip(network.targets[part].tolist(), network.delays[part].tolist(), strict=True))


def twin_of(network: Network) -> naive.Network:
    """The slow network with the same neurons."""
    neurons = [
        naive.Neuron(
            potential=float(potential),
            excitatory=index % spiking.INHIBITORY_EVERY != spiking.INHIBITORY_EVERY - 1,
            synapses=synapses_of(network, index),
        )
        for index, potential in enumerate(network.state[STATE_POTENTIAL])
    ]
    return naive.Network(
        int(network.header[spiking.HEADER_SEED]),
        network.parameters.tolist(),
        [tuple(group) for group in network.groups.tolist()],
        network.drive.tolist(),
        neurons,
    )


def pending(network: Network) -> list[int]:
    """The inputs that each neuron has not taken."""
    return [
        spiking.pending_inputs(neuron, network.counters, network.inbox)
        for neuron in range(network.neurons)
    ]


@given(SEEDS, st.integers(-(2**40), 2**40), st.integers(0, 2**31))
def test_draw_is_the_twins(seed: int, stream: int, index: int) -> None:
    """A random word depends on seed, stream and index as the plain integers say."""
    assert spiking.draw(spiking.stream_keys(seed, stream), index) == naive.draw(seed, stream, index)


def test_draws_are_even() -> None:
    """Each bit of the random words is set half the time, whether index or stream runs on."""
    over_index = [spiking.draw(spiking.stream_keys(7, 3), i) for i in range(4096)]
    over_stream = [spiking.draw(spiking.stream_keys(7, i), 3) for i in range(4096)]
    for words in (over_index, over_stream):
        bits = np.array(words)[:, None] >> np.arange(32) & 1

        assert len(set(words)) > 4090
        assert np.all(np.abs(bits.mean(axis=0) - 0.5) < 0.05)  # 6 standard deviations


@settings(max_examples=10)
@given(SEEDS, st.integers(10, 120))
def test_wiring_is_the_twins(seed: int, neurons: int) -> None:
    """Fan-out, targets and delays are those of the twin; each fan-in is counted."""
    network = build_network(neurons, seed)
    bounds = [(int(start), int(end)) for start, end, _ in network.groups]
    expected = naive.connect(seed, neurons, bounds, 40)

    assert [synapses_of(network, neuron) for neuron in range(neurons)] == expected
    targets = [target for synapses in expected for target, _ in synapses]
    assert np.bincount(targets, minlength=neurons).tolist() == network.fan_in.tolist()


def test_wiring_is_sound() -> None:
    """No neuron leads to itself, spikes take at least a step, most synapses stay in the group."""
    network = build_network(1_000, 3)
    sources = np.repeat(np.arange(1_000), np.diff(network.first))

    assert not np.any(sources == network.targets)
    assert network.delays.min() == 1
    assert network.delays.max() < spiking.SLOTS
    assert 0.6 < np.mean(sources // 100 == network.targets // 100) < 0.7
    assert 35 < len(network.targets) / 1_000 < 45


@settings(max_examples=8)
@given(SEEDS, MODES, st.floats(0.2, 3.0))
def test_steps_are_the_twins(seed: int, modes: list[int], drive: float) -> None:
    """Spikes, potentials, counts and queues follow the twin in every mode, bit by bit."""
    network = build_network(40, seed)
    network.groups[:, GROUP_MODE] = modes
    network.drive[:] = poisson_table(drive)
    twin = twin_of(network)
    for _ in range(120):
        assert step(network) == twin.advance()
        potentials = [neuron.potential for neuron in twin.neurons]
        assert network.state[STATE_POTENTIAL].tolist() == potentials
    for row, name in (
        (COUNT_SPIKES, "spikes"),
        (COUNT_LAST_STEP, "last"),
        (COUNT_RECEIVED, "received"),
    ):
        expected = [getattr(neuron, name) for neuron in twin.neurons]
        assert network.counters[row].tolist() == expected
    for row, name in (
        (STATE_RATE, "rate"),
        (STATE_INTERVAL, "interval"),
        (STATE_INTERVAL_SQUARE, "square"),
    ):
        expected = [getattr(neuron, name) for neuron in twin.neurons]
        assert network.state[row] == pytest.approx(expected, rel=1e-12)
    assert pending(network) == [twin.pending(index) for index in range(40)]


def test_leak_decays_to_rest() -> None:
    """Without input the distance from rest shrinks by the same factor in each step."""
    network = build_network(10, 1)
    network.drive[:] = poisson_table(0.0)
    network.state[STATE_POTENTIAL] = np.linspace(FLOOR_MV, THRESHOLD_MV - 0.1, 10)
    start = network.state[STATE_POTENTIAL] - REST_MV
    for steps in range(1, 101):
        assert step(network) == []
        expected = REST_MV + start * np.exp(-steps / 20.0)
        assert network.state[STATE_POTENTIAL] == pytest.approx(expected, abs=1e-9)


def test_refractory_neurons_rest() -> None:
    """Under the strongest drive a neuron waits out its refractory steps, held at reset."""
    network = build_network(50, 5)
    network.drive[:] = poisson_table(25.0)
    last: dict[int, int] = {}
    for now in range(200):
        fired = step(network)
        for neuron in fired:
            assert now - last.get(neuron, -100) > REFRACTORY_STEPS
        held = [n for n, then in last.items() if now - then <= REFRACTORY_STEPS]
        assert np.all(network.state[STATE_POTENTIAL][held] == RESET_MV)
        last.update(dict.fromkeys(fired, now))
    assert len(last) == 50


def test_inhibition_stops_at_the_floor() -> None:
    """A flood of inhibitory inputs pulls the potential to the floor and not below."""
    network = build_network(10, 1)
    network.drive[:] = poisson_table(0.0)
    network.inbox[0] = 1_000 << 16

    assert step(network) == []
    assert np.all(network.state[STATE_POTENTIAL] == FLOOR_MV)


@pytest.mark.parametrize("mean", [0.0, 0.3, 0.8, 4.0, 14.0])
def test_drive_is_poisson(mean: float) -> None:
    """Inputs from outside have the mean and the variance of a Poisson number."""
    table, keys = poisson_table(mean), spiking.stream_keys(1, 1)
    counts = [spiking.count_outside(spiking.draw(keys, index), table) for index in range(20_000)]

    assert np.mean(counts) == pytest.approx(mean, abs=0.01 + 0.05 * mean**0.5)
    assert np.var(counts) == pytest.approx(mean, rel=0.1)


def test_no_input_is_lost() -> None:
    """What the synapses of all spikes sent is what was received and what is still pending."""
    network = build_network(60, 2)
    network.groups[3, GROUP_MODE] = MODE_SLOW
    network.drive[:] = poisson_table(2.0)
    for _ in range(100):
        step(network)
    sent = int(np.sum(network.counters[COUNT_SPIKES] * np.diff(network.first)))
    backlog = sum(
        (int(word) & 0xFFFFFFFF) + (int(word) >> 32) for word in network.counters[COUNT_BACKLOG]
    )

    assert backlog > 0
    assert sent == int(network.counters[COUNT_RECEIVED].sum()) + sum(pending(network)) - backlog


def test_dead_group_is_silent() -> None:
    """A dead group neither fires nor counts what it is sent, and its inbox does not fill up."""
    network = build_network(100, 4)
    network.drive[:] = poisson_table(3.0)
    network.groups[2, GROUP_MODE] = MODE_DEAD
    fired = {neuron for _ in range(100) for neuron in step(network)}

    assert fired
    assert not fired & set(range(20, 30))
    assert not network.counters[COUNT_RECEIVED, 20:30].any()
    halves = network.inbox[:, 20:30].view(np.uint16)  # excitatory and inhibitory inputs
    assert halves.max() < network.fan_in.max()


def test_slow_group_falls_behind() -> None:
    """A slow neuron's queue grows while those of the others stay short."""
    network = build_network(100, 4)
    network.drive[:] = poisson_table(2.0)
    network.groups[2, GROUP_MODE] = MODE_SLOW
    for _ in range(200):
        step(network)
    queues = np.array(pending(network))

    assert queues[20:30].min() > 2 * np.delete(queues, np.s_[20:30]).max()


def test_seed_decides() -> None:
    """The same seed gives the same spikes, another seed gives others."""
    runs = []
    for seed in (1, 1, 2):
        network = build_network(100, seed)
        runs.append([step(network) for _ in range(60)])

    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@compiled_only
def test_network_is_asynchronous_and_irregular() -> None:
    """Rates of a few to some tens of hertz in every group, irregular neurons, no common beat."""
    network, seconds, settle = build_network(1_000, 1), 3, 500
    for _ in range(settle):
        step(network)
    before = network.counters[COUNT_SPIKES].copy()
    population = np.array([len(step(network)) for _ in range(seconds * STEPS_PER_SECOND)])
    rates = (network.counters[COUNT_SPIKES] - before) / seconds
    of_groups = [rates[start:end].mean() for start, end, _ in network.groups]
    busy = network.counters[COUNT_SPIKES] > 20
    mean, square = network.state[STATE_INTERVAL][busy], network.state[STATE_INTERVAL_SQUARE][busy]
    irregularity = np.sqrt(square - mean**2) / mean

    assert 5 < rates.mean() < 20
    assert 1 < min(of_groups) < max(of_groups) < 40
    assert rates.max() < 80
    assert 0.5 < irregularity.mean() < 1.2
    assert population.var() / population.mean() < 4  # 1 for independent neurons, 1,000 in lockstep
