"""The errors that people and callers see; each states the rule that was broken and the value."""


class RntsError(Exception):
    """Base of all errors of RNTS; `exit_code` is what a command ends with."""

    exit_code = 1


class UsageError(RntsError):
    """A request that cannot be met as it was put: a wrong argument, a missing feature."""

    exit_code = 2


class ConfigError(RntsError):
    """A configuration that is invalid; `problems` has a line each."""

    exit_code = 3

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ConnectError(RntsError):
    """Nobody answers at an address, or the address cannot be had."""

    exit_code = 4


class SegmentError(RntsError):
    """A segment file that is foreign, truncated, of another version or in use."""


class FrameError(RntsError):
    """Bytes that are no valid frame; `offset` is where, `reason` a short name that is counted."""

    def __init__(self, reason: str, offset: int, data: bytes = b"") -> None:
        start = max(0, offset - 8)
        shown = bytes(data[start : start + 24]).hex(" ")
        super().__init__(f"{reason} at byte {offset} of {len(data)}: … {shown} …")
        self.reason = reason
        self.offset = offset


class FencedError(RntsError):
    """Another aggregator has taken over the ledger; this one must not count any more."""

    exit_code = 5


class LedgerError(RntsError):
    """The ledger cannot be used; `condition` is its short name, see `rnts/ledger.py`."""

    def __init__(self, condition: str, path: object, detail: str) -> None:
        super().__init__(f"the ledger {path} cannot be used: {condition} ({detail})")
        self.condition = condition
