"""A window that was closed by one aggregator and revised by the next: the two parts, as one digest.

Who starts again has nothing of a closed window but its digest. What comes late is folded by itself,
and becomes a digest of the whole together with the one before. That is exact but for the active
neurons: who was in both parts cannot be told, so there are as many as in the larger one, at least.
"""

import numpy as np

from rnts.digest import Digest
from rnts.kernels.held import COUNT, MAXIMUM, MINIMUM, MOMENTS
from rnts.kernels.histogram import BUCKETS
from rnts.kernels.neurons import COLUMNS
from rnts.kernels.panes import GROUP_ACTIVE, GROUP_RECORDS, GROUP_WORDS

_SUMS, _LEAST, _MOST = slice(COUNT, MINIMUM), slice(MINIMUM, MAXIMUM), slice(MAXIMUM, MOMENTS)


def add_earlier(digest: Digest, earlier: Digest) -> None:
    """Add what a window had before to the digest of what has come since; counts of records stand.

    Without statistics of one part there are none of the whole.
    """
    digest.active = max(digest.active, earlier.active)
    if earlier.records and not earlier.groups:
        digest.drop_statistics()
        return
    names = list(dict.fromkeys([*earlier.groups, *digest.groups]))
    places = {name: place for place, name in enumerate(names)}
    words, moments = np.zeros((len(names), GROUP_WORDS), np.int64), np.zeros((len(names), MOMENTS))
    moments[:, _LEAST], moments[:, _MOST] = np.inf, -np.inf
    keys = []
    for part in (earlier, digest):
        rows = np.array([places[name] for name in part.groups], np.int64)
        words[rows, GROUP_RECORDS] += part.words[:, GROUP_RECORDS]
        active = part.words[:, GROUP_ACTIVE]
        words[rows, GROUP_ACTIVE] = np.maximum(words[rows, GROUP_ACTIVE], active)
        sums, least, most = (part.moments[:, each] for each in (_SUMS, _LEAST, _MOST))
        moments[rows, _SUMS] += sums
        moments[rows, _LEAST] = np.minimum(moments[rows, _LEAST], least)
        moments[rows, _MOST] = np.maximum(moments[rows, _MOST], most)
        cells = rows[part.cells // COLUMNS] * COLUMNS + part.cells % COLUMNS
        keys.append(cells * BUCKETS + part.indices)
    found, place = np.unique(np.concatenate(keys), return_inverse=True)
    counts = np.concatenate([earlier.counts, digest.counts])
    digest.groups, digest.words, digest.moments = names, words, moments
    digest.cells, digest.indices = found // BUCKETS, found % BUCKETS
    digest.counts = np.bincount(place, counts, len(found)).astype(np.float64)
