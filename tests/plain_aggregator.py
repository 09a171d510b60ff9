"""An aggregator whose engine reads from a file what expressions are: `plain_aggregator.py FILE`."""

import json
import math
import sys
from pathlib import Path

from engine_tools import PlainEngine, Values

from rnts.aggregator import Aggregator
from rnts.process import stop_event
from rnts.reflex.change import Labels
from rnts.runtime import default_endpoint
from rnts.warmup import load_kernels
from rnts.windows import Windows

SECOND = 1_000_000_000
Listing = dict[str, list[tuple[dict[str, str], float | None, float | None]]]


def tell(path: Path, listing: Listing) -> None:
    """Have the engine find this: of each expression the labels, truth and value of entities."""
    made = path.with_suffix(".new")
    made.write_text(json.dumps(listing))
    made.rename(path)


def values_of(path: Path, text: str) -> Values:
    """What the file says of an expression."""
    found: dict[Labels, tuple[float, float]] = {}
    for labels, *numbers in json.loads(path.read_text()).get(text, []):
        truth, value = (math.nan if number is None else number for number in numbers)
        found[tuple(labels.items())] = truth, value
    return found


def main() -> None:
    """Run until told to stop."""
    path = Path(sys.argv[1])
    load_kernels()
    windows = Windows(SECOND, (50, 99), 100)
    engine = PlainEngine(lambda text: values_of(path, text))
    Aggregator(default_endpoint(), windows, 2 * SECOND, engine=engine).run(stop_event())


if __name__ == "__main__":
    main()
