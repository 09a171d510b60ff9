"""What of a pane is written down: the buckets of its groups' histograms that are not empty.

Guarantee: what is written is all that the histograms hold, in the order of groups, columns and
buckets. Cost: 0.5 ns a bucket between the extremes of each column, empty or not.
"""

from rnts.kernels._jit import kernel
from rnts.kernels.held import COUNT, MAXIMUM, MINIMUM
from rnts.kernels.histogram import bucket_of
from rnts.kernels.neurons import COLUMNS, VALUES
from rnts.kernels.panes import PANES_TYPE

# What `list_buckets` writes: (cells, indices, counts); a cell is group * COLUMNS + column.
LISTED_TYPE = "Tuple((int64[::1], int64[::1], float64[::1]))"


@kernel(f"int64(int64, int64, {PANES_TYPE}, {LISTED_TYPE})")
def list_buckets(pane, groups, panes, listed):
    """Write the buckets of the first `groups` groups of a pane; returns how many there are.

    That may be more than there is room for: what is beyond it is not written.
    """
    heads, _, _, groups_of_panes, group_moments, buckets, _ = panes
    cells, indices, counts = listed
    first = pane * (groups_of_panes.shape[0] // heads.shape[0])
    found = 0
    for g in range(groups):
        for c in range(VALUES):
            if group_moments[first + g, COUNT + c] == 0.0:
                continue
            row = (first + g) * COLUMNS + c
            low = bucket_of(group_moments[first + g, MINIMUM + c])
            high = bucket_of(group_moments[first + g, MAXIMUM + c])
            for bucket in range(low, high + 1):
                if buckets[row, bucket] != 0.0:
                    if found < cells.size:
                        cells[found] = g * COLUMNS + c
                        indices[found] = bucket
                        counts[found] = buckets[row, bucket]
                    found += 1
    return found
