"""Splits `by SCOPE` and `for DURATION` off a condition, and makes `over DURATION` plain Python.

`over` has no counterpart in Python's grammar, so `p99(x) over 5s` becomes `p99(x) [    0]` of the
same length: places stay what they are, and a zero is known as a duration by its place. Nobody else
can write brackets, since the lexer refuses them.
"""

from typing import NamedTuple

from rnts.durations import parse_duration_ns
from rnts.errors import UsageError
from rnts.nearest import suggest
from rnts.rules.faults import Fault, RuleError
from rnts.rules.lexer import Token, tokens_of

SCOPES = ("neuron", "group", "host", "all")


class Clauses(NamedTuple):
    """A condition in its parts.

    expression:  Python of the same length as the text, on one line
    durations:   nanoseconds of the zeros in it that stand for durations, by their places
    scope:       what `by` says, or None
    for_ns:      what `for` says, or 0
    for_place:   the character at which it stands, or None
    """

    expression: str
    durations: dict[int, int]
    scope: str | None
    for_ns: int
    for_place: int | None


def split(text: str) -> Clauses:
    """The parts of a condition; raises RuleError where they are none."""
    tokens = tokens_of(text)
    end = next((i for i, token in enumerate(tokens) if _begins_clause(tokens, i)), len(tokens))
    if end == 0:
        raise RuleError(
            text, [Fault(tokens[0].position, f"nothing stands before {tokens[0].text}")]
        )
    scope, for_ns = _clauses(text, tokens[end:])
    for_places = (token.position for token in tokens[end:] if token.text == "for")
    # One line, whatever the text has between its words, and nothing of the clauses.
    characters = [" "] * len(text)
    durations: dict[int, int] = {}
    for index, token in enumerate(tokens[:end]):
        written = token.text
        if token.kind == "duration":
            durations[token.position] = _duration_ns(text, token)
            written = "0".ljust(len(written))
            if _is_over(tokens, index - 1):
                written = f"{written[:-1]}]"
        elif _is_over(tokens, index):
            _check_over(text, tokens[:end], index)
            written = "[".ljust(len(written))
        characters[token.position : token.end] = written
    return Clauses("".join(characters), durations, scope, for_ns, next(for_places, None))


def _begins_clause(tokens: list[Token], index: int) -> bool:
    return tokens[index].kind == "name" and tokens[index].text in ("by", "for")


def _is_over(tokens: list[Token], index: int) -> bool:
    return index >= 0 and tokens[index].kind == "name" and tokens[index].text == "over"


def _check_over(text: str, tokens: list[Token], index: int) -> None:
    """Refuse an `over` that follows nothing that has a window, or is followed by no duration."""
    before = tokens[index - 1] if index else None
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    if before is None or not (before.kind == "name" or before.text == ")"):
        message = "over belongs behind a name or a function, as in p99(processing_time_ms) over 5s"
        raise RuleError(text, [Fault(tokens[index].position, message)])
    if after is None or after.kind != "duration":
        place = after.position if after else tokens[index].position
        raise RuleError(text, [Fault(place, "over is followed by a duration, such as 5s or 500ms")])


def _duration_ns(text: str, token: Token) -> int:
    try:
        return parse_duration_ns(token.text)
    except UsageError as error:
        raise RuleError(text, [Fault(token.position, str(error))]) from None


def _clauses(text: str, tokens: list[Token]) -> tuple[str | None, int]:
    """The scope and the `for` of the clauses, which stand in any order, each at most once."""
    scope: str | None = None
    for_ns = 0
    seen: set[str] = set()
    while tokens:
        word, value, tokens = tokens[0], tokens[1] if len(tokens) > 1 else None, tokens[2:]
        if word.text in seen:
            raise RuleError(text, [Fault(word.position, f"{word.text} stands twice")])
        seen.add(word.text)
        place = value.position if value else word.position
        if word.text == "by":
            if value is None or value.text not in SCOPES:
                said = (
                    suggest(value.text.lower(), SCOPES)
                    if value
                    else f"; one of {', '.join(SCOPES)}"
                )
                raise RuleError(text, [Fault(place, f"by is followed by a scope{said}")])
            scope = value.text
        elif word.text == "for":
            if value is None or value.kind != "duration":
                message = "for is followed by a duration, such as 30s or 5m"
                raise RuleError(text, [Fault(place, message)])
            for_ns = _duration_ns(text, value)
        else:
            message = f"{word.text} stands behind the end; only by and for may, each once"
            raise RuleError(text, [Fault(word.position, message)])
    return scope, for_ns
