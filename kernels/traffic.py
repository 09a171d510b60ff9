"""The table of links: (source id, peer id) to the messages and bytes that went, and how long.

Guarantee: sums are exact modulo 2^64; a pair beyond the limit is counted, never mixed with another.
Cost: the fold takes 40 ns for a record of a link in cache and 120 beyond; 128 bytes a pair.
"""

import numpy as np

from rnts.kernels._jit import device, kernel
from rnts.kernels.neurons import home_of

# Words of a link; a cell whose LATEST is 0 is empty. LATENCY counts only where TIMED is not 0.
SOURCE, PEER, MESSAGES, BYTES, LATENCY, TIMED, LATEST = range(7)
LINK_WORDS = 8
NO_LINK = -1

# Words of the table's own state: pairs known, and records of pairs for which there was no room.
LINKS_KNOWN, LINKS_OVERFLOW = range(2)
TRAFFIC_WORDS = 2

# What the kernels below share: (links, traffic).
#   links    uint64[a power of two, LINK_WORDS], of which at most half is used
#   traffic  int64[TRAFFIC_WORDS]
TRAFFIC = "Tuple((uint64[:,::1], int64[::1]))"


@device
def _home_of_pair(source, peer, cells):
    """The cell where the search for a pair begins; the two directions differ."""
    return (home_of(source, cells) * 31 + home_of(peer, cells)) & (cells - 1)


@device
def find_link(source, peer, links):
    """The cell of a pair, or the empty one where it belongs."""
    cells = links.shape[0]
    cell = _home_of_pair(source, peer, cells)
    while links[cell, LATEST] != 0:
        if links[cell, SOURCE] == source and links[cell, PEER] == peer:
            break
        cell = (cell + 1) & (cells - 1)
    return cell


@device
def take_link(source, peer, time_ns, tables):
    """The cell of a pair, which is taken in if it is new; NO_LINK, counted, if there is no room."""
    links, traffic = tables
    cell = find_link(source, peer, links)
    if links[cell, LATEST] == 0:
        if 2 * (traffic[LINKS_KNOWN] + 1) > links.shape[0]:
            traffic[LINKS_OVERFLOW] += 1
            return NO_LINK
        traffic[LINKS_KNOWN] += 1
        links[cell, SOURCE] = source
        links[cell, PEER] = peer
    links[cell, LATEST] = max(links[cell, LATEST], np.uint64(max(time_ns, 1)))
    return cell


@device
def _close_gap(cell, links):
    """Empty a cell, and move up the pairs behind it that would no longer be found."""
    cells = links.shape[0]
    probe = (cell + 1) & (cells - 1)
    while links[probe, LATEST] != 0:
        home = _home_of_pair(links[probe, SOURCE], links[probe, PEER], cells)
        if ((probe - home) & (cells - 1)) >= ((probe - cell) & (cells - 1)):
            for word in range(LINK_WORDS):
                links[cell, word] = links[probe, word]
            cell = probe
        probe = (probe + 1) & (cells - 1)
    for word in range(LINK_WORDS):
        links[cell, word] = 0


@kernel(f"int64({TRAFFIC}, uint64)")
def forget_links(tables, silent_since_ns):
    """Remove the links that were silent since a time; returns how many."""
    links, traffic = tables
    removed = 0
    cell = 0
    while cell < links.shape[0]:
        if 0 < links[cell, LATEST] < silent_since_ns:
            # What moves into this cell is looked at in the next turn.
            _close_gap(cell, links)
            removed += 1
        else:
            cell += 1
    traffic[LINKS_KNOWN] -= removed
    return removed
