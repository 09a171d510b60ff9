"""Mistakes in settings: each is named with its place, and no text does worse than that."""

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from settings_tools import BATCH_SIZE, DATA, ROOT, isolate, problems, said

from rnts.errors import ConfigError
from rnts.settings import load, load_file
from rnts.settings_models import leaves
from rnts.settings_tree import PROBLEMS_MAX, Place, Problem, dotted, report
from rnts.settings_yaml import VALUES_MAX, write


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder, without settings of this machine."""
    isolate(monkeypatch, tmp_path)


def test_no_source_hides_a_mistake_of_another(tmp_path: Path) -> None:
    """A wrong value is reported even where a nearer source replaces it."""
    (tmp_path / "rnts.yaml").write_text("telemetry: {collection: {batch_size: no}}")
    lines = said(environ={"RNTS_COLLECTION__BATCH_SIZE": "x"}, overrides={BATCH_SIZE: 5})
    assert [line.split(": found")[0] for line in lines] == [
        f"rnts.yaml:1:38: {BATCH_SIZE}",
        f"environment RNTS_COLLECTION__BATCH_SIZE: {BATCH_SIZE}",
    ]


QUOTES = "; text with such characters needs quotes inside the value"
NO_ALIAS = "while scanning an alias expected alphabetic or numeric character, but found ':'"
NO_ENDPOINT = "'b' is not of the form host:port, tcp://host:port or ipc:///path"
NO_NUMBER = "found the text 'five'; expected a whole number from 1 to 65536, for example 100"
NEAR = "unknown setting; did you mean RNTS_COLLECTION__BATCH_SIZE?"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("COLECTION__BATCH_SIZE", "5", NEAR),
        ("TELEMETRY__COLLECTION__BATCH_SIZE", "5", NEAR),
        ("COLLECTION__BATCH_SIZE", "five", f"{BATCH_SIZE}: {NO_NUMBER}"),
        ("TRANSPORT__ENDPOINTS", "[a:1, b]", f"telemetry.transport.endpoints.1: {NO_ENDPOINT}"),
        ("AGGREGATOR__BIND", "*:1", f"aggregator.bind: is not YAML: {NO_ALIAS}{QUOTES}"),
        (
            "COLLECTION__BATCH_SIZE",
            "\udcff",
            f"{BATCH_SIZE}: is not YAML: the character '\\udcff' may not stand here{QUOTES}",
        ),
    ],
)
def test_environment_mistakes_name_the_variable(name: str, value: str, line: str) -> None:
    """A wrong variable is an error with its name; one that is nearly right gets a suggestion."""
    assert said(environ={f"RNTS_{name}": value}) == [f"environment RNTS_{name}: {line}"]


def test_flags_are_checked_too() -> None:
    """A flag of the wrong type or of an unknown name is refused as a flag."""
    assert said(overrides={"aggregator.bnd": "x", "agent.host": "x"}) == [
        "flag: agent.host: found the text 'x'; expected true or false, for example true",
        "flag: aggregator.bnd: unknown setting; did you mean bind?",
    ]
    found = load(
        environ={},
        overrides={"agent.segments_dir": Path("/a"), "telemetry.transport.endpoints": ["a:1"]},
    )
    assert (found.agent.segments_dir, found.telemetry.transport.endpoints) == ("/a", ("a:1",))


def mistakes() -> list[tuple[str, str]]:
    """The pairs of tests/data/settings_mistakes.txt: a text, what is said about it."""
    blocks = (DATA / "settings_mistakes.txt").read_text().split("\n\n")[1:]
    return [(text, line.strip()) for text, line in (block.split("\n=> ") for block in blocks)]


@pytest.mark.parametrize(("text", "line"), mistakes())
def test_a_mistake_is_named_with_its_place_and_what_belongs_there(text: str, line: str) -> None:
    """Each kind of mistake is one line: file:line:column, setting, what is there, what belongs."""
    assert problems(text) == [f"rnts.yaml:{line}"]


def test_every_mistake_is_reported_in_the_order_of_the_file() -> None:
    """Mistakes of syntax, names, types and rules of one file come together, by line."""
    text = "agent:\n  hst: 1\n  host: 1\n  host: 2\nalerts: 5\nyes: 1\n"
    assert [line.split(" ")[0] for line in problems(text)] == [
        "rnts.yaml:2:3:",
        "rnts.yaml:3:9:",
        "rnts.yaml:4:3:",
        "rnts.yaml:5:9:",
        "rnts.yaml:6:1:",
    ]


def test_unreadable_files_are_refused_clearly(tmp_path: Path) -> None:
    """A directory, other encodings, and a file beyond the limit each have their own message."""
    assert problems(b"agent:\n  # \xc3\xa9\xff") == [
        "rnts.yaml:2:6: byte 0xff is not UTF-8; save the file as UTF-8"
    ]
    assert problems("agent:".encode("utf-16")) == [
        "rnts.yaml:1:1: byte 0xff is not UTF-8; save the file as UTF-8"
    ]
    assert problems(b"#" * ((1 << 20) + 1)) == ["rnts.yaml: is larger than 1048576 bytes"]
    (tmp_path / "rnts.yaml").unlink()
    (tmp_path / "rnts.yaml").mkdir()
    assert said() == ["rnts.yaml: cannot be read: Is a directory"]


def test_aliases_stand_for_values_but_cannot_explode() -> None:
    """An alias is read; one that contains itself, or that multiplies, is refused at once."""
    Path("rnts.yaml").write_text("agent: {host_interval_ms: &n 300}\naggregator: {grace_ms: *n}")
    assert load(environ={}).aggregator.grace_ms == 300
    assert "1:1: a" in problems("&x {a: *x}")[0]
    levels = [f"l{n}: &l{n} [{','.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 12)]
    many = f"holds more than {VALUES_MAX} values, counting all uses of an alias"
    assert any(many in line for line in problems("l0: &l0 [1]\n" + "".join(levels)))
    assert problems("a: [" + "1," * (2 * VALUES_MAX) + "]") == [f"rnts.yaml:1:79999: {many}"]


def test_control_characters_have_a_place_too() -> None:
    """A character that may stand in no file is named, with its place."""
    assert problems("agent:\n  a\x07: 1") == [
        "rnts.yaml:2:4: is not YAML: the character '\\x07' may not stand here"
    ]


def test_a_long_report_is_cut_and_counted() -> None:
    """Beyond a limit only the number of problems is told, and no line holds control characters."""
    lines = problems("".join(f"key{n}: 1\n" for n in range(PROBLEMS_MAX + 20)))
    assert len(lines) == PROBLEMS_MAX + 1
    assert lines[-1] == "and 20 problems more"
    assert report([Problem(Place("a\nb"), ("\x1b[31m",), "é")]) == ["a\\nb: \\x1b[31m: é"]


def test_the_documentation_shows_real_messages() -> None:
    """The mistakes that docs/settings.md shows are what RNTS says."""
    text = "telemetry:\n  aggregation:\n    windw_ms: 5\n\n\n  collection:\n    batch_size: '100'"
    documentation = (ROOT / "docs" / "settings.md").read_text()
    for line in problems(text):
        assert f"\n{line}\n" in documentation


def check_only_config_errors(text: str) -> None:
    """Load a text as a file and as a variable; whatever is refused is refused in fit lines."""
    Path("rnts.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load(environ={"RNTS_AGENT__HOST": text})
    except ConfigError as error:
        assert error.problems
        assert all(line.isprintable() and len(line) < 1_000 for line in error.problems)


NAMES = [str(step) for path, _ in leaves() for step in path] + ["name", "condition", "severity"]
PIECES = [*NAMES, ": ", ":", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ",", "'", '"', "#"]
PIECES += ["&a ", "*a", "<<", "!!int ", "!x ", "? ", "|", ">", "%", "\\", "\\U", "---\n", "...\n"]
PIECES += ["0x", "010", "1e3", "1:30", ".nan", "-.inf", "~", "yes", "=", "2024-01-01", "\t", "\r"]


@settings(max_examples=6 * settings().max_examples)
@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.text()))
def test_no_text_raises_anything_but_a_configuration_error(text: str) -> None:
    """Whatever a file or a variable holds, it loads or is refused with messages."""
    check_only_config_errors(text)


CONDITION_SPACES = [" ", "\n", "\n\n  ", "\t", "\u2003", "\x85 "]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=10,
)


@settings(max_examples=2 * settings().max_examples)
@given(st.sampled_from([path for path, _ in leaves()]), VALUES)
def test_no_value_raises_anything_but_a_configuration_error(path: tuple, value: object) -> None:
    """Whatever stands where a setting belongs, as YAML or as a flag, is taken or refused."""
    nested = value
    for step in reversed(path):
        nested = {step: nested}
    check_only_config_errors(yaml.safe_dump(nested, allow_unicode=True))
    try:
        assert load(environ={}, overrides={dotted(path): value})
    except ConfigError as error:
        assert error.problems


@settings(max_examples=2 * settings().max_examples)
@example("queue_depth >\n 1 and\n\n not absent(activation_count,\t5s)", "two words")
@given(
    st.lists(st.sampled_from(CONDITION_SPACES), min_size=6, max_size=6).map(
        lambda spaces: "{}queue_depth{}>{}1{}or{}health == 'critical'{}".format(*spaces)
    ),
    st.text(st.characters(categories=["L", "P", "Zs"]), max_size=9),
)
def test_settings_written_as_yaml_are_read_back(condition: str, name: str) -> None:
    """What `to_yaml` writes, with comments or without, loads as the same settings."""
    rules = ({"name": name, "condition": condition, "severity": "info"},)
    try:
        found = load(environ={}, overrides={"alerts": rules, "agent.segments_dir": f"/{name}"})
    except ConfigError:
        return
    for notes in ({}, found.origins()):
        Path("rnts.yaml").write_bytes(found.to_yaml(notes).encode())
        assert load_file(Path("rnts.yaml")) == found


def test_a_value_is_written_on_one_line() -> None:
    """Text of several lines is written in double quotes, so that it stays on its line."""
    assert write("a\n b") == '"a\\n b"'
    assert write({"b": [1, "x\n"], "a": 99.9}).count("\n") == 0
    assert write([50, 99.9]) == "[50, 99.9]"
