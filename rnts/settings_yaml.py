"""YAML text as plain values, together with the place in the file where each of them is written.

PyYAML's graph of nodes is walked here instead of constructed: that keeps line and column of every
value, finds keys that stand twice, and bounds what a hostile file can cost. Text follows YAML 1.1,
where `on` is a boolean and `010` is eight; what would surprise is refused with an explanation.
"""

from collections.abc import Callable, Mapping
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import SafeConstructor
from yaml.reader import ReaderError

from rnts.credentials import HIDDEN, may_hold
from rnts.settings_tree import SHOWN_CHARACTERS_MAX, KeyPath, Place, Tree, shorten

VALUES_MAX = 20_000  # of one file, where each use of an alias counts all that it stands for
DEPTH_MAX = 32  # of nesting; our settings need five
NUMBER_CHARACTERS_MAX = 64  # of one number, because reading one costs the square of its length
NOT_YAML = "is not YAML"  # begins what is said about wrong syntax
_TOO_DEEP = f"nested more than {DEPTH_MAX} deep"
_TOO_MANY = f"holds more than {VALUES_MAX} values, counting all uses of an alias"
_TAG = "tag:yaml.org,2002:"
_TEXT_KINDS = ("str", "value", "merge")  # `=` and `<<` are plain text where they stand as values
_WORDS_CHARACTERS_MAX = 3 * SHOWN_CHARACTERS_MAX  # of PyYAML's messages, which quote the file
_CONSTRUCTOR = SafeConstructor()
_READERS: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    "bool": _CONSTRUCTOR.construct_yaml_bool,
    "int": _CONSTRUCTOR.construct_yaml_int,
    "float": _CONSTRUCTOR.construct_yaml_float,
}
_LEFT_OUT = object()  # what a node stands for that was refused


def parse(text: str, source: str) -> Tree:
    """The value that is written in `text`; whatever is wrong with it stands in `problems`."""
    tree = Tree(source)
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except _TooMuch as error:
        tree.refuse(_place(source, error.problem_mark), (), str(error.problem))
    except yaml.MarkedYAMLError as error:
        words = " ".join(filter(None, (error.context, error.problem)))
        hint = "; indent with spaces, not tabs" if "'\\t'" in words else ""
        mark = error.problem_mark or error.context_mark
        message = f"{NOT_YAML}: {shorten(words, _WORDS_CHARACTERS_MAX)}{hint}"
        tree.refuse(_place(source, mark) if mark else Place(source), (), message)
    except ReaderError as error:
        character = text[error.position]
        message = f"{NOT_YAML}: the character {character!r} may not stand here"
        tree.refuse(Place.after(source, text[: error.position]), (), message)
    except (ValueError, OverflowError):
        # PyYAML lets these out for the numbers in escapes and directives.
        assert loader is not None, "a loader reads no numbers while it is made"
        message = f"{NOT_YAML}: a number in an escape or a directive is out of all bounds"
        tree.refuse(Place(source, loader.line + 1, loader.column + 1), (), message)
    else:
        if node is not None:
            value = _Walk(tree).value(node, ())
            tree.plain = None if value is _LEFT_OUT else value
    return tree


def write(value: object) -> str:
    """A value as YAML on one line."""
    style: dict[str, Any] = {"default_flow_style": True, "sort_keys": False, "allow_unicode": True}
    text = yaml.safe_dump(value, width=float("inf"), **style)
    text = text.removesuffix("\n").removesuffix("\n...")
    if "\n" in text:  # Only double quotes keep the lines of a text on one line.
        text = yaml.safe_dump(value, width=float("inf"), default_style='"', **style)
    return text.removesuffix("\n")


def write_document(
    plain: dict[str, Any], notes: Mapping[str, str], above: str = "", indent: str = ""
) -> str:
    """Settings as a YAML document, with a comment at each whose dotted path stands in `notes`."""
    lines = []
    for name, value in plain.items():
        path = f"{above}{name}"
        note = f"  # {notes[path]}" if path in notes else ""
        if isinstance(value, dict):
            below = write_document(value, notes, f"{path}.", f"{indent}  ")
            lines.append(f"{indent}{name}:{note}\n{below}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{indent}{name}:{note}\n")
            for item in value:
                below = write_document(item, {}, "", f"{indent}    ")
                lines.append(f"{indent}  - {below.lstrip(' ')}")
        else:
            lines.append(f"{indent}{name}: {write(value)}{note}\n")
    return "".join(lines)


class _TooMuch(ComposerError):
    """YAML that is right and far larger than settings are."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with bounds: its composer is recursive, and a megabyte of commas takes minutes."""

    depth = 0
    node_count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        self.node_count += 1
        if self.depth > DEPTH_MAX:
            raise _TooMuch(None, None, _TOO_DEEP, self.peek_event().start_mark)
        if self.node_count > 2 * VALUES_MAX:  # A mapping has a node for each name, too.
            raise _TooMuch(None, None, _TOO_MANY, self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _place(source: str, mark: Any, node: yaml.Node | None = None) -> Place:
    """The place of a mark, and how the node there is spelled."""
    place = Place(source, mark.line + 1, mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        raw = mark.buffer[mark.pointer : node.end_mark.pointer]
        return Place(source, place.line, place.column, node.value, not node.style, raw)
    return place


class _Refused(Exception):
    """A node that stands for no value of ours; the text says why."""


class _Walk:
    """One walk over a graph of nodes, which notes places and problems in a tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.values_left = VALUES_MAX

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        """The plain value of a node, or `_LEFT_OUT`."""
        place = _place(self.tree.source, node.start_mark, node)
        if self.values_left <= 0:
            if self.values_left == 0:
                self.tree.refuse(place, (), _TOO_MANY)
                self.values_left = -1
            return _LEFT_OUT
        self.values_left -= 1
        try:
            plain = self._plain(node, path)
        except _Refused as error:
            message = str(error)
            if may_hold(path) and node.value:
                message = message.replace(shorten(str(node.value)), HIDDEN)
            self.tree.refuse(place, path, message)
            return _LEFT_OUT
        self.tree.places[path] = place
        return plain

    def _plain(self, node: yaml.Node, path: KeyPath) -> object:
        if len(path) >= DEPTH_MAX:
            raise _Refused(f"{_TOO_DEEP}, or an alias that contains itself")
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return self._sequence(node, path)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(kind, node)
        raise _Refused(f"no setting takes the YAML tag {shorten(node.tag)}")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        plain: dict[str, object] = {}
        for key, child in node.value:
            place = _place(self.tree.source, key.start_mark, key)
            if reason := _why_no_name(key):
                self.tree.refuse(place, path, reason)
                continue
            below = (*path, key.value)
            if first := self.tree.names.get(below):
                self.tree.refuse(place, below, f"stands twice; first on line {first.line}")
                continue
            self.tree.names[below] = place
            value = self.value(child, below)
            if value is not _LEFT_OUT:
                plain[key.value] = value
        return plain

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> tuple[object, ...]:
        plain: list[object] = []
        for child in node.value:
            value = self.value(child, (*path, len(plain)))
            if value is not _LEFT_OUT:
                plain.append(value)
        return tuple(plain)


def _why_no_name(key: yaml.Node) -> str | None:
    """Why a key cannot be the name of a setting, or None if it can."""
    if not isinstance(key, yaml.ScalarNode):
        return "a list or a mapping stands where the name of a setting belongs"
    kind = key.tag.removeprefix(_TAG)
    if kind == "str":
        return None
    if kind == "merge":
        return "the merge key << is not read here; use an alias for a whole value, or write it out"
    return f"{shorten(key.value)!r} is no name of a setting: YAML 1.1 reads it as {kind}"


def _scalar(kind: str, node: yaml.ScalarNode) -> object:
    """The value of a scalar; raises `_Refused` for one that no setting could mean."""
    text = node.value
    if kind in _TEXT_KINDS:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise _Refused(f"{shorten(text)!r} holds half a character, which is no Unicode text")
        return text
    if kind == "null":
        return None
    if kind not in _READERS:
        said = "a date" if kind == "timestamp" else f"of the tag {shorten(node.tag)}"
        raise _Refused(f"{shorten(text)!r} is {said} to YAML and no setting takes one; quote text")
    if len(text) > NUMBER_CHARACTERS_MAX:
        raise _Refused(f"{shorten(text)!r} is too long for a number")
    try:
        value = _READERS[kind](node)
    except (ValueError, KeyError, IndexError, OverflowError):
        raise _Refused(f"{text!r} is no {kind}") from None
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise _Refused(f"{text} does not fit into 64 bits")
    digits = text.lstrip("+-")
    octal = kind == "int" and digits[:1] == "0" and digits[1:2].isdigit()
    if octal or (kind != "bool" and ":" in text):
        base = 8 if octal else 60
        means = f"{text} means {value} to YAML 1.1, which reads it in base {base}"
        raise _Refused(f"{means}; write {value}, or quote it if it is text")
    return value
