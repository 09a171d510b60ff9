"""Which samples are kept where not all can be: decided before anything of a record is written.

Guarantee: what is new of a neuron, its first sample and each change of its health, is kept until
it is on its way; any other sample is kept with a chance that is known before, and then weighs one
over that, so that weighted sums are unbiased. The decision writes nothing but the producer's own
memory. Cost: a load and a branch where all is kept; 5 ns for a sample that is left out.

The agent says the chances, in the first block of a lane: a word for each class, of the bits of the
weight (float32) above the threshold below which a random word of 32 bits has to be; 0 keeps all.
What is known of a neuron is one word in the table of the segment, so that threads which share it
see it whole: a tag of the neuron, and its state. A set is a line of the cache; where a set is full,
a neuron takes another's word, and that one is new again.
"""

from rnts.kernels._jit import inlined, kernel
from rnts.kernels.atomics import load, load_acquire, multiply_float32, store, store_release

RATES, SWITCH, TABLE_DELTA = 32, 56, 64  # bytes into a lane's block; `rnts/layout.py` says what
ATTEMPTS, SAMPLED_OUT, RANDOM = 144, 152, 248

CRITICAL_PATH, HIGH_ACTIVITY, NORMAL = range(3)  # classes of importance
LEFT_OUT = -1
NO_HEALTH = -1

# The switch: 0 where all is kept, else the present epoch and the generation, which is another each
# time that sampling begins: what the table knows is of one generation.
EPOCHS, GENERATIONS = 64, 1_024
GENERATION_SHIFT = 6

SETS, WAYS = 8_192, 8
TABLE_BYTES = SETS * WAYS * 8
_LOW = 0xFFFFFFFF  # the upper half of a word is its tag

# The state of a neuron: its health as told, samples of this epoch, whether the last one was busy,
# how many epochs an error still counts for, the epoch, the generation; the last bit is always set.
HEALTH_MASK = UNKNOWN = 7
NEW = 6  # no sample of it is on its way yet
_COUNT_SHIFT, _COUNT_MAX = 3, 255
_BUSY, _TROUBLE_SHIFT, _TROUBLE_MAX = 1 << 11, 12, 7
_EPOCH_SHIFT, _STATE_GENERATION_SHIFT = 15, 21
_USED = 1 << 31
DEGRADED, CRITICAL = 1, 2
BUSY_SAMPLES = 100  # in an epoch, which make a neuron one of high activity in this and the next
TROUBLE_EPOCHS = 3  # for which an error makes a neuron critical

_GOLDEN = -7046029254386353131  # 2^64 over the golden ratio
_MIX = -2960836687151489133
_INFINITY = 0x7F800000  # of a float32; those that are positive and finite have lesser bits


@inlined
def _mixed(word):
    """Another word for each word; its upper half depends on all bits, its lower half on all pairs.

    Pairs are those of bits that are 32 apart. One round is enough: ids are hashes already.
    """
    return (word ^ ((word >> 32) & _LOW)) * _MIX


@inlined
def _turned(word, switch):
    """A neuron's word as of this epoch."""
    passed = (switch - (word >> _EPOCH_SHIFT)) & (EPOCHS - 1)
    if passed == 0:
        return word
    count = (word >> _COUNT_SHIFT) & _COUNT_MAX
    trouble = max(0, ((word >> _TROUBLE_SHIFT) & _TROUBLE_MAX) - passed)
    kept = word & ~(
        _COUNT_MAX << _COUNT_SHIFT
        | _BUSY
        | _TROUBLE_MAX << _TROUBLE_SHIFT
        | (EPOCHS - 1) << _EPOCH_SHIFT
    )
    kept |= trouble << _TROUBLE_SHIFT | (switch & (EPOCHS - 1)) << _EPOCH_SHIFT
    return kept | _BUSY if passed == 1 and count >= BUSY_SAMPLES else kept


@inlined
def _find(lane, neuron_id, switch):
    """(address of a neuron's word, the word as of this epoch)."""
    mixed = _mixed(neuron_id)
    generation = (switch >> GENERATION_SHIFT) & (GENERATIONS - 1)
    known = mixed & ~_LOW | _USED | generation << _STATE_GENERATION_SHIFT
    first = lane + load(lane + TABLE_DELTA) + (mixed & (SETS - 1)) * (8 * WAYS)
    for way in range(WAYS):
        place = first + 8 * way
        word = load(place)
        if word >> _STATE_GENERATION_SHIFT == known >> _STATE_GENERATION_SHIFT:
            return place, _turned(word, switch)
    fresh = known | NEW | (switch & (EPOCHS - 1)) << _EPOCH_SHIFT
    current = known & _LOW
    for way in range(WAYS):
        place = first + 8 * way
        if (load(place) & _LOW) >> _STATE_GENERATION_SHIFT != current >> _STATE_GENERATION_SHIFT:
            return place, fresh
    return first + 8 * ((mixed >> 13) & (WAYS - 1)), fresh


@inlined
def _random(lane):
    """The next random word of 32 bits of a lane."""
    state = load(lane + RANDOM) + _GOLDEN
    store(lane + RANDOM, state)
    return (_mixed(state) >> 32) & _LOW


@inlined
def _class_of(word, count, importance):
    """The class of a sample of a neuron whose word is this."""
    if count >= BUSY_SAMPLES or word & _BUSY != 0:
        importance = min(importance, HIGH_ACTIVITY)
    has_trouble = (word >> _TROUBLE_SHIFT) & _TROUBLE_MAX != 0
    return (
        CRITICAL_PATH if has_trouble or word & HEALTH_MASK in (DEGRADED, CRITICAL) else importance
    )


@inlined
def admit(lane, neuron_id, importance, health):
    """Decide about a sample while the switch is on: (decision, place), for `told`.

    The decision is LEFT_OUT, which is counted, or the bits of a float32, the weight of the sample;
    0 where that is 1. `health` is the state that it tells, or NO_HEALTH.
    """
    switch = load_acquire(lane + SWITCH)
    place, word = _find(lane, neuron_id, switch)
    count = (word >> _COUNT_SHIFT) & _COUNT_MAX
    if count < _COUNT_MAX:
        word += 1 << _COUNT_SHIFT
    store(place, word)
    known = word & HEALTH_MASK
    if known == NEW or (health != NO_HEALTH and (known == UNKNOWN or known != health)):
        return 0, place
    if not CRITICAL_PATH <= importance <= NORMAL:  # beyond the last rate is another word
        importance = NORMAL
    rate = load(lane + RATES + 8 * _class_of(word, count, importance))
    if rate & _LOW != 0 and _random(lane) >= rate & _LOW:
        store_release(lane + ATTEMPTS, load(lane + ATTEMPTS) + 1)
        store_release(lane + SAMPLED_OUT, load(lane + SAMPLED_OUT) + 1)
        return LEFT_OUT, place
    return (rate >> 32) & _LOW, place


@inlined
def keep(lane, neuron_id):
    """The place, for `told` or `mark_error`, of a neuron whose record is kept whatever it says."""
    place, word = _find(lane, neuron_id, load_acquire(lane + SWITCH))
    store(place, word)
    return place


@inlined
def told(place, health):
    """Note that a sample of this health is on its way; `place` is that of `admit`."""
    word = load(place)
    if health != NO_HEALTH:
        store(place, word & ~HEALTH_MASK | min(health, UNKNOWN))
    elif word & HEALTH_MASK == NEW:
        store(place, word | UNKNOWN)


@inlined
def mark_error(place):
    """An error of the neuron with this place was reported: it is as important as can be a while."""
    word = load(place) & ~(_TROUBLE_MAX << _TROUBLE_SHIFT)
    store(place, word | TROUBLE_EPOCHS << _TROUBLE_SHIFT)


@inlined
def note_error(lane, neuron_id):
    """An error of a neuron was reported, whether or not samples are left out."""
    if load_acquire(lane + SWITCH) != 0:
        mark_error(keep(lane, neuron_id))


@inlined
def weigh(slot, mask, weight, field):
    """Put a weight into a sample at `slot`, times what it weighs already; returns its mask.

    `field`: (word, shift, bit in the mask) of the weight. What is no weight counts as 1, and a
    product that is too large for a float32 is the largest.
    """
    word, shift, bit = field
    place = slot + 8 * word
    own = (load(place) >> shift) & _LOW
    if mask & bit != 0 and 0 < own < _INFINITY:
        weight = min(multiply_float32(own, weight), _INFINITY - 1)
    store(place, load(place) & ~(_LOW << shift) | weight << shift)
    return mask | bit


@kernel("void(int64[::1], int64[::1], int64)")
def set_rates(lanes, rates, switch):
    """Tell lanes, by the addresses of their blocks, the word of each class, and the switch."""
    for lane in lanes:
        for i in range(rates.shape[0]):
            if load(lane + RATES + 8 * i) != rates[i]:
                store_release(lane + RATES + 8 * i, rates[i])
        if load(lane + SWITCH) != switch:
            store_release(lane + SWITCH, switch)
