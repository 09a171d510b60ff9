"""The table of links knows each pair by itself, and forgets the silent ones."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnts.kernels import traffic as table

CELLS = 16  # of which half are used at most


def cell_of(pair: tuple[int, int], links: np.ndarray) -> int:
    """Where a pair is, or would be."""
    return table.find_link(np.uint64(pair[0]), np.uint64(pair[1]), links)


ENDS = (0, 1, 2, 3, 4, 2**63, 2**64 - 1)


def near_pairs() -> list[tuple[int, int]]:
    """Pairs that begin their search in few cells, next to each other and at the table's end.

    Whoever asks compiles for that, and so not each process that reads this file.
    """
    empty = np.zeros((CELLS, table.LINK_WORDS), np.uint64)
    return [(a, b) for a in ENDS for b in ENDS if cell_of((a, b), empty) in (0, 1, CELLS - 1)]


pairs = st.deferred(lambda: st.sampled_from(near_pairs()))
takes = st.tuples(pairs, st.integers(1, 50))
steps = st.lists(takes | takes | st.integers(1, 50), max_size=40)


@given(steps)
def test_links_are_those_of_a_dictionary(script: list[tuple[tuple[int, int], int] | int]) -> None:
    """A pair is found until it is forgotten; one beyond the limit is counted, and only counted."""
    links = np.zeros((CELLS, table.LINK_WORDS), np.uint64)
    state = np.zeros(table.TRAFFIC_WORDS, np.int64)
    known: dict[tuple[int, int], int] = {}
    refused = 0
    for step in script:
        if isinstance(step, int):
            removed = table.forget_links((links, state), np.uint64(step))
            kept = {pair: latest for pair, latest in known.items() if latest >= step}
            assert removed == len(known) - len(kept)
            known = kept
        else:
            pair, time_ns = step
            source, peer = map(np.uint64, pair)
            cell = table.take_link(source, peer, time_ns, (links, state))
            if pair not in known and len(known) == CELLS // 2:
                refused += 1
                assert cell == table.NO_LINK
            else:
                known[pair] = max(time_ns, known.get(pair, 0))

        assert state[table.LINKS_KNOWN] == len(known)
        assert state[table.LINKS_OVERFLOW] == refused
        assert np.count_nonzero(links[:, table.LATEST]) == len(known)
        for pair, latest in known.items():
            assert links[cell_of(pair, links), table.LATEST] == latest
