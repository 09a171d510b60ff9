"""Which processors agent, aggregator and alerts are to have: from the topology, or none at all.

Agent and aggregator get a whole core each, side by side on one node, away from interrupts and from
processor 0, to which the kernel gives work that nobody else takes. Below three cores nothing is
pinned: a thread that may not leave a processor waits there for whoever has it, while another one
is free.
"""

from typing import NamedTuple

from rnts.cpu_list import format_cpus, parse_cpus
from rnts.tuning.machine import Cpu, Machine
from rnts.wish import CORES, ROLES

CORES_MIN = 3  # below that nothing is pinned
CORES_OF_ALERT = 8  # from here on the alert process has a core of its own
Core = tuple[Cpu, ...]


class Choice(NamedTuple):
    """Lists of processors by role, none where pinning would cost; and why it is so."""

    cpus: dict[str, str]
    why: str

    @property
    def all(self) -> frozenset[int]:
        """All that are chosen."""
        return frozenset(cpu for text in self.cpus.values() for cpu in parse_cpus(text))


def choose(machine: Machine) -> Choice:
    """The choice for this machine; one that was made before stays, as long as it can be had."""
    cores = machine.cores
    if len(cores) < CORES_MIN or (machine.quota is not None and machine.quota < CORES_MIN):
        return Choice({}, _why_none(len(cores), machine.quota))
    if kept := _kept(machine):
        return Choice(kept, "as it was chosen before")
    near = _on_best_node(machine, cores)
    agent, aggregator, *others = near
    alert = others[0] if others and len(cores) >= CORES_OF_ALERT else (*agent, *aggregator)
    chosen = dict(zip(ROLES, map(_list, (agent, aggregator, alert)), strict=True))
    node = agent[0].node
    return Choice(
        chosen, f"whole cores of node {node}, those that serve the fewest interrupts, core 0 last"
    )


def _why_none(cores: int, quota: float | None) -> str:
    if cores >= CORES_MIN:
        return (
            f"a quota of {quota:g} processors is used up wherever threads run: pinning them would "
            "only keep them from processors that are free"
        )
    if cores <= 1:
        return "there is one core, so nothing to choose: threads ask for precedence instead"
    return (
        f"with {cores} cores a pinned thread would wait for whatever program has its core, as long "
        "as that one's time slice of 1 to 4 ms, while the other core may be free: so threads "
        "may move, and ask for precedence instead"
    )


def _kept(machine: Machine) -> dict[str, str]:
    """What the wish says already, where that lies within what we may have."""
    kept = {role: machine.wish.get(CORES + role, "") for role in ROLES}
    usable = {cpu.number for cpu in machine.usable}
    fits = all(text and parse_cpus(text) <= usable for text in kept.values())
    return kept if fits else {}


def _on_best_node(machine: Machine, cores: tuple[Core, ...]) -> list[Core]:
    """The cores of the node that has the most of them to offer, the quietest first."""
    by_node: dict[int, list[Core]] = {}
    for core in cores:
        by_node.setdefault(core[0].node, []).append(core)
    loads = _loads(machine)

    def unrest(core: Core) -> tuple[bool, int, int]:
        numbers = [cpu.number for cpu in core]
        return 0 in numbers, sum(loads.get(number, 0) for number in numbers), min(numbers)

    def poverty(node: int) -> tuple[int, bool, int, int]:
        two = [unrest(core) for core in sorted(by_node[node], key=unrest)[:2]]
        has_first = any(is_first for is_first, _, _ in two)
        return -len(two), has_first, sum(load for _, load, _ in two), node

    best = sorted(by_node[min(by_node, key=poverty)], key=unrest)
    rest = sorted((core for core in cores if core not in best), key=unrest)
    return best if len(best) >= 2 else best + rest


def _loads(machine: Machine) -> dict[int, int]:
    """Bits of how many interrupts each processor has served: close counts are the same."""
    numbers = [cpu.number for cpu in machine.cpus]
    totals = dict.fromkeys(numbers, 0)
    for interrupt in machine.interrupts:
        for number, count in zip(numbers, interrupt.counts, strict=False):
            totals[number] += count
    return {number: total.bit_length() for number, total in totals.items()}


def _list(core: Core) -> str:
    return format_cpus(cpu.number for cpu in core)
