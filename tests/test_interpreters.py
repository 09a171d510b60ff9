"""Sub-interpreters: each has a segment of its own, written by Python with a lane a thread."""

import importlib.util
import os
import select
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from capture_tools import ROOT, Taker
from living_tools import PATIENCE_S

from rnts.accounting import COLUMN, DROPS

MODULES = ("_xxsubinterpreters", "_interpreters")  # as they are called before 3.13, and from then
RECORDS, THREADS, INTERPRETERS = 50, 3, 2
PROGRAM = """
import importlib, sys
import rnts

interpreters, within, count = importlib.import_module(sys.argv[1]), sys.argv[2], int(sys.argv[3])
main = rnts.neuron("main", neuron_id=1)
assert main.record(queue_depth=0)
shared = ("legacy",) if sys.version_info >= (3, 13) else ()  # may start threads, share the GIL
options = {} if shared else {"isolated": False}
made = [interpreters.create(*shared, **options) for _ in range(count)]
for one in made:
    failed = interpreters.run_string(one, within)
    assert failed is None, failed
assert main.record(queue_depth=1)
print("done", flush=True)
sys.stdin.read()
"""
WITHIN = f"""
import threading
import rnts

assert rnts.attach() == "python"
neuron = rnts.neuron("sub", neuron_id=2)
ready = threading.Barrier({THREADS})

def work():
    neuron.record(queue_depth=0)
    ready.wait()  # so that all have their lanes at once
    for i in range(1, {RECORDS}):
        neuron.record(queue_depth=i)

threads = [threading.Thread(target=work) for _ in range({THREADS})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with neuron.activation():
    neuron.event(rnts.Deactivated("done"))
"""


def start(module: str) -> subprocess.Popen[str]:
    """A program with interpreters in it, which have recorded, and which ends with its input."""
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, module, WITHIN, str(INTERPRETERS)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    answer = select.poll()
    answer.register(child.stdout, select.POLLIN)
    if not answer.poll(PATIENCE_S * 1000) or child.stdout.readline() != "done\n":
        child.kill()
        child.communicate()
        raise AssertionError("the program has not done what it should")
    return child


def test_an_interpreter_records_like_a_process(runtime_folder: Path) -> None:
    """Nothing of what its threads record is lost or mixed with others', and the books balance."""
    module = next((name for name in MODULES if importlib.util.find_spec(name)), None)
    if module is None:
        pytest.skip(f"this Python has neither {' nor '.join(MODULES)}")
    child = start(module)
    taker = Taker(runtime_folder)
    seen = Counter(record.neuron_id for record in taker.take())
    rows = [dict(zip(COLUMN, row.tolist(), strict=True)) for row in taker.collector.source_rows()]
    child.communicate(timeout=PATIENCE_S)
    each = THREADS * RECORDS + 2
    assert child.returncode == 0
    assert seen == {1: 2, 2: INTERPRETERS * each}
    assert sum(row["attempts"] for row in rows) == 2 + INTERPRETERS * each
    assert sum(row["delivered"] for row in rows) == 2 + INTERPRETERS * each
    assert not any(row[reason] for row in rows for reason in DROPS if reason in row)
    lanes = sorted(segment.lanes_used for segment in taker.collector.segments)
    assert lanes == [1] + [THREADS] * INTERPRETERS
