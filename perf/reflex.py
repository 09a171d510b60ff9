"""Standing expressions: what they add to the fold of a record, and what an evaluation costs.

The records are those of `codec.fold` among 10,000 neurons that are equally likely, in batches of
1,000. `fold_…` is the time of a record with no expression, with four and with twenty; after each
batch all are evaluated, which is timed by itself. `rule_ns` is what a rule costs a neuron where its
readings are in the nearest caches, as they are once read, `rule_with_readings_ns` with all of that.
"""

import hashlib
import json
import statistics
import time
from typing import Any

import numpy as np

from rnts.frame import FrameDecoder
from rnts.kernels import flips
from rnts.perf import workload
from rnts.perf.codec import copy_of, encoder
from rnts.perf.inserts import durations, inserts
from rnts.perf.neuron_memory import neuron_memory
from rnts.perf.population import population
from rnts.perf.reaction import reaction
from rnts.perf.reaction_rare import reaction_rare
from rnts.perf.sketches import compare
from rnts.perf.timing import Batch, call_times_ns
from rnts.records import Records
from rnts.reflex.engine import Engine
from rnts.reflex.scope import CHUNK
from rnts.rules.condition import parse_condition, parse_quantity
from rnts.rules.program import Program
from rnts.windows import Windows

_NEURONS, _SEED, _GAP_NS, _BATCH = 10_000, 1, 500, 1_000
_WINDOW_NS = 1_000_000_000
_ROUNDS = 10  # of one measurement, since the first finds caches that others have filled
_COMPARED = 20_000  # values that all sketches get
_OF_NEURONS = (
    "health_status == 'critical' and queue_depth > 1e6",
    "max(queue_depth) over 1s > 1e6 by neuron",
    "mean(processing_time_ms) over 1s > 1e6 by neuron",
    "rate(messages_sent) over 1s > 1e12 by neuron",
    "errors over 10s > 1e6 by neuron",
)
_FOUR = (
    _OF_NEURONS[1],
    "error_rate > 0.9 and affected_neurons > 1e6 by group",
    "p99_processing_time_ms > 1e6 by group",
    "mean(cpu_usage_percent) over 5s > 1e6",
)
_SIXTEEN = (
    _OF_NEURONS[0],
    *_OF_NEURONS[2:],
    "absent(activation_count, 1h) by neuron",
    "rate(bytes_transmitted) > 1e15 by group",
    "count(queue_depth) over 1s > 1e9 by group",
    "mean(cache_hit_rate) over 1s > 10 by group",
    "records over 1s > 1e9",
    "critical_neurons / neurons > 2",
    "min(signal_strength) over 1s > 1e9",
    "max(noise_ratio) over 1s > 1e9",
)
_QUANTITIES = (
    "max(memory_mb) over 5s by group",
    "p50(processing_time_ns) over 1s",
    "rate(messages_received)",
    "mean(activation_potential) over 1s by group",
)


def reflex(smoke: bool) -> dict[str, Any]:
    """Times of hook, evaluation and rules, and a digest of what the quantities are in the end."""
    count, repeats = (10_000, 2) if smoke else (100_000, 9)
    table = workload.records(count, _NEURONS, _SEED, mean_gap_ns=_GAP_NS, profile="uniform")
    encode, decoder = encoder("none"), FrameDecoder()
    slots = [workload.to_slots(table[start : start + _BATCH]) for start in range(0, count, _BATCH)]
    batches = [copy_of(decoder.decode(encode(one)).records) for one in slots]
    runs = {
        "fold": _Run((), ()),
        "fold_4_rules": _Run(_FOUR, ()),
        "fold_20_rules": _Run((*_FOUR, *_SIXTEEN), _QUANTITIES),
    }
    times: dict[str, list[float]] = {}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            fold_ns, evaluate_ns = run.go(batches)
            if turn > 0:
                times.setdefault(f"{name}_ns", []).append(fold_ns / count)
                evaluations = times.setdefault(f"{name}_evaluate_batch_ns", [])
                evaluations.append(evaluate_ns / len(batches))
    figures = {name: statistics.median(values) for name, values in times.items()}
    engine = runs["fold_20_rules"].windows.reflex
    digest, memory_bytes = _digest(engine), engine.memory_bytes
    figures |= call_times_ns({**_quiet(), **_rules(engine)}, repeats)
    parts = (inserts(smoke, repeats), population(smoke), reaction(smoke), reaction_rare(smoke))
    lost = sum(part["lost"] for part in parts)
    for part in parts:
        figures |= part
    figures |= compare(durations(_COMPARED), repeats) | neuron_memory(smoke)
    return {**figures, "lost": lost, "memory_mib": memory_bytes / (1 << 20), "hash": digest}


class _Run:
    """Windows with expressions, through which the same batches go again and again."""

    def __init__(self, rules: tuple[str, ...], quantities: tuple[str, ...]) -> None:
        self.windows = Windows(_WINDOW_NS, (50,))
        self._steady_ns = self._shift_ns = 0
        for text in rules:
            self.windows.reflex.register(text, parse_condition(text))
        for text in quantities:
            self.windows.reflex.register(text, parse_quantity(text))

    def go(self, batches: list[Records]) -> tuple[int, int]:
        """Fold all batches once, later than before; CPU time of the folds and the evaluations."""
        engine, fold_ns, evaluate_ns, now_ns = self.windows.reflex, 0, 0, 0
        self._shift_ns += 2 * _WINDOW_NS
        for batch in batches:
            told_ns, batch.times_ns = batch.times_ns, batch.times_ns + self._shift_ns
            now_ns = int(batch.times_ns[-1])
            self._steady_ns += batch.count * _GAP_NS
            engine.arrive(now_ns, self._steady_ns)
            start_ns = time.thread_time_ns()
            self.windows.fold(batch, now_ns)
            folded_ns = time.thread_time_ns()
            engine.evaluate(now_ns, self._steady_ns)
            evaluate_ns += time.thread_time_ns() - folded_ns
            fold_ns += folded_ns - start_ns
            batch.times_ns = told_ns
        self.windows.advance(now_ns + _WINDOW_NS, complete=True)
        return fold_ns, evaluate_ns


def _quiet() -> dict[str, Batch]:
    """Evaluations after which nothing has come, of five rules in three scopes."""
    engine = Windows(_WINDOW_NS, (50,)).reflex
    for text in (*_FOUR, _OF_NEURONS[2]):
        engine.register(text, parse_condition(text))
    engine.evaluate(workload.START_NS, _WINDOW_NS)

    def batch() -> int:
        for _ in range(100):
            engine.evaluate(workload.START_NS, _WINDOW_NS)
        return 100

    return {"evaluate_5_rules_ns": batch}


def _rules(engine: Engine) -> dict[str, Batch]:
    """Rules by neuron of 10,000 neurons: what is computed from readings, and all of it."""
    conditions = [parse_condition(text) for text in _OF_NEURONS]
    program, random = Program(conditions), np.random.default_rng(_SEED)
    rules = len(conditions)
    entities = [
        np.arange(start, min(start + CHUNK, _NEURONS)) for start in range(0, _NEURONS, CHUNK)
    ]
    readings = [random.random((len(program.readings), each.size)) for each in entities]
    truth, values = np.empty((2, rules * CHUNK))
    cells = np.zeros(rules * _NEURONS)
    codes, found = np.zeros(cells.size, np.uint8), np.zeros((cells.size, 3), np.int64)
    rows = np.arange(rules) * _NEURONS
    zeros = np.zeros(rules, np.int64)
    expressions = np.column_stack([zeros, zeros, rows, rows, zeros])
    for text in (*_FOUR, *_SIXTEEN, *_QUANTITIES):
        engine.remove(text)
    for text, condition in zip(_OF_NEURONS, conditions, strict=True):
        engine.register(text, condition)

    def computed() -> int:
        for _ in range(_ROUNDS):
            for some, read in zip(entities, readings, strict=True):
                size = rules * some.size
                found_true, shown = (part[:size].reshape(rules, -1) for part in (truth, values))
                program.evaluate(read, found_true, shown)
                flips.note(some, found_true, shown, expressions, cells, codes, found)
        return _ROUNDS * rules * _NEURONS

    def all_of_it() -> int:
        engine.look_at_all()
        engine.evaluate(workload.START_NS, _WINDOW_NS)
        return len(conditions) * _NEURONS

    return {"rule_ns": computed, "rule_with_readings_ns": all_of_it}


def _digest(engine: Engine) -> str:
    """What the quantities are."""
    found = [engine.full(text, 0).changes for text in _QUANTITIES]
    values = [[(one.labels, f"{one.value:.9g}") for one in changes] for changes in found]
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=8).hexdigest()
