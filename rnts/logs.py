"""The one set-up of logging: a line a record, as `rnts agent[812] 18:03:22 warning: …`."""

import logging
import os
import sys
import time

VARIABLE = "RNTS_VERBOSITY"  # hands -q and -v on to the processes that a process starts
QUIET, NORMAL, VERBOSE = -1, 0, 1
_LEVELS = {QUIET: logging.WARNING, NORMAL: logging.INFO, VERBOSE: logging.DEBUG}


class LineHandler(logging.Handler):
    """Writes each record to stderr as one line; tracebacks follow in full when verbose."""

    def __init__(self, program: str, verbosity: int) -> None:
        super().__init__()
        self.program = program
        self.verbosity = verbosity

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, with the process that speaks in front."""
        text = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            text = f"{text}: {type(error).__name__}: {error}"
        text = "\\n".join(text.splitlines())
        # A process may fork, so the pid is that of the moment.
        speaker = f"{self.program}[{os.getpid()}]"
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{speaker} {clock} {record.levelname.lower()}: {text}\n"
        if record.exc_info and self.verbosity >= VERBOSE:
            line += logging.Formatter().formatException(record.exc_info) + "\n"
        return line

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record whole; a wrong call, or a stderr that is gone, harms nobody."""
        try:
            sys.stderr.write(self.format(record))
            sys.stderr.flush()
        except (OSError, TypeError, ValueError):
            self.handleError(record)


def set_up(program: str, verbosity: int | None = None) -> None:
    """Send the records of this process to stderr as those of `program`.

    `verbosity` is QUIET (warnings), NORMAL or VERBOSE (all, with tracebacks); without it the one
    that the process was started under. Called again, the later call counts.
    """
    if verbosity is None:
        verbosity = inherited_verbosity()
    os.environ[VARIABLE] = str(verbosity)
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, LineHandler)]:
        root.removeHandler(handler)
    root.addHandler(LineHandler(program, verbosity))
    logging.getLogger("rnts").setLevel(_LEVELS[verbosity])  # libraries keep to warnings


def inherited_verbosity() -> int:
    """What RNTS_VERBOSITY says, VERBOSE under RNTS_DEBUG=1, else NORMAL."""
    if os.environ.get("RNTS_DEBUG", "0") not in ("", "0"):
        return VERBOSE
    try:
        return max(QUIET, min(VERBOSE, int(os.environ.get(VARIABLE, ""))))
    except ValueError:
        return NORMAL
