"""Makes the plan: a pure function of a machine and of what is asked for."""

from collections.abc import Callable

from rnts.tuning import machine_parts, scheduling_parts
from rnts.tuning.cores import Choice, choose
from rnts.tuning.machine import Machine
from rnts.tuning.plan import Asked, Part

_Maker = Callable[[Machine, Choice, Asked], Part]
# In the order in which they are done: who has which core decides where interrupts go.
_MAKERS: dict[str, _Maker] = {
    "pin-cores": lambda machine, choice, asked: scheduling_parts.pin_cores(machine, choice),
    "priority": lambda machine, choice, asked: scheduling_parts.priority(machine),
    "irq-affinity": lambda machine, choice, asked: scheduling_parts.irq_affinity(machine, choice),
    "governor": lambda machine, choice, asked: machine_parts.governor(machine, asked),
    "irq-coalescing": lambda machine, choice, asked: machine_parts.irq_coalescing(machine, asked),
    "hugepages": lambda machine, choice, asked: machine_parts.hugepages(machine),
    "lock-memory": lambda machine, choice, asked: machine_parts.lock_memory(machine),
    "socket-buffers": lambda machine, choice, asked: machine_parts.socket_buffers(machine),
    "swappiness": lambda machine, choice, asked: machine_parts.swappiness(machine),
    "time-source": lambda machine, choice, asked: machine_parts.time_source(machine),
}
ALL = tuple(_MAKERS)


def make_plan(machine: Machine, asked: Asked) -> list[Part]:
    """The parts that are asked for, in the order in which they are done."""
    choice = choose(machine)
    made = [make(machine, choice, asked) for name, make in _MAKERS.items() if name in asked.parts]
    doers: dict[tuple[str, str], str] = {}
    plan = []
    for part in made:
        taken = {doers[at] for step in part.steps if (at := (step.kind, step.place)) in doers}
        own = tuple(step for step in part.steps if (step.kind, step.place) not in doers)
        doers |= {(step.kind, step.place): part.name for step in own}
        notes = tuple(f"{name} does what belongs to both" for name in sorted(taken))
        plan.append(part._replace(steps=own, notes=(*part.notes, *notes)))
    return plan
