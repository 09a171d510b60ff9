"""Units as systemd reads them, and stricter: sections, lists that add up, words in quotes."""

import re
from collections import defaultdict

Unit = dict[str, dict[str, list[str]]]


def parse_unit(text: str) -> Unit:
    """The values of each setting of each section, in order; fails on what is no unit."""
    found: Unit = {}
    section: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            assert not line.endswith("\\"), f"a comment that goes on: {line}"
        elif match := re.fullmatch(r"\[([A-Z][a-z]+)\]", line):
            assert match[1] not in found, f"{line} stands twice"
            section = found[match[1]] = defaultdict(list)
        else:
            match = re.fullmatch(r"([A-Z][A-Za-z]+)=(.*[^\\ ]|)", line)
            assert match and found, f"no setting: {line!r}"
            section[match[1]].append(match[2])
    return found


def words_of(value: str) -> list[str]:
    """The words of a value: quotes and escapes undone, specifiers and variables too."""
    found = []
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"|([^ "\\]+)', value):
        quoted, plain = match.groups()
        word = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        assert not re.search(r"(?<!%)%(?:%%)*(?!%)", word), f"a specifier: {word}"
        found.append(word.replace("%%", "%").replace("$$", "$"))
    return found
