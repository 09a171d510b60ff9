"""The bytes of a segment (header, lane directory, lanes, log of names), drawn here and only here.

    0      header, 4096 bytes (HEADER_* below)
    4096   lane directory: 512 bytes a lane in four blocks of 128, so that what the producer writes
           and what the consumer writes never share a cache line (nor its prefetched neighbour)
             +0    state | bell | data_delta | slot_mask      written when the lane is claimed
                   rates | switch | table_delta    which samples to keep; the agent writes the first
                   thread id            the agent writes the bell: whether it sleeps, and is rung
             +128  tail | head_cache | attempts | sampled_out | drops | random   by the producer
             +256  head | note A: head, delivered, corrupt | note B: the same  written by the agent
    data   lanes one after the other: a power of two slots of 128 bytes each
    table  what producers know of neurons while samples are left out, see kernels/sampling.py; has
           no memory until then
    names  log of names, appended: length u16, neuron id u64, strings

All words are 64-bit, little-endian and at multiples of 8. `tail` and `head` count slots since the
lane was made and never wrap; publishing is one store to `tail`. Of the two notes the one whose head
equals `head` is true: that is how the agent's counts survive its death at any instruction.
"""

from rnts.accounting import LANE_DROPS
from rnts.model import SLOT_BYTES

MAGIC = int.from_bytes(b"RNTSSEG1", "little")
ABI = 3

HEADER_BYTES = 4096
HEADER_MAGIC = 0
HEADER_ABI = 8
HEADER_SLOT_BYTES = 16
HEADER_PID = 24
HEADER_START_TIME = 32  # of the process, in clock ticks since boot: tells a reused pid apart
HEADER_BOOT_ID = 40
HEADER_LANES = 48
HEADER_LANE_SLOTS = 56
HEADER_LANES_USED = 64  # lanes claimed so far; each stays in use for one thread after another
HEADER_NAMES_BYTES = 72  # published length of the log of names
HEADER_NAMES_REFUSED = 80  # names that did not fit into the log
HEADER_NO_LANE = 88  # records that found no lane; each is an attempt and a drop
HEADER_AGENT_SEEN_NS = 96  # when an agent last looked, so that a program knows whether to tidy up
HEADER_EMITTER = 104  # which emitter serves the program, for people who look
HEADER_RINGS = 112  # 1 if what is recorded wakes an agent that sleeps

LANE_BYTES = 512
LANE_STATE = 0
LANE_BELL = 8  # 1 while the agent sleeps; who then records makes it 0 and wakes the agent
LANE_DATA_DELTA = 16  # from the lane's block to its first slot, in bytes
LANE_SLOT_MASK = 24
LANE_RATES = 32  # of each class of importance: threshold, and the bits of the weight above it
LANE_SWITCH = 56  # 0: all samples are kept; else epoch and generation of sampling
LANE_TABLE_DELTA = 64  # from the lane's block to the table of neurons, in bytes
LANE_THREAD = 72
LANE_TAIL = 128
LANE_HEAD_CACHE = 136
LANE_ATTEMPTS = 144
LANE_SAMPLED_OUT = 152
LANE_DROP = {reason: 160 + 8 * i for i, reason in enumerate(LANE_DROPS)}
LANE_DROP_INVALID = LANE_DROP["invalid"]  # a name for compiled code
LANE_RANDOM = 248  # state of the generator that decides which samples are kept
LANE_HEAD = 256
LANE_NOTES = (264, 288)

STATE_FREE, STATE_ACTIVE, STATE_RETIRED = 0, 1, 2
STATE_QUARANTINED = 3  # written by an agent that found the lane's header to be impossible

EMITTER_PYTHON, EMITTER_COMPILED = 1, 2
LANES_MAX = 64
TABLE_BYTES = 1 << 19
NAMES_BYTES_MAX = 256 << 20
NAME_HEADER_BYTES = 10


def data_offset(lanes: int) -> int:
    """Where the first lane's slots begin, in bytes from the start of the segment."""
    return (HEADER_BYTES + lanes * LANE_BYTES + 4095) & ~4095


def table_offset(lanes: int, lane_slots: int) -> int:
    """Where the table of neurons begins."""
    return data_offset(lanes) + lanes * lane_slots * SLOT_BYTES


def segment_bytes(lanes: int, lane_slots: int) -> int:
    """Size of the mapped part; the log of names begins there."""
    return table_offset(lanes, lane_slots) + TABLE_BYTES


def lane_offset(lane: int) -> int:
    """Where the control block of lane `lane` begins."""
    return HEADER_BYTES + lane * LANE_BYTES


def slots_offset(lane: int, lanes: int, lane_slots: int) -> int:
    """Where the slots of lane `lane` begin."""
    return data_offset(lanes) + lane * lane_slots * SLOT_BYTES


def power_of_two(count: int) -> int:
    """The smallest power of two that is at least `count`."""
    return 1 << max(0, count - 1).bit_length()
