"""Keys to rows by open addressing, with an epoch in each entry: a new epoch empties all at once.

Guarantee: keys get the rows 0, 1, 2, … in the order in which they first come in an epoch, whatever
the seed. Cost: about 5 ns a look-up while the table is in the cache; 16 bytes an entry, at most
half of the entries in use.

table   int64[entries, 2]: the key | epoch << 24 | row. Entries of another epoch are free. 39 bits
        of epoch last for seventeen years of a thousand frames a second.
state   int64[STATE_WORDS]: the epoch, how many keys it has, a random seed, and 64 less the bits of
        a hash, of which the table has as many entries as there can be
keys    int64[rows]: the key of each row; its length is the limit of the dictionary
"""

import numpy as np

from rnts.kernels._jit import device, kernel

EPOCH, COUNT, SEED, HASH_SHIFT, STATE_WORDS = 0, 1, 2, 3, 4
ROW_BITS = 24
FULL = -1

_ROW_MASK = (1 << ROW_BITS) - 1
_HALF = np.uint64(32)
# Two multiplications (the finishing steps of MurmurHash3): one would let whoever chooses keys make
# them collide, for the seed would only shift them.
_MIX_FIRST, _MIX_SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)


@device
def home_of(key, state):
    """The entry at which the search for `key` begins."""
    mixed = np.uint64(key ^ state[SEED])
    mixed = (mixed ^ (mixed >> _HALF)) * _MIX_FIRST
    mixed = (mixed ^ (mixed >> _HALF)) * _MIX_SECOND
    return mixed >> np.uint64(state[HASH_SHIFT])


@device
def row_at(table, state, keys, key, entry):
    """`row_of`, for who knows `home_of` the key already: it can have been fetched by then."""
    epoch = state[EPOCH]
    last_entry = ~np.uint64(0) >> np.uint64(state[HASH_SHIFT])
    while table[entry, 1] >> ROW_BITS == epoch:
        if table[entry, 0] == key:
            return table[entry, 1] & _ROW_MASK
        entry = (entry + np.uint64(1)) & last_entry
    row = state[COUNT]
    if row >= len(keys):
        return FULL
    table[entry, 0] = key
    table[entry, 1] = (epoch << ROW_BITS) | row
    keys[row] = key
    state[COUNT] = row + 1
    return row


@device
def row_of(table, state, keys, key):
    """The row of int64 `key`, a new one if it has none in this epoch; FULL if there is no more."""
    return row_at(table, state, keys, key, home_of(key, state))


@kernel("int64(int64[:,::1], int64[::1], int64[::1], int64[::1], int64[::1])")
def rows_of(table, state, keys, wanted, rows):
    """Fill `rows` with the row, or FULL, of each of `wanted`; returns how many keys there are."""
    for i in range(len(wanted)):
        rows[i] = row_of(table, state, keys, wanted[i])
    return state[COUNT]


@kernel("int64(int64[:,::1], int64[::1], int64[::1])")
def refill(table, state, keys):
    """Put the keys that there are into an empty table, which may be larger; returns their count."""
    count = state[COUNT]
    state[COUNT] = 0
    for i in range(count):
        row_of(table, state, keys, keys[i])
    return state[COUNT]
