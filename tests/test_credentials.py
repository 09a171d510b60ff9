"""What lets somebody in is shown nowhere: not by commands, nor in messages, logs and dry runs."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_tools import Bench
from settings_tools import isolate
from typer.testing import CliRunner

from rnts.alerts.actions_command import CommandAction
from rnts.alerts.actions_http import AlertmanagerAction, WebhookAction
from rnts.commands.config import app
from rnts.credentials import hide_address, hide_arguments, hide_variable
from rnts.errors import ConfigError
from rnts.settings import load, load_file

SECRET = "s3cr3t-of-12345678"
ACTIONS: list[dict[str, Any]] = [
    {
        "name": "hook",
        "kind": "webhook",
        "url": f"https://ann:{SECRET}@chat.example.org:8443/hooks/{SECRET}?room=a&token={SECRET}",
        "headers": {"Authorization": f"Bearer {SECRET}", "X-Team": "a"},
    },
    {"name": "mail", "kind": "apprise", "url": f"mailto://ann:{SECRET}@example.org"},
    {
        "name": "page",
        "kind": "command",
        "command": ["/bin/page", "--token", SECRET, f"--key={SECRET}", "--now", f"x://{SECRET}@h"],
        "environment": {"PAGE_TOKEN": SECRET, "TEAM": "a", "DB": f"postgres://u:{SECRET}@h/d"},
    },
]


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, tmp_path)


@pytest.mark.parametrize("more", [[], ["--origin"], ["--json"], ["--json", "--origin"]])
def test_settings_are_shown_without(more: list[str]) -> None:
    """All else is as it is in force, and what is shown can be loaded."""
    Path("rnts.yaml").write_text(json.dumps({"actions": ACTIONS}))
    text = CliRunner().invoke(app, ["show", *more], catch_exceptions=False).stdout
    assert SECRET not in text
    shown = yaml.safe_load(text)
    hook, mail, page = (shown["settings"] if "--json" in more else shown)["actions"]
    assert hook["url"] == "https://***@chat.example.org:8443/hooks/***?room=***&token=***"
    assert hook["headers"] == {"Authorization": "***", "X-Team": "***"}
    assert mail["url"] == "mailto://***"
    assert page["command"] == ["/bin/page", "--token", "***", "--key=***", "--now", "x://***"]
    assert page["environment"] == {"PAGE_TOKEN": "***", "TEAM": "a", "DB": "postgres://***"}
    assert load().actions[0].headers["Authorization"] == f"Bearer {SECRET}"
    if not more:
        Path("again.yaml").write_text(text)
        assert [action.name for action in load_file(Path("again.yaml")).actions] == [
            "hook", "mail", "page",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"headers": f"Bearer {SECRET}"}, "found the text '***'; expected a mapping"),
        ({"headers": {"X-Token": 12345678}}, "found the number ***; expected a text in quotes"),
        ({"headers": {"X-Token": SECRET + "\n"}}, "the value of X-Token is no line of ASCII"),
        ({"headers": {"X-Token": SECRET + "ü"}}, "the value of X-Token is no line of ASCII"),
        ({"headers": {"X Token": SECRET}}, "'X Token' is no name of a header"),
        ({"url": f"htps://a:{SECRET}@h"}, "'htps://***@h' is no address of a service"),
        ({"url": f"chat.example.org/{SECRET}"}, "'chat.example.org/***' is no address"),
        ({"url": f"https://a:{SECRET}@h:x"}, "'https://***@h:x' is no address"),
        ({"url": f"https://h/a b?t={SECRET}"}, "'https://h/a b?t=***' has a space"),
        ({"url": f"https://h/ä?t={SECRET}"}, "'https://h/ä?t=***' has more than ASCII"),
        ({"headers": {"content-Type": SECRET}}, "content-Type is said by RNTS itself"),
        ({"headers": {"X-Token": 12345678 * 10**20}}, "*** does not fit into 64 bits"),
        ({"url": ["a", SECRET]}, "found a list of 2; expected a URL"),
    ],
)
def test_mistakes_are_told_without(wrong: dict[str, Any], said: str) -> None:
    """Who shows a message to others shows no credentials, and the mistake is clear all the same."""
    action = {**ACTIONS[0], **wrong}
    Path("rnts.yaml").write_text(json.dumps({"actions": [action]}))
    with pytest.raises(ConfigError) as caught:
        load()
    assert said in str(caught.value)
    assert SECRET not in str(caught.value) and "12345678" not in str(caught.value)


def test_a_dry_run_tells_without(tmp_path: Path) -> None:
    """It says where to, and with which program, and no more."""
    bench = Bench(tmp_path)
    bench.steps(1)
    bench.memory.close()
    (told,) = bench.delivered.got
    hook = ACTIONS[0]
    actions = [
        WebhookAction(hook["url"], headers=hook["headers"]),
        AlertmanagerAction(hook["url"]),
        CommandAction(ACTIONS[2]["command"], environment=ACTIONS[2]["environment"]),
    ]
    said = [action.describe(told) for action in actions]
    assert SECRET not in " ".join(said)
    assert said[0].startswith("POST to chat.example.org/hooks/***?room=***&token=***: ")
    assert "'/bin/page', '--token', '***'" in said[2]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:9093", "http://127.0.0.1:9093"),
        ("https://example.org/api/v2/alerts", "https://example.org/api/v2/alerts"),
        ("https://h/a?b#c", "https://h/a?***"),
        (
            "https://h/services/T0000/B0000/Abcdefgh1Abcdefgh",
            "https://h/services/T0000/B0000/***",
        ),
        ("tgram://123456:abc/1", "tgram://***"),
        ("a:b@h/c", "***@h/c"),
    ],
)
def test_addresses(address: str, shown: str) -> None:
    """What says where a service is stays, and what lets somebody in does not."""
    assert hide_address(address) == shown


def test_arguments_and_variables() -> None:
    """By their names; what only looks like one stays."""
    said = ["curl", "-H", "Authorization: Basic a", "--author", "ann", "-p", "--password", "b", "c"]
    shown = ["curl", "-H", "Authorization: ***", "--author", "ann", "-p", "--password", "***", "c"]
    assert hide_arguments(said) == shown
    assert hide_variable("API_KEY", "a") == "***" and hide_variable("AUTHOR", "a") == "a"
