"""Settings: where they are found, which source wins, and which a process refuses."""

import json
from pathlib import Path

import pytest
import yaml
from settings_tools import BATCH_SIZE, DATA, ROOT, isolate, said

from rnts.model import METRICS
from rnts.settings import load, load_file, table
from rnts.settings_models import leaves
from rnts.settings_tree import dotted
from rnts.settings_yaml import parse


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, tmp_path)


def test_defaults_are_those_of_the_seed_but_for_what_is_argued() -> None:
    """Without any source the seed's values hold, with zmq and no endpoints.

    Nothing is sampled away unless somebody asks for it. A batch is kept for 2 ms, not 10: reaction
    within 10 ms is promised of the whole road.
    """
    found = load(environ={}).plain()
    seed = yaml.safe_load((DATA / "agent.yaml").read_text())["telemetry"]
    seed["transport"] |= {"protocol": "zmq", "endpoints": [], "encryption": "auto"}
    seed["transport"] |= {"keys_dir": None, "tls": dict.fromkeys(("ca", "certificate", "key"))}
    errors = {field.name: field.step / 2 for field in METRICS if field.step}
    seed["collection"] |= {"batch_timeout_ms": 2, "wake_agent": False, "error_max": errors}
    seed["sampling"] |= {"base_rate": 1.0, "adaptive": False}
    assert found["telemetry"] == seed
    assert found["alerts"] == []
    assert found["agent"] == {
        "host": True,
        "host_interval_ms": 250,
        "retained_bytes_max": 256 << 20,
        "spool": {"folder": None, "bytes_max": 1 << 30, "segment_bytes": 8 << 20, "sync": "none"},
        "segments_dir": None,
    }
    assert found["aggregator"] == {
        "bind": None,
        "max_neurons": 100_000,
        "max_groups": 64,
        "grace_ms": 2_000,
        "retire_after_s": 60,
        "seal_after": 2,
        "ledger": "auto",
        "ledger_bytes_max": 256 << 20,
    }


def test_the_seed_files_are_valid_alone_and_joined() -> None:
    """Both YAML blocks of the specification load as they are, and as one file."""
    agent, alerts = load_file(DATA / "agent.yaml"), load_file(DATA / "alerts.yaml")
    assert agent.telemetry.transport.protocol == "grpc"
    assert [alert.name for alert in alerts.alerts] == [
        "high_latency",
        "neuron_death",
        "cascade_failure",
    ]
    joined = (DATA / "agent.yaml").read_text() + (DATA / "alerts.yaml").read_text()
    Path("both.yaml").write_text(joined)
    both = load_file(Path("both.yaml"))
    assert (both.telemetry, both.alerts) == (agent.telemetry, alerts.alerts)
    assert both.alerts[2].action == ("trigger_emergency_protocol",)


def test_the_nearest_source_wins(tmp_path: Path) -> None:
    """Flags win over the environment, then ./rnts.yaml, XDG's file, /etc's, the defaults."""
    text = "telemetry: {{collection: {{batch_size: {}}}}}"
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path / "home")}
    found = [load(environ=environ)]
    (tmp_path / "etc.yaml").write_text(text.format(1))
    found.append(load(environ=environ))
    (tmp_path / "xdg" / "rnts").mkdir(parents=True)
    (tmp_path / "xdg" / "rnts" / "config.yaml").write_text(text.format(2))
    found.append(load(environ=environ))
    (tmp_path / "rnts.yaml").write_text(text.format(3))
    found.append(load(environ=environ))
    environ["RNTS_COLLECTION__BATCH_SIZE"] = "4"
    found.append(load(environ=environ))
    found.append(load(environ=environ, overrides={BATCH_SIZE: 5, "aggregator.bind": None}))
    assert [it.telemetry.collection.batch_size for it in found] == [100, 1, 2, 3, 4, 5]
    assert [it.origin(BATCH_SIZE) for it in found] == [
        "default",
        f"{tmp_path}/etc.yaml:1:38",
        f"{tmp_path}/xdg/rnts/config.yaml:1:38",
        "rnts.yaml:1:38",
        "environment RNTS_COLLECTION__BATCH_SIZE",
        "flag",
    ]
    assert found[-1].origin("aggregator.bind") == "default"


def test_config_replaces_the_file_places(tmp_path: Path) -> None:
    """With `config` given, ./rnts.yaml and the others are not read, and it must exist."""
    (tmp_path / "rnts.yaml").write_text("not: right")
    (tmp_path / "mine.yaml").write_text("aggregator: {max_groups: 7}")
    assert load(Path("mine.yaml"), environ={}).aggregator.max_groups == 7
    assert load(environ={}, cwd=tmp_path / "elsewhere").aggregator.max_groups == 64
    assert said(config=Path("none.yaml")) == [
        "none.yaml: cannot be read: No such file or directory"
    ]


def test_home_stands_in_for_xdg_and_a_relative_xdg_folder_is_ignored(tmp_path: Path) -> None:
    """The XDG folder is $HOME/.config where XDG_CONFIG_HOME is absent or relative."""
    folder = tmp_path / "home" / ".config" / "rnts"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("aggregator: {max_groups: 9}")
    home = {"HOME": str(tmp_path / "home")}
    assert load(environ=home).aggregator.max_groups == 9
    assert load(environ=home | {"XDG_CONFIG_HOME": "home"}).aggregator.max_groups == 9
    assert load(environ={}).aggregator.max_groups == 64


def test_sections_are_joined_and_lists_replaced(tmp_path: Path) -> None:
    """A nearer file changes the settings it names; a list of it stands for the whole list."""
    (tmp_path / "etc.yaml").write_text(
        "telemetry: {aggregation: {window_ms: 500, percentiles: [1, 2, 3]}}\nalerts:\nagent:\n"
    )
    (tmp_path / "rnts.yaml").write_text("telemetry:\n  aggregation:\n    percentiles: [99, 50.0]")
    found = load(environ={})
    assert found.telemetry.aggregation.window_ms == 500
    assert found.telemetry.aggregation.percentiles == (50.0, 99.0)
    assert found.origin("telemetry.aggregation.percentiles") == "rnts.yaml:3:18"
    assert found.origin("telemetry.aggregation.window_ms") == f"{tmp_path}/etc.yaml:1:38"
    assert found.alerts == ()


def test_environment_values_are_yaml() -> None:
    """Numbers, booleans, null and lists of the environment have their YAML types."""
    found = load(
        environ={
            "RNTS_SAMPLING__ADAPTIVE": "true",
            "RNTS_SAMPLING__IMPORTANCE_WEIGHTS__NORMAL": "0.5",
            "RNTS_TRANSPORT__ENDPOINTS": "['a:1', tcp://b:2]",
            "RNTS_AGGREGATOR__BIND": "tcp://*:8090",
            "RNTS_AGENT__SEGMENTS_DIR": "",
            "RNTS_DISABLE": "1",
            "RNTS_RUNTIME_DIR": "x: [",
        }
    )
    assert found.telemetry.sampling.adaptive is True
    assert found.telemetry.sampling.importance_weights.normal == 0.5
    assert found.telemetry.transport.endpoints == ("a:1", "tcp://b:2")
    assert found.telemetry.transport.addresses == ("tcp://a:1", "tcp://b:2")
    assert (found.aggregator.bind, found.agent.segments_dir) == ("tcp://*:8090", None)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "telemetry:\n", "null", "\ufeff{}"])
def test_empty_files_and_sections_change_nothing(text: str) -> None:
    """A file or section without content, even with a byte order mark, leaves the defaults."""
    Path("rnts.yaml").write_text(text, encoding="utf-8")
    assert load(environ={}) == load(Path("/dev/null"), environ={})


@pytest.mark.parametrize(
    "text", ["h:1", "tcp://h-1.b_c:65535", "[::1]:80", "ipc:///a b", "ipc://@n"]
)
def test_addresses_of_every_form_are_accepted(text: str) -> None:
    """Names, IPv4, IPv6 and local sockets can be endpoints and can be bound to."""
    found = load(
        environ={}, overrides={"telemetry.transport.endpoints": [text], "aggregator.bind": text}
    )
    assert found.telemetry.transport.addresses == (found.aggregator.address,)
    assert str(found.aggregator.address).endswith(text)


@pytest.mark.parametrize(("slots", "lane_slots"), [(64, 64), (65, 128), (10_000, 16_384)])
def test_a_lane_has_a_power_of_two_of_slots(slots: int, lane_slots: int) -> None:
    """`ring_buffer_size` is kept as written, and rounded up where a lane is made."""
    found = load(environ={}, overrides={"telemetry.collection.ring_buffer_size": slots})
    assert found.telemetry.collection.lane_slots == lane_slots


def test_settings_cannot_be_changed_and_compare_by_value() -> None:
    """Settings are frozen; the place that a value comes from is no part of it."""
    found = load(environ={})
    with pytest.raises(AttributeError):
        found.agent = found.agent  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        found.telemetry.collection.batch_size = 5
    assert load(environ={}, overrides={BATCH_SIZE: 100}) == found
    assert load(environ={}, overrides={BATCH_SIZE: 101}) != found


def test_the_origin_of_what_is_no_setting_is_misuse() -> None:
    """Asking for an unknown setting raises with the nearest name."""
    with pytest.raises(ValueError, match=r"did you mean telemetry\.collection\.batch_size\?"):
        load(environ={}).origin("collection.batch_size")


def test_rules_may_name_actions_of_another_file(tmp_path: Path) -> None:
    """What is missing is missing in all sources together, and its place is where it is named."""
    action = "actions: [{name: page, kind: log}]"
    rule = "alerts: [{name: a, severity: info, condition: errors > 1, action: page}]"
    (tmp_path / "etc.yaml").write_text(action)
    Path("rnts.yaml").write_text(rule)
    assert load(environ={}).alerts[0].action == ("page",)
    (tmp_path / "etc.yaml").unlink()
    known = "no entry of actions has the name 'page'; known here: log, trigger_emergency_protocol"
    assert said() == [f"rnts.yaml:1:{rule.index('page') + 1}: alerts.0.action: {known}"]


def test_what_a_command_could_not_be_given_is_refused() -> None:
    """Zero bytes, names that are none, RNTS's own variables; and one name for two ways of telling,
    of which one would hear nothing."""
    page = {"name": "page", "kind": "command", "command": ["a"]}
    own = "what begins with RNTS_ALERT_ is said by RNTS itself"
    for wrong, words in (
        ({"command": ["a", "b\0"]}, "a program takes no argument with a zero byte"),
        ({"environment": {"A=B": "c"}}, "'A=B' is no name of a variable"),
        ({"environment": {"A": "\0"}}, "its value has a zero byte"),
        ({"environment": {"RNTS_ALERT_KEY": "c"}}, own),
        ({"name": "team/log"}, "what is told this way is called 'team/log', as an action is"),
    ):
        team = {"name": "team", "actions": ["log"]}
        text = json.dumps({"actions": [{**page, **wrong}], "receivers": [team]})
        Path("rnts.yaml").write_text(text)
        assert len(said()) == 1 and words in said()[0]


def test_the_shipped_file_holds_every_setting_with_its_meaning() -> None:
    """config/rnts.yaml names each setting once, under a comment that says what it is."""
    text = (ROOT / "config" / "rnts.yaml").read_text()
    lines, tree = text.splitlines(), parse(text, "rnts.yaml")
    for path, info in leaves():
        above = lines[tree.names[path].line - 2].strip()
        meaning = f"{info.description[0].upper()}{info.description[1:]}"
        assert above == f"# {meaning}.", dotted(path)


def test_the_shipped_example_is_that_of_the_specification() -> None:
    """config/alerts.yaml holds the three rules of the specification."""
    assert (
        load_file(ROOT / "config" / "alerts.yaml").alerts == load_file(DATA / "alerts.yaml").alerts
    )


def test_the_documentation_lists_every_setting() -> None:
    """docs/settings.md ends with the table that `rnts.settings.table()` makes."""
    text = (ROOT / "docs" / "settings.md").read_text()
    assert text.endswith(table()), "replace the table by the output of rnts.settings.table()"


@pytest.mark.parametrize("text", ["off", "'off'", "false"])
def test_off_is_a_word_where_it_is_a_choice(text: str) -> None:
    """YAML 1.1 reads it as a boolean; nobody who switches something off should need quotes."""
    names = ("RNTS_AGGREGATOR__LEDGER", "RNTS_TRANSPORT__ENCRYPTION")
    found = load(environ=dict.fromkeys(names, text))

    assert found.aggregator.ledger == "off"
    assert found.telemetry.transport.encryption == "off"
