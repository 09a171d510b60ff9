"""What tests of links share: addresses of their own, keys, certificates, and waiting."""

import shutil
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from process_tools import until

from rnts.keys import Allowed, KeyFolder
from rnts.links.choice import AgentEnd, AggregatorEnd, agent_link
from rnts.links.options import LinkOptions
from rnts.links.zmq_curve import make_secret, public_key


def free_address() -> str:
    """A tcp address of this machine that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def needs_grpc() -> None:
    """Skip where the extra rnts[grpc] is not installed."""
    if find_spec("grpc") is None:
        pytest.skip("grpcio is not installed; pip install 'rnts[grpc]'")


_OPENED: list[AgentEnd] = []


def open_agent(options: LinkOptions) -> AgentEnd:
    """An agent's end that `close_agents` closes, however its test ends.

    ZeroMQ's context waits for ever where sockets of it are left to the search for garbage.
    """
    _OPENED.append(agent_link(options))
    return _OPENED[-1]


def close_agents() -> None:
    """Close what was opened; once more harms nothing."""
    while _OPENED:
        _OPENED.pop().close()


def until_received(aggregator: AggregatorEnd, count: int) -> list[tuple[Any, list[bytes]]]:
    """The next messages at an aggregator's end, so many."""
    found: list[tuple[Any, list[bytes]]] = []
    until(lambda: found.extend(aggregator.receive(10)) or len(found) >= count)
    return found


def make_keys(folder: Path) -> str:
    """A pair of keys in a folder; the public one."""
    secret = make_secret()
    KeyFolder(folder).keep_secret(secret, replace=False)
    return public_key(secret)


def introduce(agent: Path, aggregator: Path, endpoint: str, name: str = "agent") -> None:
    """Have two folders of keys know each other, as `rnts keys allow` and `trust` do."""
    own, other = (public_key(KeyFolder(folder).secret()) for folder in (agent, aggregator))
    KeyFolder(aggregator).allow(Allowed(own, "agent", name))
    KeyFolder(agent).trust(endpoint, other)


def make_certificates(folder: Path, *names: str) -> None:
    """`ca.pem`, and `NAME.pem` with `NAME.key` for each name, valid for this machine's address."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificates of this test, is not installed")
    folder.mkdir(exist_ok=True)
    _openssl(folder, "req -x509 -newkey ec:- -keyout ca.key -out ca.pem -subj /CN=ca", "ca")
    for name in names:
        request = f"req -newkey ec:- -keyout {name}.key -out {name}.csr -subj /CN={name}"
        _openssl(folder, request, name)
        (folder / "san").write_text(f"subjectAltName=DNS:{name},IP:127.0.0.1\n")
        sign = f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem"
        subprocess.run(
            ["openssl", *sign.split(), "-extfile", "san", "-days", "2"],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        (folder / f"{name}.key").chmod(0o600)


def _openssl(folder: Path, words: str, name: str) -> None:
    """One command that makes a key of elliptic curves without a password."""
    parameters = ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    arguments = words.replace("ec:-", "ec").split()
    if arguments[1] != "-x509":
        parameters = parameters[:-2]
    subprocess.run(
        ["openssl", *arguments, *parameters], cwd=folder, check=True, capture_output=True
    )
