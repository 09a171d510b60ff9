"""The spiking network, slow and obvious: objects for neurons, a calendar for what travels."""

import math
from collections import defaultdict
from dataclasses import dataclass, field

from rnts.kernels import spiking

WORD = 1 << 32


def scramble(word: int) -> int:
    """The mixer, in integers without bounds."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        word = (word ^ (word >> shift)) * factor % WORD
    return word


def draw(seed: int, stream: int, index: int) -> int:
    """The random word of a place in one of a seed's streams."""
    seed_high, seed_low = divmod(seed, WORD)
    stream_high, stream_low = divmod(stream, WORD)
    low = scramble(scramble(stream_low) ^ seed_low)
    high = scramble(low ^ seed_high % WORD ^ stream_high % WORD ^ 0x9E3779B9)
    return scramble(scramble((index + low) % WORD) ^ high)


def connect(
    seed: int, neurons: int, bounds: list[tuple[int, int]], mean: int
) -> list[list[tuple[int, int]]]:
    """For each neuron the (target, delay) of its synapses."""
    network: list[list[tuple[int, int]]] = []
    number = 0  # of the synapse, over all neurons
    for neuron in range(neurons):
        start, end = next((s, e) for s, e in bounds if s <= neuron < e)
        synapses = []
        for _ in range((mean + 1) // 2 + draw(seed, -1, neuron) % (mean + 1)):
            kind, place = draw(seed, -2, number), draw(seed, -3, number)
            number += 1
            if kind % 256 < 154:
                target, delay = start + place % (end - start), 1 + kind // 256 % 3
            else:
                target, delay = place % neurons, 3 + kind // 256 % 5
            synapses.append(((neuron + 1) % neurons if target == neuron else target, delay))
        network.append(synapses)
    return network


@dataclass
class Neuron:
    """One neuron, and what waits for it."""

    potential: float
    excitatory: bool
    synapses: list[tuple[int, int]]
    last: int = spiking.NEVER
    spikes: int = 0
    received: int = 0
    rate: float = 0.0
    interval: float = 0.0
    square: float = 0.0
    backlog: list[int] = field(default_factory=lambda: [0, 0])  # excitatory, inhibitory


class Network:
    """Neurons in groups of a mode and a drive, advanced one step at a time."""

    def __init__(
        self,
        seed: int,
        parameters: list[float],
        groups: list[tuple[int, int, int]],
        drive: list[list[int]],
        neurons: list[Neuron],
    ) -> None:
        self.seed, self.parameters, self.groups, self.drive = seed, parameters, groups, drive
        self.neurons = neurons
        self.step = 0
        self.calendar: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])

    def advance(self) -> list[int]:
        """One step with its deliveries; who fired."""
        fired = []
        for (start, end, mode), drive in zip(self.groups, self.drive, strict=True):
            for index in range(start, end):
                inputs = self.calendar.pop((self.step, index), [0, 0])
                if mode != spiking.MODE_DEAD and self._update(index, inputs, mode, drive):
                    fired.append(index)
        for index in fired:
            neuron = self.neurons[index]
            for target, delay in neuron.synapses:
                self.calendar[self.step + delay, target][0 if neuron.excitatory else 1] += 1
        self.step += 1
        return fired

    def pending(self, index: int) -> int:
        """Inputs on their way to a neuron or waiting at it."""
        travelling = sum(sum(n) for (_, target), n in self.calendar.items() if target == index)
        return travelling + sum(self.neurons[index].backlog)

    def _update(self, index: int, inputs: list[int], mode: int, drive: list[int]) -> bool:
        """One neuron's step; whether it fires."""
        rest, reset, threshold, floor, decay, plus, minus, kick, refractory, rate_steps = (
            self.parameters
        )
        neuron = self.neurons[index]
        neuron.received += sum(inputs)
        if mode == spiking.MODE_SLOW or any(neuron.backlog):
            neuron.backlog = [b + i for b, i in zip(neuron.backlog, inputs, strict=True)]
            inputs = [
                min(1, b) if self.step % spiking.SLOW_STEPS == 0 else 0 for b in neuron.backlog
            ]
            neuron.backlog = [b - i for b, i in zip(neuron.backlog, inputs, strict=True)]
        if self.step - neuron.last <= refractory:
            neuron.potential = reset
            return False
        word = draw(self.seed, self.step, index)
        outside = next(count for count, bound in enumerate(drive) if word < bound)
        potential = rest + (neuron.potential - rest) * decay
        potential = potential + inputs[0] * plus - inputs[1] * minus + outside * kick
        neuron.potential = max(potential, floor)
        if potential < threshold:
            return False
        self._note(neuron, rate_steps)
        return True

    def _note(self, neuron: Neuron, rate_steps: float) -> None:
        """Keep the statistics of a spike."""
        interval = float(self.step - neuron.last)
        neuron.rate = neuron.rate * math.exp(-interval / rate_steps) + 1.0 / rate_steps
        gain = {0: 0.0, 1: 1.0}.get(neuron.spikes, spiking.INTERVAL_GAIN)
        neuron.interval += gain * (interval - neuron.interval)
        neuron.square += gain * (interval * interval - neuron.square)
        neuron.spikes += 1
        neuron.last = self.step
