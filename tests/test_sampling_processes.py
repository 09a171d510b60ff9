"""A flood meets real processes: accuracy gives way, and neither lanes nor books do."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from process_tools import accounting, has_agent, run, running, snapshot, until

from rnts.batch import write_batch
from rnts.producer import Producer

NEURONS, LANE_SLOTS = 500, 1 << 14
FLOOD_S, PATIENCE_S = 2.5, 30.0


class Flood:
    """A program that records as fast as it can, and what became of it."""

    def __init__(self) -> None:
        self.producer = Producer(1, LANE_SLOTS)
        self.producer.attach(jit=True)
        self.rounds = self.taken = 0
        self._rows = np.zeros(
            NEURONS, [("neuron_id", "<u8"), ("activation_count", "<u8"), ("queue_depth", "<u4")]
        )
        self._rows["neuron_id"] = np.arange(1, NEURONS + 1)

    def record(self) -> None:
        """One sample of each neuron."""
        self.rounds += 1
        self._rows["activation_count"] = self.rounds
        self._rows["queue_depth"] = self.rounds % 100
        self.taken += write_batch(self.producer, self._rows)

    @property
    def lost(self) -> int:
        """Records that the lane had no room for."""
        return self.rounds * NEURONS - self.taken


def test_a_flood_is_sampled_and_not_dropped(runtime_folder: Path) -> None:
    """An adaptive agent answers within a second; then as good as nothing overflows, all that was
    recorded is accounted for, and statistics say that they are estimates."""
    with ExitStack() as stack:
        stack.enter_context(running("-q", "aggregate"))
        agent = stack.enter_context(
            running("-q", "agent", "--no-host", RNTS_SAMPLING__ADAPTIVE="true")
        )
        until(lambda: has_agent(snapshot()))
        flood = Flood()
        stack.callback(flood.producer.close, unlink=True)
        flood.record()
        until(lambda: accounting().get("aggregated") == NEURONS)

        begun = time.monotonic()
        while time.monotonic() < begun + 1:
            flood.record()
        lost_at_first, before = flood.lost, flood.rounds
        seen: list[float] = []
        asked = 0.0
        while (now := time.monotonic()) < begun + FLOOD_S or not seen:
            assert now < begun + PATIENCE_S, "nothing is sampled"
            flood.record()
            if time.monotonic() - asked > 0.25:
                asked = time.monotonic()
                metric = snapshot()["metrics"].get("queue_depth", {})
                seen += [metric["sampling"]["effective_samples"]] if "sampling" in metric else []
        later = (flood.rounds - before) * NEURONS
        assert flood.lost - lost_at_first <= later / 20  # on a machine that is too busy for both
        emitted = flood.rounds * NEURONS

        def is_settled() -> bool:
            account = accounting()
            return bool(account["emitted"] == emitted and not account["in_flight"])

        until(is_settled)
        account = accounting()
        assert account["balanced"]
        assert account["sampled_out"] > 0  # how much it has to be depends on the machine
        assert account["dropped"].get("lane_full", 0) == flood.lost
        assert seen and all(effective > 0 for effective in seen)
        assert agent.poll() is None
        # The flood is over: everything is kept again, and the agent says so.
        until(lambda: set(snapshot()["agents"][0]["sampling"]["rates"].values()) == {1.0})


def test_a_storm_of_the_demo_drops_nothing(runtime_folder: Path) -> None:
    """A group that fires without pause, reported from compiled code where a share is kept, loses no
    record: each is kept or counted as left out."""
    with ExitStack() as stack:
        stack.enter_context(running("-q", "aggregate"))
        stack.enter_context(running("-q", "agent", "--no-host", RNTS_SAMPLING__BASE_RATE="0.5"))
        until(lambda: has_agent(snapshot()))
        storm = ("--rate", "20000", "--fault", "storm", "--at", "1s", "--for", "4s")
        ended = run("demo", "--neurons", "200", *storm, "--json")
        assert ended.returncode == 0, ended.stderr
        said = json.loads(ended.stdout)["records"]
        until(lambda: accounting()["emitted"] >= said["offered"] and not accounting()["in_flight"])
        account = accounting()
        assert account["balanced"]
        assert account["sampled_out"] > said["offered"] / 10
        assert account["dropped"] == {} and said["refused"] == 0
