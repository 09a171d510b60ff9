"""The text of a systemd unit: settings in sections, each with its reason, and quoted words."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from rnts.errors import UsageError

MARK = "# Written by `rnts service install`"
_COLUMNS = 100
_NO_PROGRAM = frozenset("\"'\\$")


class Setting(NamedTuple):
    """A line `NAME=VALUE` under its reason, or a reason alone where there is no name."""

    name: str
    value: str = ""
    why: str = ""


def because(why: str) -> Setting:
    """A reason for what is not there."""
    return Setting("", why=why)


Sections = dict[str, Sequence[Setting]]


def unit_text(sections: Sections, drop_in: str) -> str:
    """A unit file; `drop_in` is the command by which a person changes it."""
    head = f"{MARK}, and over again by the next. Own settings belong elsewhere: `{drop_in}`."
    blocks = [_comment(head)]
    for name, settings in sections.items():
        lines = [f"[{name}]"]
        for setting in settings:
            lines += _comment(setting.why).splitlines()
            lines += [f"{setting.name}={setting.value}"] if setting.name else []
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def command_line(words: Sequence[str]) -> str:
    """A command as `ExecStart=` takes it: nothing in it is replaced by a variable.

    Raises UsageError for a program that systemd would not run, whatever its path is quoted as.
    """
    if odd := _NO_PROGRAM.intersection(words[0]):
        raise UsageError(f"systemd runs no program with {min(odd)} in its path, as {words[0]} has")
    return " ".join(quoted(word).replace("$", "$$") for word in words)


def quoted(word: str) -> str:
    """One word for lists of words, which mean itself and neither a specifier nor two words."""
    if any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in word):
        raise UsageError(f"{word!r} cannot stand in a unit: it holds what is no printable text")
    text = word.replace("%", "%%")
    if text and not any(c in " \"'\\;" for c in text):
        return text
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'


def _comment(text: str) -> str:
    # A comment must not end in a backslash, nor be broken inside of a word with a hyphen.
    lines = textwrap.wrap(text, _COLUMNS - 2, break_on_hyphens=False, break_long_words=False)
    return "\n".join(line if line.startswith("#") else f"# {line}" for line in lines)
