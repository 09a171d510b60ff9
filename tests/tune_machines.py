"""The made-up machines whose plans are kept in tests/data/tune; run it to write them anew.

`PYTHONPATH=tests python tests/tune_machines.py`, and read what has changed.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tune_tools import FULL, NONE, World, golden, limits

from rnts.tuning.calls import Coalescing
from rnts.tuning.plan import Asked
from rnts.tuning.planning import ALL, make_plan

DATA = Path(__file__).parent / "data/tune"
_HUGE = "/sys/kernel/mm/transparent_hugepage"
_CLOCK = "/sys/devices/system/clocksource/clocksource0"


def _common(world: World, huge: str = "always [madvise] never", clock: str = "tsc") -> World:
    """What most machines have."""
    world.put(f"{_HUGE}/enabled", huge)
    world.put(f"{_HUGE}/defrag", "[always] defer defer+madvise madvise never")
    world.put(f"{_CLOCK}/current_clocksource", clock)
    world.put(f"{_CLOCK}/available_clocksource", "tsc hpet acpi_pm")
    world.put("/proc/sys/vm/swappiness", "60")
    for name in ("rmem_max", "wmem_max"):
        world.put(f"/proc/sys/net/core/{name}", "212992")
    return world


def laptop(folder: Path) -> World:
    """Four cores with two threads each, a user without rights, an agent under the desktop."""
    world = _common(World(folder, user=1000, capabilities=NONE))
    world.processors(4, threads=2)
    world.governors("powersave", "performance powersave")
    world.interrupts([(16, "i8042", "0-7", {0: 9000}), (124, "nvme0q1", "1", {1: 70})])
    world.put("/proc/meminfo", "SwapTotal: 2097152 kB")
    world.put("/proc/sys/kernel/sched_autogroup_enabled", "1")
    world.card("wlan0", None)
    world.process(500, "/usr/bin/python3 -m rnts agent", threads=3, user=1000)
    return world


def server(folder: Path) -> World:
    """Two sockets of eight cores with two threads, root, all of RNTS at work, a busy card."""
    world = _common(World(folder), huge="always madvise [never]")
    world.processors(8, threads=2, nodes=2)
    world.governors("schedutil", "performance schedutil")
    queues = [(60 + one, f"eth0-rx-{one}", str(one), {one: 5_000_000}) for one in range(8)]
    world.interrupts([*queues, (90, "mpt3sas0", "0-15", {6: 40})])
    world.files.locate("/proc/irq/67/smp_affinity_list").chmod(0o444)
    world.card("eth0", Coalescing(4, True))
    world.card("eth1", Coalescing(4, False), state="down")
    world.process(7, "irqbalance --foreground", RNTS_STATE_DIR="/nowhere")
    world.process(700, "/opt/rnts/bin/rnts -q agent --config /etc/rnts/config.yaml")
    world.process(710, "/opt/rnts/bin/python -m rnts aggregate", threads=3)
    world.process(720, "/opt/rnts/bin/python -m rnts alert --rules rules.yaml", threads=1)
    return world


def vm_two(folder: Path) -> World:
    """Two cores of a virtual machine, root, sessions as groups of the scheduler."""
    world = _common(World(folder))
    world.processors(2)
    world.interrupts([(24, "virtio0-input", "0-1", {0: 400, 1: 500})])
    world.card("eth0", Coalescing(0, False))
    world.put("/proc/sys/kernel/sched_autogroup_enabled", "1")
    world.process(300, "python -m rnts agent", threads=1)
    return world


def vm_one(folder: Path) -> World:
    """One core, a slow clock, and nothing of RNTS at work."""
    world = _common(World(folder), clock="hpet")
    world.processors(1)
    return world


def container(folder: Path) -> World:
    """Root of a user namespace with four cores of a large machine, files mounted read-only."""
    world = _common(World(folder, capabilities=FULL))
    world.processors(16, nodes=2, allowed="8-15")
    world.put("/proc/self/uid_map", "0 100000 65536")
    world.put("/proc/self/cgroup", "0::/docker/a1")
    world.put("/sys/fs/cgroup/docker/a1/cpuset.cpus.effective", "8-11")
    world.put("/proc/self/mounts", "sysfs /sys sysfs ro,nosuid 0 0\nproc /proc/sys proc ro 0 0")
    world.process(20, "python -m rnts agent", threads=1)
    return world


def bare(folder: Path) -> World:
    """A user without rights who may lock nothing, on a kernel that shows next to nothing."""
    world = World(folder, user=1000, capabilities=NONE)
    world.processors(8)
    world.put("/proc/self/limits", limits(0))
    return world


MACHINES: dict[str, Callable[[Path], World]] = {
    made.__name__: made for made in (laptop, server, vm_two, vm_one, container, bare)
}


def plan_of(world: World) -> str:
    """All parts, as they are kept."""
    return golden(make_plan(world.machine(), Asked(ALL)))


def main() -> None:
    """Write all plans anew."""
    for name, made in MACHINES.items():
        with tempfile.TemporaryDirectory() as folder:
            (DATA / f"{name}.txt").write_text(plan_of(made(Path(folder))))
            sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
