"""Leaky integrate-and-fire neurons on sparse random synapses, one step of model time a call.

Guarantee: the same seed gives the same spikes; synaptic inputs are whole numbers, so the order in
which they arrive changes nothing. The leak is integrated exactly for inputs that arrive at step
boundaries: V' = rest + (V - rest) * exp(-dt / tau) + inputs (current-based model with delta
synapses; Brunel, J. Comput. Neurosci. 8, 2000). Cost: 8 to 12 ns a neuron and step, and for each
synapse that carries a spike 3 ns among 1,000 neurons, 35 ns among 1,000,000 (cache misses).

Shapes, for N neurons in G groups with S synapses in all:
    header      int64[2]            HEADER_*
    parameters  float64[10]         PARAMETER_*: millivolts, and milliseconds as steps
    groups      int64[G, 3]         GROUP_*: a group is the neurons first … end - 1
    drive       int64[G, D]         Poisson: the cumulative probabilities of 0, 1, 2 … spikes from
                                    outside, times 2^32; the last column is 2^32
    state       float64[4, N]       STATE_*
    counters    int64[4, N]         COUNT_*
    inbox       int32[SLOTS, N]     inputs that arrive at steps equal modulo SLOTS: excitatory ones
                                    in the low, inhibitory ones in the high 16 bits
    first       int64[N + 1]        synapses of neuron n are first[n] … first[n + 1] - 1
    targets     int32[S]            the neuron that each synapse leads to
    delays      int8[S]             steps from spike to arrival, 1 … SLOTS - 1
"""

import math

from rnts.kernels._jit import device, kernel

HEADER_STEP, HEADER_SEED = 0, 1
(
    PARAMETER_REST,
    PARAMETER_RESET,
    PARAMETER_THRESHOLD,
    PARAMETER_FLOOR,
    PARAMETER_DECAY,
    PARAMETER_EXCITATION,
    PARAMETER_INHIBITION,
    PARAMETER_DRIVE,
    PARAMETER_REFRACTORY,
    PARAMETER_RATE_STEPS,
) = range(10)
GROUP_FIRST, GROUP_END, GROUP_MODE = 0, 1, 2
MODE_NORMAL, MODE_DEAD, MODE_SLOW = 0, 1, 2
STATE_POTENTIAL, STATE_RATE, STATE_INTERVAL, STATE_INTERVAL_SQUARE = 0, 1, 2, 3
COUNT_SPIKES, COUNT_LAST_STEP, COUNT_RECEIVED, COUNT_BACKLOG = 0, 1, 2, 3

SLOTS = 8  # a power of two; one more than the longest delay
NEVER = -(1 << 40)  # the last spike of a neuron that has not fired
INHIBITORY_EVERY = 5  # every fifth neuron is inhibitory, as in cortex
SLOW_STEPS = 32  # a slow neuron takes one input of each kind in so many steps
INTERVAL_GAIN = 0.1  # weight of the newest interval in the running averages
BACKLOG_SHIFT = 32  # a backlog counts excitatory inputs below, inhibitory ones above
_INHIBITORY_UNIT = 1 << 16
_WORD = 0xFFFFFFFF
_STREAM_FAN_OUT, _STREAM_KINDS, _STREAM_PLACES = -1, -2, -3  # steps take the streams from 0 on
_LOCAL_OF_256 = 154  # synapses of 256 that stay in their group


@device
def scramble(word):
    """A 32-bit mixer with low bias, from C. Wellons, "Prospecting for hash functions" (2018)."""
    word ^= word >> 16
    word = (word * 0x7FEB352D) & _WORD
    word ^= word >> 15
    word = (word * 0x846CA68B) & _WORD
    return word ^ (word >> 16)


@device
def stream_keys(seed, stream):
    """Two 32-bit keys of one of the random streams of a seed, for `draw`."""
    low = scramble(scramble(stream & _WORD) ^ (seed & _WORD))
    high = scramble(low ^ ((seed >> 32) & _WORD) ^ ((stream >> 32) & _WORD) ^ 0x9E3779B9)
    return low, high


@device
def draw(keys, index):
    """A random 32-bit word that depends on nothing but the stream and the index."""
    return scramble(scramble((index + keys[0]) & _WORD) ^ keys[1])


@kernel("int64(int64, int64, int64[::1])")
def count_synapses(seed, synapses_mean, first):
    """Give each neuron half to one and a half times the mean; fill `first`, return the sum."""
    total, keys = 0, stream_keys(seed, _STREAM_FAN_OUT)
    for neuron in range(first.size - 1):
        first[neuron] = total
        total += (synapses_mean + 1) // 2 + draw(keys, neuron) % (synapses_mean + 1)
    first[first.size - 1] = total
    return total


@kernel("void(int64, int64[:,::1], int64[::1], int32[::1], int8[::1], int32[::1])")
def connect(seed, groups, first, targets, delays, fan_in):
    """Choose targets, most of them in the neuron's group and near in time; count each fan-in."""
    neurons = first.size - 1
    kinds, places = stream_keys(seed, _STREAM_KINDS), stream_keys(seed, _STREAM_PLACES)
    for group in range(groups.shape[0]):
        start = int(groups[group, GROUP_FIRST])
        size = int(groups[group, GROUP_END]) - start
        for neuron in range(start, start + size):
            for synapse in range(first[neuron], first[neuron + 1]):
                word = draw(kinds, synapse)
                local = (word & 255) < _LOCAL_OF_256
                place = draw(places, synapse)
                target = start + place % size if local else place % neurons
                if target == neuron:
                    target = (neuron + 1) % neurons
                targets[synapse] = target
                delays[synapse] = 1 + (word >> 8) % 3 if local else 3 + (word >> 8) % 5
                fan_in[target] += 1


@device
def integrate(potential, arrived, parameters):
    """One step of leak, and the inputs that arrive at its end."""
    rest = parameters[PARAMETER_REST]
    potential = rest + (potential - rest) * parameters[PARAMETER_DECAY]
    potential += (arrived & 0xFFFF) * parameters[PARAMETER_EXCITATION]
    return potential - (arrived >> 16) * parameters[PARAMETER_INHIBITION]


@device
def count_outside(word, cumulative):
    """The Poisson number whose interval of probability holds `word`.

    The first three comparisons are added, not branched on: their outcome cannot be predicted.
    """
    count = int(word >= cumulative[0]) + int(word >= cumulative[1]) + int(word >= cumulative[2])
    while word >= cumulative[count]:
        count += 1
    return count


@device
def take_backlog(step, arrived, neuron, backlogs):
    """Queue what arrived at a slow neuron; return the inputs that it takes now, packed."""
    waiting = int(backlogs[neuron])
    waiting += (arrived & 0xFFFF) + ((arrived >> 16) << BACKLOG_SHIFT)
    taken = 0
    if step % SLOW_STEPS == 0:
        if waiting & _WORD:
            waiting -= 1
            taken += 1
        if waiting >> BACKLOG_SHIFT:
            waiting -= 1 << BACKLOG_SHIFT
            taken += _INHIBITORY_UNIT
    backlogs[neuron] = waiting
    return taken


@device
def note_spike(step, rate_steps, neuron, state, counters):
    """Count a spike; update the rate (spikes a step) and the moments of the interval (steps)."""
    interval = float(step - counters[COUNT_LAST_STEP, neuron])
    fired = counters[COUNT_SPIKES, neuron]
    fade = math.exp(-interval / rate_steps)
    state[STATE_RATE, neuron] = state[STATE_RATE, neuron] * fade + 1.0 / rate_steps
    if fired == 1:
        state[STATE_INTERVAL, neuron] = interval
        state[STATE_INTERVAL_SQUARE, neuron] = interval * interval
    elif fired > 1:
        mean, square = state[STATE_INTERVAL, neuron], state[STATE_INTERVAL_SQUARE, neuron]
        state[STATE_INTERVAL, neuron] = mean + INTERVAL_GAIN * (interval - mean)
        square += INTERVAL_GAIN * (interval * interval - square)
        state[STATE_INTERVAL_SQUARE, neuron] = square
    counters[COUNT_SPIKES, neuron] = fired + 1
    counters[COUNT_LAST_STEP, neuron] = step


@kernel(
    "int64(int64[::1], float64[::1], int64[:,::1], int64[:,::1],"
    " float64[:,::1], int64[:,::1], int32[:,::1], int32[::1])"
)
def advance(header, parameters, groups, drive, state, counters, inbox, spikes):
    """Do one step of all living neurons; write who fired to `spikes`, ascending; return how many.

    A neuron that fires keeps the potential with which it crossed the threshold until its next
    step, and is then held at reset for the refractory steps; what arrives meanwhile is lost, as is
    all that arrives at a dead group. The step's slot of the inbox is left empty for later arrivals.
    """
    step = int(header[HEADER_STEP])
    keys = stream_keys(int(header[HEADER_SEED]), step)
    arrivals, potentials = inbox[step & (SLOTS - 1)], state[STATE_POTENTIAL]
    lasts, backlogs = counters[COUNT_LAST_STEP], counters[COUNT_BACKLOG]
    received = counters[COUNT_RECEIVED]
    count = 0
    for group in range(groups.shape[0]):
        mode, outside = groups[group, GROUP_MODE], drive[group]
        for neuron in range(groups[group, GROUP_FIRST], groups[group, GROUP_END]):
            arrived = int(arrivals[neuron])
            arrivals[neuron] = 0
            if mode == MODE_DEAD:
                continue
            received[neuron] += (arrived & 0xFFFF) + (arrived >> 16)
            if mode == MODE_SLOW or backlogs[neuron] != 0:
                arrived = take_backlog(step, arrived, neuron, backlogs)
            if step - lasts[neuron] <= parameters[PARAMETER_REFRACTORY]:
                potentials[neuron] = parameters[PARAMETER_RESET]
                continue
            potential = integrate(potentials[neuron], arrived, parameters)
            potential += count_outside(draw(keys, neuron), outside) * parameters[PARAMETER_DRIVE]
            potentials[neuron] = max(potential, parameters[PARAMETER_FLOOR])
            if potential >= parameters[PARAMETER_THRESHOLD]:
                note_spike(step, parameters[PARAMETER_RATE_STEPS], neuron, state, counters)
                spikes[count] = neuron
                count += 1
    return count


@device
def deliver(step, neuron, first, targets, delays, inbox):
    """Put the spike of one neuron into the inboxes of its targets; return how many they are."""
    unit = _INHIBITORY_UNIT if neuron % INHIBITORY_EVERY == INHIBITORY_EVERY - 1 else 1
    for synapse in range(first[neuron], first[neuron + 1]):
        slot = (step + int(delays[synapse])) & (SLOTS - 1)
        inbox[slot, targets[synapse]] += unit
    return first[neuron + 1] - first[neuron]


@kernel("int64(int64[::1], int32[::1], int64, int64[::1], int32[::1], int8[::1], int32[:,::1])")
def deliver_all(header, spikes, count, first, targets, delays, inbox):
    """Deliver the spikes of one step and end the step; return the synaptic inputs sent."""
    sent = 0
    for index in range(count):
        sent += deliver(int(header[HEADER_STEP]), spikes[index], first, targets, delays, inbox)
    header[HEADER_STEP] += 1
    return sent


@device
def pending_inputs(neuron, counters, inbox):
    """Synaptic inputs that were sent to a neuron and that it has not taken yet."""
    waiting = int(counters[COUNT_BACKLOG, neuron])
    pending = (waiting & _WORD) + (waiting >> BACKLOG_SHIFT)
    for slot in range(SLOTS):
        arrived = int(inbox[slot, neuron])
        pending += (arrived & 0xFFFF) + (arrived >> 16)
    return pending
