"""The whole road over each kind of link, with real processes: nothing is lost on any."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_tools import here
from link_tools import free_address, introduce, make_certificates, make_keys, needs_grpc
from process_tools import all_alive, has_agent, program, run, running, settled, until

from rnts.errors import ConnectError
from rnts.links.options import LinkOptions
from rnts.query import ask

Settings = dict[str, str]
NIGHTLY = os.environ.get("RNTS_TEST_SIZE") == "nightly"


def asked(settings: Settings, what: str = "snapshot") -> dict[str, Any]:
    """What the aggregator says at the address of this machine; empty where nobody answers."""
    options = LinkOptions(settings.get("RNTS_TRANSPORT__PROTOCOL", "zmq"))
    try:
        return ask(None, {"type": what}, 500, options)
    except ConnectError:
        return {}


def aggregated(settings: Settings) -> int:
    """How many records it has folded."""
    return int(asked(settings, "accounting").get("accounting", {}).get("aggregated", 0))


def settings_of(kind: str, folder: Path) -> tuple[Settings, Settings]:
    """The environment of an aggregator and of an agent that are to meet by a kind of link."""
    if kind == "grpc ipc":
        return ({"RNTS_TRANSPORT__PROTOCOL": "grpc"},) * 2
    endpoint = free_address()
    both = {
        "RNTS_AGGREGATOR__BIND": endpoint,
        "RNTS_TRANSPORT__ENDPOINTS": f"['{endpoint}']",
        "RNTS_TRANSPORT__ENCRYPTION": "always",
    }
    if kind == "curve":
        for name in ("aggregator", "agent"):
            make_keys(folder / name)
        introduce(folder / "agent", folder / "aggregator", endpoint)
        places = (str(folder / name) for name in ("aggregator", "agent"))
        aggregator, agent = ({**both, "RNTS_TRANSPORT__KEYS_DIR": place} for place in places)
        return aggregator, agent
    make_certificates(folder, "aggregator", "agent")
    aggregator, agent = (
        {
            **both,
            "RNTS_TRANSPORT__PROTOCOL": "grpc",
            "RNTS_TRANSPORT__TLS__CA": str(folder / "ca.pem"),
            "RNTS_TRANSPORT__TLS__CERTIFICATE": str(folder / f"{name}.pem"),
            "RNTS_TRANSPORT__TLS__KEY": str(folder / f"{name}.key"),
        }
        for name in ("aggregator", "agent")
    )
    return aggregator, agent


KINDS = ["curve", "grpc tls", *(["grpc ipc"] if NIGHTLY else [])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_aggregator_loses_nothing(kind: str, tmp_path: Path) -> None:
    """What was recorded before and after its death is aggregated once, and the audit balances.

    Viewers with the agent's secrets are answered at the address that other machines reach.
    """
    if kind != "curve":
        needs_grpc()
    aggregator, agent = settings_of(kind, tmp_path)
    with program() as producer, ExitStack() as stack:
        first = stack.enter_context(running("-q", "aggregate", **aggregator))
        others = [stack.enter_context(running("-q", "agent", "--no-host", **agent))]
        until(lambda: all_alive([first, *others]) and has_agent(asked(aggregator)))
        neuron = producer.neuron("worker")
        for i in range(500):
            assert neuron.record(queue_depth=i)
        until(lambda: aggregated(aggregator) == 500)
        first.kill()
        first.wait()
        for i in range(500):
            assert neuron.record(queue_depth=i)
        stack.enter_context(running("-q", "aggregate", **aggregator))
        until(lambda: aggregated(aggregator) == 1000)
        result = until(lambda: (r := here("audit", "--json", **aggregator)).returncode == 0 and r)
        assert settled(json.loads(result.stdout)) == 1000
        document = until(lambda: has_agent(d := asked(aggregator)) and d)
        assert document["aggregator"]["link"]["accepted"] >= 1
        assert document["agents"][0]["link"]["disconnected"] >= 1
        if kind != "grpc ipc":
            place = agent["RNTS_AGGREGATOR__BIND"]
            result = here("status", "--json", "--endpoint", place, **agent)
            assert result.returncode == 0, result.stderr
            assert json.loads(result.stdout)["neurons"]["known"] == 1


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["aggregate"], {"RNTS_AGGREGATOR__BIND": "tcp://*:1"}),
        (["agent", "--no-host"], {"RNTS_TRANSPORT__ENDPOINTS": "['192.0.2.1:1']"}),
    ],
)
def test_processes_without_keys_end_at_once(
    words: list[str], settings: Settings, tmp_path: Path
) -> None:
    """Where other machines are involved, with exit code 2 and what to do about it."""
    result = run(*words, XDG_CONFIG_HOME=str(tmp_path), **settings)
    assert result.returncode == 2
    assert "make keys with `rnts keys generate`" in result.stderr
    assert "telemetry.transport.encryption: off" in result.stderr
    assert "Traceback" not in result.stderr


@contextmanager
def two_machines() -> Iterator[tuple[str, str, str]]:
    """Two network namespaces that reach each other and nobody else; the second one's address."""
    if os.getuid() != 0:
        pytest.skip("network namespaces need root")
    near, far = (f"rnts-{os.getpid()}-{end}" for end in ("near", "far"))
    try:
        try:
            ip("netns", "add", near)
            ip("netns", "add", far)
            ip("-n", near, *["link", "add", "veth0", "type", "veth", "peer", "name", "veth1"])
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces cannot be made here: {error}")
        ip("-n", near, "link", "set", "veth1", "netns", far)
        for name, device, address in ((near, "veth0", "10.254.7.1"), (far, "veth1", "10.254.7.2")):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")
        yield near, far, "10.254.7.2"
    finally:
        for name in (near, far):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def ip(*words: str) -> None:
    """One command of iproute2."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


def test_a_partition_loses_nothing(tmp_path: Path) -> None:
    """While a blackhole swallows all packets the agent keeps what is recorded for later."""
    with two_machines() as (near, far, host), program() as producer, ExitStack() as stack:
        for name in ("aggregator", "agent"):
            make_keys(tmp_path / name)
        endpoint = f"tcp://{host}:8090"
        introduce(tmp_path / "agent", tmp_path / "aggregator", endpoint)
        common = {
            "RNTS_AGGREGATOR__BIND": endpoint,
            "RNTS_AGGREGATOR__GRACE_MS": "60000",
            "RNTS_TRANSPORT__ENDPOINTS": f"['{endpoint}']",
        }
        aggregator = {**common, "RNTS_TRANSPORT__KEYS_DIR": str(tmp_path / "aggregator")}
        agent = {**common, "RNTS_TRANSPORT__KEYS_DIR": str(tmp_path / "agent")}
        words = ["-q", "agent", "--no-host"]
        processes = [
            stack.enter_context(running("-q", "aggregate", inside=far, **aggregator)),
            stack.enter_context(running(*words, inside=near, **agent)),
        ]
        until(lambda: all_alive(processes) and has_agent(asked(aggregator)))
        neuron = producer.neuron("worker")
        for i in range(500):
            assert neuron.record(queue_depth=i)
        until(lambda: aggregated(aggregator) == 500)
        ip("-n", near, "route", "add", "blackhole", f"{host}/32")
        for i in range(500):
            assert neuron.record(queue_depth=i)
        until(lambda: silence_ns(aggregator) > 1_500_000_000)
        assert aggregated(aggregator) == 500
        ip("-n", near, "route", "del", "blackhole", f"{host}/32")
        until(lambda: aggregated(aggregator) == 1000)
        result = until(lambda: (r := here("audit", "--json", **aggregator)).returncode == 0 and r)
        assert settled(json.loads(result.stdout)) == 1000


def silence_ns(settings: Settings) -> int:
    """For how long the aggregator has heard nothing of its agent."""
    agents = asked(settings).get("agents", [])
    return int(agents[0]["silent_ns"]) if agents else 0
