"""Cuts a condition into words, numbers, durations, texts and signs, each with its place.

All that Python's grammar has and conditions do not is refused here or in `reader.py`: so `ast` sees
plain words, decimal numbers and simple texts only, and nothing that it would warn about.
"""

import keyword
import re
from itertools import pairwise
from typing import NamedTuple

from rnts.durations import UNITS_NS
from rnts.rules.faults import Fault, RuleError

CHARACTERS_MAX = 4_096
PIECES_MAX = 1_024  # words, numbers and signs: what a condition costs goes by these
NUMBER_CHARACTERS_MAX = 64
BRACKETS_MAX = 32  # parentheses within parentheses

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<duration>[0-9]+(?:\.[0-9]+)?(?:ns|us|[µμ]s|ms|s|m|h|d)(?![A-Za-z0-9_.]))"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.]))"
    r"|(?P<text>'[^'\n\\]*'|\"[^\"\n\\]*\")"
    r"|(?P<sign>==|!=|<=|>=|[-+*/<>(),])"
)
_INSTEAD = {
    "&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "=": "==", "===": "==",
    "<>": "!=", "=>": ">=", "=<": "<=", ">>": ">", "<<": "<", "≥": ">=", "≤": "<=", "≠": "!=",
    # Signs that word processors make of minus, times and quotes.
    "\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u2018": "'", "\u2019": "'", "\u201c": "'",
    "\u201d": "'",
    "%": "a name in percent, as error_rate_percent > 50",
}  # fmt: skip
_ODD = ("//", "**", "<>", "===", ">>", "<<")  # which begin as a sign of ours does
_ODD_SIGN = re.compile(r"&&|\|\||===|<>|=>|=<|>>|<<|//|\*\*|.", re.DOTALL)
_POINT_OF_PERCENTILE = re.compile(r"\bp([0-9]{1,2})\.([0-9]{1,3})\w*$")
_THOUSANDS = re.compile(r"[0-9]{3}(?:\.|$)")
_ODD_NUMBER = re.compile(r"[0-9.]+[A-Za-z0-9_.µμ]*")


class Token(NamedTuple):
    """A piece of the text: what it is, as it is written, and at which character."""

    kind: str
    text: str
    position: int

    @property
    def end(self) -> int:
        """The character after it."""
        return self.position + len(self.text)


def tokens_of(text: str) -> list[Token]:
    """The pieces of a condition; raises RuleError at the first that can be none."""
    if len(text) > CHARACTERS_MAX:
        message = f"a condition has at most {CHARACTERS_MAX} characters, not {len(text)}"
        raise RuleError(text, [Fault(CHARACTERS_MAX, message)])
    try:
        text.encode()
    except UnicodeEncodeError as error:  # as in arguments of a program that are no UTF-8
        raise RuleError(text, [Fault(error.start, "this is no character")]) from None
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or text.startswith(_ODD, position):
            raise RuleError(text, [_odd(text, position)])
        kind = match.lastgroup
        assert kind is not None, "each way to match has a name"
        token = Token(kind, match[0], position)
        if kind == "number" and len(token.text) > NUMBER_CHARACTERS_MAX:
            raise RuleError(text, [Fault(position, "the number is too long")])
        if kind == "text" and tokens and tokens[-1].end == position:
            _check_apart(text, tokens[-1], position)
        if kind != "space":
            tokens.append(token)
        if len(tokens) > PIECES_MAX:
            message = f"a condition has at most {PIECES_MAX} words, numbers and signs"
            raise RuleError(text, [Fault(position, message)])
        position = match.end()
    if not tokens:
        raise RuleError(text, [Fault(0, "the condition is empty")])
    _check_brackets(text, tokens)
    _check_neighbours(text, tokens)
    return tokens


def _check_apart(text: str, before: Token, position: int) -> None:
    """Refuse what Python would read as a prefix of a text, or as one text with the one before."""
    if before.kind in ("name", "text", "number", "duration"):
        raise RuleError(text, [Fault(position, f"the text follows {before.text} without a sign")])


def _odd(text: str, position: int) -> Fault:
    """What is wrong with the character at which no piece begins."""
    character = text[position]
    if character in "'\"":
        rest = text[position + 1 :].split("\n")[0]
        if "\\" in rest and character in rest:
            return Fault(position + 1 + rest.index("\\"), "a text holds no backslash")
        return Fault(position, f"the {character} is never closed")
    if match := _ODD_NUMBER.match(text, position):
        written = match[0][:NUMBER_CHARACTERS_MAX]
        if found := _POINT_OF_PERCENTILE.search(text[:position] + written):
            return Fault(position, f"{found[0]} has no point; write p{found[1]}_{found[2]}")
        hint = "numbers are written as 100, 0.5 or 1e-3, durations as 5s or 500ms"
        return Fault(position, f"{written} is neither number nor duration; {hint}")
    match = _ODD_SIGN.match(text, position)
    assert match is not None, "the last way matches each character"
    if instead := _INSTEAD.get(match[0]):
        return Fault(position, f"{match[0]} has no meaning here; write {instead}")
    if match[0] in ("[", "{"):
        return Fault(position, f"{match[0]} has no meaning here; windows are written as over 5s")
    return Fault(position, f"{match[0]!r} has no meaning in a condition")


def _check_brackets(text: str, tokens: list[Token]) -> None:
    opened: list[int] = []
    for token in tokens:
        if token.text == "(":
            opened.append(token.position)
            if len(opened) > BRACKETS_MAX:
                message = f"more than {BRACKETS_MAX} parentheses within each other"
                raise RuleError(text, [Fault(token.position, message)])
        elif token.text == ")":
            if not opened:
                raise RuleError(text, [Fault(token.position, "the ) closes nothing")])
            opened.pop()
    if opened:
        raise RuleError(text, [Fault(opened[-1], "the ( is never closed")])


def _check_neighbours(text: str, tokens: list[Token]) -> None:
    """Refuse an operand behind an operand, which Python's parser tells with an odd place."""
    for first, comma, last in zip(tokens, tokens[1:], tokens[2:], strict=False):
        is_one = (first.end, comma.end) == (comma.position, last.position)
        if comma.text == "," and is_one and first.text.isdigit() and _THOUSANDS.match(last.text):
            written = f"{first.text},{last.text}"
            message = f"numbers have no commas: {written} is {first.text}{last.text}"
            raise RuleError(text, [Fault(comma.position, message)])
    for before, token in pairwise(tokens):
        if _is_word(before) or (before.kind == "sign" and before.text != ")"):
            continue
        is_call = token.text == "(" and before.kind == "name"
        if not is_call and not _is_word(token) and (token.kind != "sign" or token.text == "("):
            raise RuleError(text, [_unjoined(before, token)])


def _unjoined(before: Token, token: Token) -> Fault:
    """What is wrong with an operand behind an operand."""
    for word in (before, token):
        if (lower := word.text.lower()) != word.text and _is_word(word._replace(text=lower)):
            return Fault(word.position, f"{word.text} has no meaning here; write {lower}")
    if before.kind == "number" and token.text in UNITS_NS:
        written = f"{before.text} {token.text}"
        return Fault(before.position, f"{written} is one word: {before.text}{token.text}")
    if token.kind == "number" and (found := _POINT_OF_PERCENTILE.search(before.text + token.text)):
        return Fault(token.position, f"{found[0]} has no point; write p{found[1]}_{found[2]}")
    return Fault(token.position, f"{token.text} follows {before.text} without a sign between them")


def _is_word(token: Token) -> bool:
    """Whether it is a word that joins or ends, of ours or of Python, and no operand."""
    is_ours = token.text in ("over", "by", "for")
    return token.kind == "name" and (is_ours or keyword.iskeyword(token.text))
