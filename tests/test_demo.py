"""The demo: neurons that report themselves from compiled code, and groups that break."""

import ctypes
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
    pytest.skip("compiled code reports through addresses", allow_module_level=True)

import rnts
from rnts import jit, layout
from rnts.demo import FAULTS, SPIN_NS_FIRST, Demo, Fault
from rnts.demo_network import (
    GROUP_NAMES,
    RATE_STEPS,
    STEP_NS,
    STEPS_PER_SECOND,
    THRESHOLD_MV,
)
from rnts.demo_report import (
    INPUT_BYTES,
    INTERVALS_MIN,
    QUEUE_CRITICAL,
    QUEUE_DEGRADED,
    RATE_CRITICAL_HZ,
    RATE_DEGRADED_HZ,
    RECOVERY,
    judge,
)
from rnts.errors import UsageError
from rnts.events import Deactivated, ErrorOccurred
from rnts.kernels.spiking import (
    COUNT_LAST_STEP,
    COUNT_RECEIVED,
    COUNT_SPIKES,
    STATE_POTENTIAL,
    STATE_RATE,
)
from rnts.model import FIELD, METRIC_NAMES, SLOT_BYTES, Health, Kind, Storage
from rnts.segment import Segment

SECOND = 1_000_000_000
_FLOATS = {Storage.F32: np.float32, Storage.F64: np.float64}


class Table:
    """Records as columns: kinds, ids, times and, for the rows that set them, the fields."""

    def __init__(self, slots: Any) -> None:
        self.slots = slots
        self.kinds, self.ids = slots[:, 0] & 0xFF, slots[:, 1]

    def __len__(self) -> int:
        return len(self.slots)

    def where(self, chosen: Any) -> "Table":
        """The rows for which `chosen` holds."""
        return Table(self.slots[chosen])

    def of(self, ids: Any) -> "Table":
        """The rows of these neurons."""
        return self.where(np.isin(self.ids, ids))

    def has(self, name: str) -> Any:
        """Which rows set a field."""
        return (self.slots[:, 0] >> 32 & FIELD[name].mask) != 0

    def column(self, name: str) -> Any:
        """The values of a field in the rows that set it, as the model lays it out."""
        field = FIELD[name]
        words = self.slots[self.has(name), field.word] >> field.shift
        raw = words.astype(f"u{field.storage.bits // 8}")
        return raw.view(_FLOATS.get(field.storage, raw.dtype))


class Reader:
    """A lane in a segment of its own, and what has been written to it so far."""

    def __init__(self, folder: Path) -> None:
        self.segment = Segment(folder, 1, 1 << 15)
        self.segment.claim_lane(0)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.segment.buffer))
        self.address = start + layout.lane_offset(0)
        self.slots: list[Any] = []

    def word(self, offset: int) -> int:
        """A word of the lane's control block."""
        return int(self.segment.words[(layout.lane_offset(0) + offset) // 8])

    def drain(self) -> None:
        """Take what is there, and free its slots."""
        start = layout.slots_offset(0, 1, self.segment.lane_slots)
        ring = np.frombuffer(self.segment.buffer, np.uint64)[start // 8 :]
        ring = ring[: self.segment.lane_slots * SLOT_BYTES // 8].reshape(-1, SLOT_BYTES // 8)
        head, tail = self.word(layout.LANE_HEAD), self.word(layout.LANE_TAIL)
        self.slots.append(ring[np.arange(head, tail) % self.segment.lane_slots])
        self.segment.words[(layout.lane_offset(0) + layout.LANE_HEAD) // 8] = tail

    def records(self) -> Table:
        """All records taken."""
        return Table(np.concatenate(self.slots))


class Clock:
    """Time that passes only in sleep, when the lane is drained too."""

    def __init__(self, reader: Reader) -> None:
        self.now_ns = 0
        self.reader = reader

    def read(self) -> int:
        """The time."""
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.now_ns += round(seconds * SECOND)
        self.reader.drain()


@pytest.fixture
def reader(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """A lane that demos write to, with names going nowhere."""
    one = Reader(runtime_folder)
    monkeypatch.setattr(jit, "lane", lambda: one.address)
    monkeypatch.setattr(rnts, "announce", lambda ids, names, group, role: None)
    yield one
    one.segment.unlink()


def run(demo: Demo, reader: Reader, seconds: float) -> Table:
    """Announce and run for so long on a clock of its own; what was reported."""
    clock = Clock(reader)
    demo.announce()
    demo.run(round(seconds * SECOND), clock=clock.read, sleep=clock.sleep)
    reader.drain()
    return reader.records()


def test_names_tell_groups_and_roles(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each neuron is announced once, under the hash of its name, with its group and role."""
    told: dict[int, tuple[str, str, str]] = {}

    def announce(ids: list[int], names: list[str], group: str, role: str) -> None:
        for neuron_id, name in zip(ids, names, strict=True):
            assert neuron_id not in told
            told[neuron_id] = (name, group, role)

    monkeypatch.setattr(rnts, "announce", announce)
    demo = Demo(1_000)
    demo.announce()

    assert told.keys() == set(demo.reports.ids.tolist())
    assert all(rnts.name_to_id(name) == neuron_id for neuron_id, (name, _, _) in told.items())
    assert told[int(demo.reports.ids[242])] == ("cortex-1/0042", "cortex-1", "excitatory")
    assert Counter(group for _, group, _ in told.values()) == dict.fromkeys(GROUP_NAMES, 100)
    roles = Counter(role for _, _, role in told.values())
    assert roles == {"excitatory": 800, "inhibitory": 200}


def test_spikes_are_reported(reader: Reader) -> None:
    """Where the rate allows it each spike has a sample with its time, in order."""
    demo = Demo(100, rate=100_000)
    records = run(demo, reader, 1.0)
    spikes = records.where(records.has("processing_time_ns"))

    assert len(spikes) == demo.summary()["spikes"] > 500
    assert spikes.column("processing_time_ns").max() < SECOND
    assert np.all(spikes.column("weight") == 1)
    assert np.all(spikes.column("activation_potential") >= THRESHOLD_MV)
    for neuron, neuron_id in enumerate(demo.reports.ids):
        own = spikes.of(neuron_id).column("activation_count")
        assert own.tolist() == list(range(1, demo.network.counters[COUNT_SPIKES, neuron] + 1))


def test_samples_are_true_to_the_model(reader: Reader) -> None:
    """The last sample of each neuron agrees with the network's own arrays."""
    demo = Demo(100, rate=200_000)  # so that each neuron is swept in each step
    records = run(demo, reader, 0.5)
    samples = records.where(records.kinds == Kind.SAMPLE)
    sweep = samples.where(slice(-100, None))
    network, fired = demo.network, demo.network.counters[COUNT_SPIKES]
    fan_out, received = np.diff(network.first), network.counters[COUNT_RECEIVED]
    order = np.argsort(sweep.ids)[np.argsort(np.argsort(demo.reports.ids))]
    last = {name: sweep.column(name)[order] for name in METRIC_NAMES if sweep.has(name).any()}

    assert np.array_equal(sweep.ids[order], demo.reports.ids)
    assert np.array_equal(last["activation_count"], fired)
    assert np.array_equal(last["messages_sent"], fired * fan_out)
    assert np.array_equal(last["messages_received"], received)
    assert np.array_equal(last["bytes_transmitted"], INPUT_BYTES * (fired * fan_out + received))
    assert np.array_equal(last["connection_count"], fan_out + network.fan_in)
    assert np.array_equal(
        last["memory_bytes"], network.neuron_bytes + fan_out * network.synapse_bytes
    )
    assert np.array_equal(last["activation_potential"], network.state[STATE_POTENTIAL])
    assert last["queue_depth"].sum() > 0
    faded = np.exp((network.counters[COUNT_LAST_STEP] - network.header[0] + 1) / RATE_STEPS)
    rates_hz = network.state[STATE_RATE] * faded * STEPS_PER_SECOND
    assert last["signal_strength"] == pytest.approx(rates_hz, rel=1e-9)
    assert np.array_equal(np.isnan(last["noise_ratio"]), fired < INTERVALS_MIN)
    assert not {"gpu_usage_percent", "cpu_usage_percent", "cache_hit_rate"} & last.keys()


def test_links_count_every_message(reader: Reader) -> None:
    """The messages of a neuron's links add up to what was reported of its synapses."""
    demo = Demo(100, rate=100_000)
    records = run(demo, reader, 0.5)
    links = records.where(records.kinds == Kind.LINK)
    messages, network = links.column("link_messages"), demo.network

    assert messages.min() > 0
    assert np.array_equal(links.column("link_bytes"), messages * INPUT_BYTES)
    assert set(links.column("link_latency_ns").tolist()) == {n * STEP_NS for n in range(1, 8)}
    for neuron, neuron_id in enumerate(demo.reports.ids):
        own, part = links.of(neuron_id), slice(*network.first[neuron : neuron + 2])
        assert own.column("link_messages").sum() == demo.reports.reported[part].sum()
        assert np.isin(own.column("link_peer_id"), demo.reports.ids[network.targets[part]]).all()


def test_rate_is_kept_by_weights(reader: Reader) -> None:
    """Below what there is to say spikes are drawn by lot, with weights that make up for it."""
    demo = Demo(1_000, rate=4_000)
    records = run(demo, reader, 4.0)
    summary = demo.summary()

    assert len(records) == summary["records"]["offered"] == summary["records"]["accepted"]
    assert summary["records"]["per_second"] == pytest.approx(4_000, rel=0.05)
    assert records.column("weight").sum() == pytest.approx(summary["spikes"], rel=0.1)
    assert len(np.unique(records.ids)) == 1_000


def test_smallest_rate_still_speaks(reader: Reader) -> None:
    """A rate of less than a record a step still gives about so many records, and sweeps."""
    records = run(Demo(1_000, rate=20), reader, 4.0)

    assert 60 <= len(records) <= 140
    assert np.sum((records.kinds == Kind.SAMPLE) & ~records.has("weight")) > 10


def test_full_lane_is_counted(reader: Reader) -> None:
    """Records that the lane refuses are counted as the lane counts them, and delay nothing."""
    demo = Demo(1_000, rate=400_000)
    clock = Clock(reader)
    demo.announce()
    pass_ns = iter(range(0, 10 * SECOND, 5_000_000))
    demo.run(SECOND // 2, clock=lambda: next(pass_ns), sleep=lambda seconds: None)
    counted = demo.summary()["records"]

    assert clock.now_ns == 0
    assert counted["refused"] == reader.word(layout.LANE_DROP["lane_full"]) > 0
    assert counted["offered"] == reader.word(layout.LANE_ATTEMPTS)
    assert counted["accepted"] == reader.word(layout.LANE_TAIL) == reader.segment.lane_slots


def test_same_seed_same_spikes(reader: Reader) -> None:
    """What is reported does not disturb the model: the rate changes no spike."""
    runs = []
    for rate in (100, 50_000):
        demo = Demo(200, seed=9, rate=rate)
        run(demo, reader, 0.5)
        runs.append(demo.network.counters[COUNT_SPIKES].tolist())

    assert sum(runs[0]) > 0
    assert runs[0] == runs[1]


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_break_one_group(reader: Reader, kind: str) -> None:
    """Each fault shows in its own way in its group, and the others stay healthy."""
    demo = Demo(1_000, fault=Fault(kind, SECOND // 2, "motor"))
    records = run(demo, reader, 3.0)
    motor = demo.reports.ids[900:]
    own, others = records.of(motor), records.of(demo.reports.ids[:900])
    states = Counter(demo.reports.health[900:].tolist())
    types = own.column("event_type")
    rates = demo.network.counters[COUNT_SPIKES, 900:] / 3.0

    assert others.column("health").max() == Health.HEALTHY
    assert demo.summary()["fault"] == {"kind": kind, "group": "motor", "at_seconds": 0.5}
    if kind == "kill":
        assert np.all(types == Deactivated.code)
        assert sorted(own.ids[own.kinds == Kind.EVENT]) == sorted(motor)
        assert np.all(own.kinds[-100:] == Kind.EVENT)  # nothing comes after the last words
    elif kind == "silence":
        assert len(types) == 0
        assert 0 < rates.mean() < 4
    elif kind == "storm":
        assert states[Health.CRITICAL] > 90
        assert np.sum(types == ErrorOccurred.code) > 90
        assert len(own) / 2.5 > 10 * len(others) / 9 / 3.0
        assert rates.mean() > 200
    else:
        assert own.column("processing_time_ns").max() >= 2 * SPIN_NS_FIRST
        assert own.column("queue_depth").max() > QUEUE_CRITICAL
        assert states[Health.HEALTHY] == 0 < states[Health.CRITICAL]


def test_health_has_limits_and_patience() -> None:
    """Rate and queue decide; a state is left only well below the limit that led to it."""
    healthy, degraded, critical = Health.HEALTHY, Health.DEGRADED, Health.CRITICAL
    for rate, queue, before, expected in (
        (10.0, 3, healthy, healthy),
        (RATE_DEGRADED_HZ + 1, 0, healthy, degraded),
        (RATE_CRITICAL_HZ + 1, 0, healthy, critical),
        (0.0, QUEUE_DEGRADED + 1, healthy, degraded),
        (0.0, QUEUE_CRITICAL + 1, healthy, critical),
        (RATE_DEGRADED_HZ * RECOVERY + 1, 0, degraded, degraded),
        (RATE_DEGRADED_HZ * RECOVERY - 1, 0, degraded, healthy),
        (RATE_CRITICAL_HZ * RECOVERY + 1, 0, critical, critical),
        (RATE_CRITICAL_HZ * RECOVERY - 1, 0, critical, degraded),
        (0.0, 0, critical, healthy),
    ):
        assert judge(rate, queue, int(before)) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"neurons": 9}, "10 to 1,000,000 neurons, not 9"),
        ({"neurons": 1_000_001}, "not 1,000,001"),
        ({"seed": -1}, "a seed is at least 0"),
        ({"rate": 0}, "records a second, not 0"),
    ],
)
def test_impossible_demos_are_refused(arguments: dict[str, int], message: str) -> None:
    """Sizes, seeds and rates that cannot be are refused with the limit and the value."""
    with pytest.raises(UsageError, match=message):
        Demo(**arguments)


def test_unknown_faults_are_refused() -> None:
    """A fault or a group that does not exist is refused with those that do."""
    with pytest.raises(UsageError, match="did you mean storm"):
        Fault("strom")
    with pytest.raises(UsageError, match="did you mean thalamus"):
        Fault("kill", group="thalmus")
