"""Keys: where they lie, who may read them, and what `rnts keys` says and refuses."""

import json
import os
from pathlib import Path

import pytest
from link_tools import make_keys
from typer.testing import CliRunner

from rnts.commands.keys import app
from rnts.errors import UsageError
from rnts.keys import Allowed, KeyFolder, default_keys_folder, tolerant
from rnts.links import zmq_curve
from rnts.links.access import AGENTS_OF_A_KEY_MAX, Access
from rnts.links.options import LinkOptions, needs

ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    """A folder that is not there yet."""
    return KeyFolder(tmp_path / "rnts" / "keys")


def test_the_secret_is_for_its_user_alone(keys: KeyFolder) -> None:
    """It is made with mode 600 in a folder of mode 700, replaced only when told to."""
    public = make_keys(keys.folder)
    assert (keys.folder / "secret").stat().st_mode & 0o777 == 0o600
    assert keys.folder.stat().st_mode & 0o777 == 0o700
    assert zmq_curve.public_key(keys.secret()) == public
    with pytest.raises(UsageError, match="--force"):
        make_keys(keys.folder)
    keys.keep_secret(b"\1" * 32, replace=True)
    assert keys.secret() == b"\1" * 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_that_others_can_read_is_none(keys: KeyFolder, mode: int) -> None:
    """It is refused with its mode and what to do."""
    make_keys(keys.folder)
    (keys.folder / "secret").chmod(mode)
    with pytest.raises(UsageError, match=f"has mode {mode:o}, so others can read it; chmod 600"):
        keys.secret()


@pytest.mark.parametrize("content", ["", "00", "g" * 64, "\u00e9" * 64])
def test_a_damaged_secret_is_refused(keys: KeyFolder, content: str) -> None:
    """What is no key is told as such, with the way to a new one."""
    make_keys(keys.folder)
    (keys.folder / "secret").write_text(content)
    with pytest.raises(UsageError, match="is damaged; `rnts keys generate --force`"):
        keys.secret()


def test_lists_are_read_again_when_they_change(keys: KeyFolder) -> None:
    """What is allowed, changed and removed stands in the file, and another reader sees it."""
    other = KeyFolder(keys.folder)
    assert keys.allowed() == {}
    keys.allow(Allowed(ONE, "agent", "web-1"))
    keys.allow(Allowed(TWO, "viewer", "laptop"))
    assert other.allowed() == {
        ONE: Allowed(ONE, "agent", "web-1"),
        TWO: Allowed(TWO, "viewer", "laptop"),
    }
    keys.allow(Allowed(ONE, "agent", "web-1", 77))
    assert other.allowed()[ONE].agent_id == 77
    with pytest.raises(UsageError, match="laptop has another key already"):
        keys.allow(Allowed("3" * 64, "agent", "laptop"))
    keys.trust("tcp://far:1", ONE)
    assert keys.remove(ONE) == 2
    assert (other.remove("laptop"), other.remove("laptop")) == (1, 0)
    assert (other.allowed(), other.trusted()) == ({}, {})


@pytest.mark.parametrize(
    "line", ["x", f"{ONE} king web", f"{ONE} agent web x", f"{ONE[1:]} agent w"]
)
def test_a_running_aggregator_keeps_the_last_good_list(keys: KeyFolder, line: str) -> None:
    """A line that is none is told once; until it is mended, what was allowed before holds."""
    said: list[str] = []
    allowed = tolerant(keys.allowed, said.append)
    keys.allow(Allowed(ONE, "agent", "web"))
    assert list(allowed()) == [ONE]
    (keys.folder / "allowed").write_text(line)
    assert list(allowed()) == list(allowed()) == [ONE]
    assert len(said) == 1
    (keys.folder / "allowed").unlink()
    assert allowed() == {}


def test_a_list_that_others_can_write_is_refused(keys: KeyFolder) -> None:
    """Whoever could add a line to it could let anybody in."""
    keys.allow(Allowed(ONE, "agent", "web"))
    (keys.folder / "allowed").chmod(0o622)
    os.utime(keys.folder / "allowed", ns=(1, 1))
    with pytest.raises(UsageError, match="others can write"):
        keys.allowed()


def test_an_agent_belongs_to_the_key_that_spoke_for_it() -> None:
    """Another key is refused, until the first one is removed; a viewer may ask and no more."""
    allowed = {ONE: Allowed(ONE, "agent", "a"), TWO: Allowed(TWO, "agent", "b")}
    access = Access(lambda: allowed)
    assert access.may_speak(ONE, 7)
    assert access.may_speak(ONE, 7)
    assert not access.may_speak(TWO, 7)
    assert access.may_speak(TWO, 8)
    assert access.may_speak(None, 7)  # this machine's own user
    allowed = {TWO: allowed[TWO], "3" * 64: Allowed("3" * 64, "viewer", "v")}
    assert not access.may_speak(ONE, 7)
    assert not access.may_speak(ONE, None)
    assert access.may_speak(TWO, 7)
    assert access.may_speak("3" * 64, None)
    assert not access.may_speak("3" * 64, 9)


def test_a_pinned_agent_has_one_key() -> None:
    """Nobody else may speak for it, and its key for no other."""
    pinned, other = Allowed(ONE, "agent", "a", 7), Allowed(TWO, "agent", "b")
    access = Access(lambda allowed={ONE: pinned, TWO: other}: allowed)  # type: ignore[misc]
    assert not access.may_speak(TWO, 7)
    assert access.may_speak(ONE, 7)
    assert not access.may_speak(ONE, 8)


def test_a_key_that_claims_agents_without_end_is_bounded() -> None:
    """Its oldest claims go, those of others stay."""
    access = Access()
    assert access.may_speak("victim", 1)
    for agent_id in range(2, 2 + 2 * AGENTS_OF_A_KEY_MAX):
        assert access.may_speak("hog", agent_id)
    assert access.may_speak("other", 2)
    assert not access.may_speak("other", 1)
    assert not access.may_speak("other", 1 + 2 * AGENTS_OF_A_KEY_MAX)


@pytest.mark.parametrize(
    ("endpoint", "encryption", "is_encrypted"),
    [
        ("ipc:///tmp/x", "always", False),
        ("tcp://127.0.0.1:1", "auto", False),
        ("tcp://127.0.0.1:1", "always", True),
        ("tcp://[::1]:1", "auto", False),
        ("tcp://127.example.org:1", "auto", True),
        ("tcp://*:1", "auto", True),
        ("tcp://*:1", "off", False),
    ],
)
def test_what_other_machines_reach_is_encrypted(
    endpoint: str, encryption: str, is_encrypted: bool
) -> None:
    """By itself, unless it is said otherwise; a name that begins with 127 is no loopback."""
    assert LinkOptions(encryption=encryption).is_encrypted(endpoint) is is_encrypted


def test_the_refusal_says_what_to_do() -> None:
    """Keys, or the setting that goes without."""
    words = str(needs("tcp://far:1", "make keys"))
    assert "can be reached from other machines" in words
    assert "make keys" in words
    assert "telemetry.transport.encryption: off" in words


def test_without_libsodium_nothing_is_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A libzmq without CURVE is refused, and so is one with its own copy of tweetnacl."""
    zmq_curve.require_curve()
    with monkeypatch.context() as patch:
        patch.setattr(zmq_curve.zmq, "has", lambda what: False)
        with pytest.raises(UsageError, match="without CURVE"):
            zmq_curve.require_curve()
    with monkeypatch.context() as patch:
        patch.setattr(zmq_curve.ctypes, "CDLL", lambda path: object())
        with pytest.raises(UsageError, match="without libsodium"):
            zmq_curve.require_curve()


def test_keys_are_made_shown_allowed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole life of keys by `rnts keys`, as the documentation tells it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def keys(*words: str) -> str:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.exception
        return result.stdout.strip()

    nobody = CliRunner().invoke(app, ["list"])
    assert (nobody.exit_code, nobody.stdout) == (0, "")
    assert nobody.stderr.startswith("rnts: nobody is let in or believed yet; `rnts keys allow")
    assert json.loads(keys("list", "--json")) == {"version": 1, "allowed": [], "trusted": []}
    public = keys("generate")
    assert keys("show") == public
    keys("allow", ONE, "web-1", "--agent", "7")
    keys("trust", "far:8090", TWO)
    assert keys("list") == f"{ONE}  agent   web-1  only agent 7\n{TWO}  trusted tcp://far:8090"
    told = json.loads(keys("list", "--json"))
    assert told["allowed"] == [{"key": ONE, "role": "agent", "name": "web-1", "agent_id": "7"}]
    assert told["trusted"] == [{"endpoint": "tcp://far:8090", "key": TWO}]
    keys("remove", "web-1")
    refused = CliRunner().invoke(app, ["remove", "web-1"]).exception
    assert isinstance(refused, UsageError)
    assert "rnts keys list" in str(refused)
    for words in (["generate"], ["allow", "x", "y"], ["trust", "far", ONE], ["allow", ONE, "a b"]):
        assert isinstance(CliRunner().invoke(app, words).exception, UsageError)
    assert sorted(os.listdir(tmp_path / "rnts" / "keys")) == ["allowed", "secret", "trusted"]


def test_keys_lie_where_settings_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """In $XDG_CONFIG_HOME, or in ~/.config where that is unset or no absolute path."""
    monkeypatch.setenv("HOME", "/home/me")
    for folder, found in (("/xdg", "/xdg"), ("", "/home/me/.config"), ("x", "/home/me/.config")):
        monkeypatch.setenv("XDG_CONFIG_HOME", folder)
        assert default_keys_folder() == Path(found, "rnts", "keys")
