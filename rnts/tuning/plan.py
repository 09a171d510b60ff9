"""What a plan is made of: parts, their steps, and what the machine does not allow."""

from typing import Any, Literal, NamedTuple

# Where a value is: a file of the kernel, the chosen word of one that lists all choices, where an
# interrupt may come, what a thread has of the scheduler, a card, or what processes that start read.
Kind = Literal[
    "file", "choice", "interrupt", "cpus", "nice", "group_nice", "slice_ns", "coalescing", "wish"
]
GOVERNOR = "performance"
COALESCE_USECS = 50  # a two-hundredth of the time in which RNTS is to react
State = Literal["in place", "to do", "refused", "absent", "advice"]


class Step(NamedTuple):
    """One value that is to be another; both as text, empty for none."""

    kind: Kind
    place: str
    former: str
    wanted: str
    why: str
    command: str = ""  # by which root would do it
    refusal: str = ""  # why we may not; empty where we may
    is_optional: bool = False  # the part is of use without it

    @property
    def is_open(self) -> bool:
        """Whether something is left to do."""
        return self.former != self.wanted


class Advice(NamedTuple):
    """Something that a person may want to do, and that is not done here."""

    text: str
    command: str = ""


class Part(NamedTuple):
    """What belongs together: all of it is done, or nothing."""

    name: str
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    absent: str = ""  # why this machine has nothing to do it with

    @property
    def open_steps(self) -> tuple[Step, ...]:
        """What is left to do and may be done."""
        return tuple(step for step in self.steps if step.is_open and not step.refusal)

    @property
    def refused(self) -> tuple[Step, ...]:
        """What is left to do and may not be done."""
        return tuple(step for step in self.steps if step.is_open and step.refusal)

    @property
    def is_possible(self) -> bool:
        """Whether nothing is missing without which the part would be half done."""
        return not any(not step.is_optional for step in self.refused)

    @property
    def state(self) -> State:
        """How it stands."""
        if self.absent:
            return "absent"
        if not self.is_possible or (self.refused and not self.open_steps):
            return "refused"
        if self.open_steps:
            return "to do"
        return "in place" if self.steps or not self.advice else "advice"

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "part": self.name,
            "state": self.state,
            "steps": [step._asdict() for step in self.steps],
            "notes": list(self.notes),
            "advice": [advice._asdict() for advice in self.advice],
            "absent": self.absent,
        }


class Asked(NamedTuple):
    """Which parts are wanted, and their numbers; as it is kept in the journal."""

    parts: tuple[str, ...]
    governor: str = GOVERNOR
    usecs: int = COALESCE_USECS
    interfaces: tuple[str, ...] = ()  # none: those of devices that are up

    def joined(self, later: "Asked") -> "Asked":
        """Both together; a number is the one that was last given with its part."""
        both = later._replace(parts=tuple(dict.fromkeys((*self.parts, *later.parts))))
        if "governor" not in later.parts:
            both = both._replace(governor=self.governor)
        if "irq-coalescing" not in later.parts:
            both = both._replace(usecs=self.usecs, interfaces=self.interfaces)
        return both

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in self._asdict().items()}

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Asked":
        """What `document` made."""
        lists = {name: tuple(document[name]) for name in ("parts", "interfaces")}
        return cls(**{**document, **lists})
