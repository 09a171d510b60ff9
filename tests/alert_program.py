"""`rnts alert` whose aggregator is played by a test: RULES SOCKET [--dry-run]."""

import sys
from pathlib import Path

from alert_source import SteeredSource

from rnts import logs
from rnts.alert_process import run_alert
from rnts.commands.alert import reader_of
from rnts.errors import RntsError
from rnts.process import stop_event


def main() -> int:
    """Run it as the command does."""
    rules, path = map(Path, sys.argv[1:3])
    logs.set_up("rnts alert")
    stop = stop_event()
    try:
        run_alert(
            reader_of(rules, None),
            stop,
            lambda settings, queries, about, now_ns: SteeredSource(path, queries),
            "--dry-run" in sys.argv,
        )
    except RntsError as error:
        sys.stderr.write(f"rnts: {error}\n")
        return error.exit_code
    return stop.exit_code


if __name__ == "__main__":
    sys.exit(main())
