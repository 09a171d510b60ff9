"""What is wrong with a condition, and where: faults are collected, so that all are told at once."""

from typing import NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong: at which character of the text, from 0, and what."""

    position: int
    message: str

    def where(self, text: str) -> str:
        """Line and column within the text, from 1."""
        before = text[: self.position]
        return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


class RuleError(ValueError):
    """A condition that is none; `faults` has all that was found, in the order of the text."""

    def __init__(self, text: str, faults: list[Fault]) -> None:
        self.text = text
        self.faults = sorted(set(faults))
        super().__init__(
            "\n".join(f"{fault.where(text)}: {fault.message}" for fault in self.faults)
        )
