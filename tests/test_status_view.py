"""`rnts status`: what it asks, what it prints for people and programs, and how it refuses."""

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from naive_windows import Item, to_records
from rich.cells import cell_len
from screen_tools import SNAPSHOT
from typer.testing import CliRunner, Result

from rnts.commands.status import print_text, snapshot_lines, status
from rnts.errors import ConnectError, RntsError
from rnts.model import Health, Kind
from rnts.snapshot import neuron_snapshot, snapshot
from rnts.windows import Windows

NEURON = {
    "version": 1,
    "time_ns": SNAPSHOT["time_ns"],
    "neuron": {
        "neuron_id": "6849421935478913587",
        "name": "motor/17",
        "group": "motor",
        "role": "pyramidal",
        "host": "vm-7",
        "health": "critical",
        "reason": "no spike for 5 s",
        "since_ns": SNAPSHOT["time_ns"] - 5_000_000_000,
        "last_seen_ns": SNAPSHOT["time_ns"] - 1_000_000_000,
        "last": {"queue_depth": 12, "memory_bytes": 1 << 20},
        "window": {
            key: SNAPSHOT["window"][key] for key in ("start_ns", "end_ns", "complete", "revision")
        },
        "records": 48_211,
        "errors": 3,
        "metrics": {"processing_time_ns": SNAPSHOT["metrics"]["processing_time_ns"]},
        "links": {"in": SNAPSHOT["links"]["top"][:1], "out": []},
        "events": SNAPSHOT["events"]["recent"][:1],
    },
}
APP = typer.Typer()
APP.command()(status)
Asked = list[tuple[str | None, dict[str, Any], int]]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wish about colours or sizes from outside reaches the tests."""
    for name in (
        "NO_COLOR",
        "FORCE_COLOR",
        "TTY_COMPATIBLE",
        "TTY_INTERACTIVE",
        "COLUMNS",
        "LINES",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What was asked of an aggregator that knows the sample documents."""
    seen: Asked = []

    def where(endpoint: str | None, config: Path | None) -> tuple[str | None, str]:
        return endpoint, "settings"

    def ask(
        endpoint: str | None, request: dict[str, Any], timeout_ms: int, options: str
    ) -> dict[str, Any]:
        assert options == "settings"
        seen.append((endpoint, request, timeout_ms))
        if endpoint == "ipc://nobody":
            raise ConnectError("no aggregator answers at ipc://nobody; start one with `rnts up`")
        if request["type"] == "snapshot":
            return SNAPSHOT
        if request["neuron"] == "motor/17":
            return NEURON
        return {"version": 1, "neuron": None, "near": ["motor/17", "\x1b[31mmotor/18"]}

    monkeypatch.setitem(sys.modules, "rnts.query", SimpleNamespace(ask=ask, where=where))
    return seen


def run(*arguments: str) -> Result:
    """`rnts status` with these arguments, its output going into a pipe."""
    return CliRunner().invoke(APP, arguments)


def test_status_is_one_plain_screen_of_text(asked: Asked) -> None:
    """What is wrong stands first; a pipe gets no escapes, a fixed width and a bounded length."""
    result = run()
    lines = result.stdout.splitlines()

    assert result.exit_code == 0
    assert asked[0][:2] == (None, {"type": "snapshot"})
    assert lines[0].startswith(" CRITICAL  3 neurons critical: motor/17 (no spike for 5 s)")
    assert "losses      12,257 lost  balanced" in result.stdout
    assert "±0.54 %" in result.stdout
    assert "\x1b" not in result.stdout
    assert len(lines) <= 40
    assert all(cell_len(line) <= 100 for line in lines)


def test_json_is_the_document_on_one_line(asked: Asked) -> None:
    """Programs get what the aggregator said, nothing else on stdout."""
    result = run("--json", "--endpoint", "ipc://here")

    assert json.loads(result.stdout) == SNAPSHOT
    assert result.stdout.count("\n") == 1
    assert result.stdout.isascii()
    assert asked[0][0] == "ipc://here"


def test_one_neuron_is_shown_in_full(asked: Asked) -> None:
    """Who it is, how it is and why, when it was last seen, what it measures, what happened."""
    result = run("--neuron", "motor/17")

    assert asked[0][1] == {"type": "neuron", "neuron": "motor/17"}
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines == [
        "motor/17 id 6849421935478913587",
        "is in group motor role pyramidal host vm-7",
        "health critical for 5s no spike for 5 s",
        "records 48,211 in the last window 3 errors",
        "last seen 1s ago",
        "",
        "metrics last mean p50 p99 max bound",
        "processing_time_ns - 21.5 µs 9.31 µs 1.98 ms 311 ms 0.54 %",
        "queue_depth 12 - - - - -",
        "memory_bytes 1.00 MiB - - - - -",
        "",
        "links in to msgs bytes latency",
        "cortex/1/0 cortex/2/0 12.0k 1.10 MiB 48.0 µs",
        "",
        "events ago neuron detail",
        "ErrorOccurred 0s motor/17 Timeout · upstream did not answer within…",
    ]
    assert json.loads(run("--neuron", "motor/17", "--json").stdout) == NEURON


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_an_unknown_neuron_is_refused_with_near_names(asked: Asked, extra: tuple[str, ...]) -> None:
    """Exit code 1, nothing on stdout, and a message in which no name can steer the terminal."""
    result = run("--neuron", "motor/7\x07", *extra)

    assert isinstance(result.exception, RntsError)
    assert result.exception.exit_code == 1
    assert str(result.exception) == (
        "no neuron has the id or name 'motor/7\\x07'; did you mean motor/17, \\x1b[31mmotor/18?"
    )
    assert result.stdout == ""


def test_nobody_answers(asked: Asked) -> None:
    """The error of the connection goes up to the roof, which ends with code 4."""
    result = run("--endpoint", "ipc://nobody")

    assert isinstance(result.exception, ConnectError)
    assert result.exception.exit_code == 4


class Terminal(io.StringIO):
    """A text stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


@pytest.mark.parametrize(
    ("environ", "escapes"),
    [({"TERM": "xterm-256color"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=str,
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], escapes: bool
) -> None:
    """NO_COLOR and TERM=dumb get no escape at all, not even a bold one."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    print_text(SNAPSHOT, of_neuron=False)

    assert ("\x1b" in terminal.getvalue()) is escapes
    assert "CRITICAL" in terminal.getvalue()


@pytest.mark.parametrize("width", [20, 80, 200])
def test_the_text_keeps_to_its_screen(width: int) -> None:
    """As on the live screen, no line is wider and there are no more than asked for."""
    lines = snapshot_lines(SNAPSHOT, width, 30)

    assert len(lines) <= 30
    assert all(cell_len(line.plain) <= width for line in lines)


def test_the_command_imports_nothing_heavy() -> None:
    """`rnts --help` pays for no rich, numpy or zmq because of this command."""
    code = "import sys, rnts.commands.status; print({'rich', 'numpy', 'zmq'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "set()"


def shape(value: Any) -> Any:
    """The keys of a document, all the way down; lists by their first row, metrics by any."""
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return {key: shape(part) for key, part in value.items()} if isinstance(value, dict) else None


def test_the_samples_are_like_the_documents_of_an_aggregator() -> None:
    """Keys and nesting of the samples in these tests are those of `rnts.snapshot`."""
    second, now_ns = 1_000_000_000, 1_790_000_002_000_000_000
    windows = Windows(second, (50, 90, 95, 99, 99.9))
    sample = {"processing_time_ns": 5e8, "activation_count": 3, "health": Health.CRITICAL}
    link, error = {"link_peer_id": 2, "link_latency_ns": 9}, {"event_type": 5}
    items = [
        Item(1, now_ns - second, Kind.NAME, {}, ("neuron", "motor", "role", "host")),
        Item(1, now_ns - second, Kind.SAMPLE, {"activation_count": 1}),
        Item(1, now_ns - second, Kind.SAMPLE, sample, ("no spike",)),
        Item(1, now_ns - second, Kind.EVENT, error, ("Timeout", "upstream")),
        Item(1, now_ns - second, Kind.LINK, link),
    ]
    windows.fold(to_records(items), now_ns)
    windows.advance(now_ns, complete=True)
    about = {key: SNAPSHOT[key] for key in ("accounting", "agents", "aggregator")}
    document = snapshot(windows, time_ns=now_ns, **about)
    neuron = neuron_snapshot(windows, "neuron", time_ns=now_ns)
    sampled = SNAPSHOT | {"groups": {"motor": SNAPSHOT["groups"]["motor"]}}
    sampled["metrics"] = {name: sampled["metrics"][name] for name in document["metrics"]}
    sampled["events"] = sampled["events"] | {"counts": document["events"]["counts"]}
    document["groups"]["motor"]["metrics"].pop("activation_count")

    assert shape(document) == shape(sampled)
    assert shape(neuron)["neuron"].keys() == NEURON["neuron"].keys()
    assert shape(neuron)["neuron"]["links"].keys() == NEURON["neuron"]["links"].keys()
    assert neuron_snapshot(windows, "neuro", time_ns=now_ns)["near"] == ["neuron"]
    assert snapshot_lines(document, 100, 40)[0].plain.startswith(" CRITICAL  1 neuron critical")
