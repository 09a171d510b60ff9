"""The network that the demo runs: its size, its groups, its names and all its arrays."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnts.errors import UsageError
from rnts.kernels import spiking

NEURONS_MIN, NEURONS_MAX = 10, 1_000_000
STEP_NS = 1_000_000  # model time of one step
STEPS_PER_SECOND = 1_000_000_000 // STEP_NS
SYNAPSES_MEAN = 40
SYNAPSES_MEAN_LARGE = 20  # above NEURONS_LARGE, so that a million neurons stay below 1 GB
NEURONS_LARGE = 200_000

REST_MV, RESET_MV, THRESHOLD_MV, FLOOR_MV = -70.0, -60.0, -50.0, -80.0
MEMBRANE_STEPS = 20.0  # time constant of the leak
EXCITATION_MV = 0.7  # what one excitatory input adds, at SYNAPSES_MEAN
INHIBITION_RATIO = 5.0  # inhibition wins: the network stays irregular and does not explode
OUTSIDE_MV = 1.0
OUTSIDE_PER_STEP = 0.8  # inputs from outside; with them alone the mean lies below the threshold
REFRACTORY_STEPS = 2
RATE_STEPS = 1000.0  # time constant of the estimate of a neuron's rate
STORM_PER_STEP = 14.0
_DRIVE_COLUMNS = 32

# Group and strength of its drive: the senses are busier than the memory.
GROUPS = (
    ("sensory", 1.15),
    ("thalamus", 1.1),
    ("cortex-1", 1.0),
    ("cortex-2", 1.0),
    ("cortex-3", 0.95),
    ("cortex-4", 0.95),
    ("hippocampus", 0.9),
    ("amygdala", 0.85),
    ("cerebellum", 1.05),
    ("motor", 1.0),
)
GROUP_NAMES = tuple(name for name, _ in GROUPS)
EXCITATORY, INHIBITORY = "excitatory", "inhibitory"


class Network(NamedTuple):
    """The arrays of `rnts.kernels.spiking`, by the names that its docstring draws them under.

    `fan_in`, int32[neurons], counts the synapses that lead to each neuron.
    """

    header: NDArray[np.int64]
    parameters: NDArray[np.float64]
    groups: NDArray[np.int64]
    drive: NDArray[np.int64]
    state: NDArray[np.float64]
    counters: NDArray[np.int64]
    inbox: NDArray[np.int32]
    spikes: NDArray[np.int32]
    first: NDArray[np.int64]
    targets: NDArray[np.int32]
    delays: NDArray[np.int8]
    fan_in: NDArray[np.int32]

    @property
    def neurons(self) -> int:
        """How many neurons there are."""
        return int(self.state.shape[1])

    @property
    def neuron_bytes(self) -> int:
        """What one neuron holds in memory besides its synapses."""
        arrays = (self.state, self.counters, self.inbox, self.spikes, self.first, self.fan_in)
        return sum(array.nbytes for array in arrays) // self.neurons

    @property
    def synapse_bytes(self) -> int:
        """What one synapse holds in memory."""
        return self.targets.itemsize + self.delays.itemsize


def build_network(neurons: int, seed: int) -> Network:
    """Allocate and connect a network; the same arguments give the same network.

    Raises UsageError where `neurons` is not in NEURONS_MIN … NEURONS_MAX or `seed` not 64-bit.
    """
    if not NEURONS_MIN <= neurons <= NEURONS_MAX:
        limits = f"{NEURONS_MIN} to {NEURONS_MAX:,}"
        raise UsageError(f"a network has {limits} neurons, not {neurons:,}")
    if not 0 <= seed < 1 << 63:
        raise UsageError(f"a seed is at least 0 and below 2^63, not {seed}")
    synapses_mean = SYNAPSES_MEAN if neurons <= NEURONS_LARGE else SYNAPSES_MEAN_LARGE
    bounds = [neurons * group // len(GROUPS) for group in range(len(GROUPS) + 1)]
    groups = np.zeros((len(GROUPS), 3), np.int64)
    groups[:, spiking.GROUP_FIRST], groups[:, spiking.GROUP_END] = bounds[:-1], bounds[1:]
    first = np.zeros(neurons + 1, np.int64)
    synapses = spiking.count_synapses(seed, synapses_mean, first)
    targets, delays = np.zeros(synapses, np.int32), np.zeros(synapses, np.int8)
    fan_in = np.zeros(neurons, np.int32)
    spiking.connect(seed, groups, first, targets, delays, fan_in)
    state = np.zeros((4, neurons))
    scatter = np.random.default_rng(seed).random(neurons)  # else all would fire together at first
    state[spiking.STATE_POTENTIAL] = REST_MV + (THRESHOLD_MV - REST_MV) * scatter
    counters = np.zeros((4, neurons), np.int64)
    counters[spiking.COUNT_LAST_STEP] = spiking.NEVER
    return Network(
        header=np.array([0, seed], np.int64),
        parameters=_parameters(synapses_mean),
        groups=groups,
        drive=np.stack([poisson_table(OUTSIDE_PER_STEP * strength) for _, strength in GROUPS]),
        state=state,
        counters=counters,
        inbox=np.zeros((spiking.SLOTS, neurons), np.int32),
        spikes=np.zeros(neurons, np.int32),
        first=first,
        targets=targets,
        delays=delays,
        fan_in=fan_in,
    )


def _parameters(synapses_mean: int) -> NDArray[np.float64]:
    """The model's constants; weights grow as fan-in falls, so that the noise stays the same."""
    parameters = np.zeros(10)
    weight = EXCITATION_MV * math.sqrt(SYNAPSES_MEAN / synapses_mean)
    for place, value in (
        (spiking.PARAMETER_REST, REST_MV),
        (spiking.PARAMETER_RESET, RESET_MV),
        (spiking.PARAMETER_THRESHOLD, THRESHOLD_MV),
        (spiking.PARAMETER_FLOOR, FLOOR_MV),
        (spiking.PARAMETER_DECAY, math.exp(-1.0 / MEMBRANE_STEPS)),
        (spiking.PARAMETER_EXCITATION, weight),
        (spiking.PARAMETER_INHIBITION, weight * INHIBITION_RATIO),
        (spiking.PARAMETER_DRIVE, OUTSIDE_MV),
        (spiking.PARAMETER_REFRACTORY, REFRACTORY_STEPS),
        (spiking.PARAMETER_RATE_STEPS, RATE_STEPS),
    ):
        parameters[place] = value
    return parameters


def poisson_table(mean: float) -> NDArray[np.int64]:
    """Cumulative probabilities of a Poisson number times 2^32; the last column is certain."""
    probabilities = [math.exp(-mean)]
    for count in range(1, _DRIVE_COLUMNS):
        probabilities.append(probabilities[-1] * mean / count)
    table = np.floor(np.cumsum(probabilities) * 2.0**32).astype(np.int64)
    table[-1] = 1 << 32
    return table


def neuron_names(network: Network) -> Iterator[tuple[str, int, list[str]]]:
    """For each group its name, the index of its first neuron, and its neurons' names."""
    for group, name in enumerate(GROUP_NAMES):
        start, end = (int(bound) for bound in network.groups[group, :2])
        width = max(4, len(str(end - start - 1)))
        yield name, start, [f"{name}/{index:0{width}}" for index in range(end - start)]


def role_of(neuron: int) -> str:
    """What a neuron does to the neurons that it leads to."""
    is_inhibitory = neuron % spiking.INHIBITORY_EVERY == spiking.INHIBITORY_EVERY - 1
    return INHIBITORY if is_inhibitory else EXCITATORY
