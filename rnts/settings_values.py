"""Checks of texts in settings; each returns the value or raises ValueError saying why not."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from rnts.credentials import hide_http
from rnts.durations import parse_duration_ns
from rnts.errors import UsageError
from rnts.nearest import suggest

IPC_PATH_BYTES_MAX = 107  # sun_path of Linux, less the closing zero
NAME_CHARACTERS_MAX = 255
# Labels of alerts that matchers name. Entities have group, host and neuron; what a stream processor
# is about has those that it gives, or else entity, and the metric.
LABELS = ("rule", "severity", "group", "host", "neuron", "entity", "metric")
LENGTH_NS_MIN = 100_000_000
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ALERT_VARIABLES = "RNTS_ALERT_"  # what tells commands of an alert begins so
SEVERITIES = ("info", "warning", "critical")
_HOST = r"\[[0-9A-Fa-f:.]+(%\w+)?\]|[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?"
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_OWN_HEADERS = ("content-type", "content-length", "transfer-encoding", "idempotency-key")
_ENDPOINT = re.compile(rf"(tcp://)?(?P<host>{_HOST}|\*):(?P<port>[0-9]{{1,5}})", re.ASCII)


def check_endpoint(text: str, *, any_host: bool = False) -> str:
    """An address to connect to; with `any_host` also one to listen at, where `*` is any."""
    if text.startswith("ipc://"):
        path = text.removeprefix("ipc://")
        if not path.startswith(("/", "@")) or "\0" in path:
            raise ValueError(f"{text!r} needs an absolute path after ipc://")
        if len(path.encode()) > IPC_PATH_BYTES_MAX:
            raise ValueError(
                f"the path of an ipc:// address has at most {IPC_PATH_BYTES_MAX} bytes"
            )
        return text
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not of the form host:port, tcp://host:port or ipc:///path")
    if not 1 <= int(match["port"]) <= 65_535:
        raise ValueError(f"port {match['port']} of {text!r} is not between 1 and 65535")
    if match["host"] == "*" and not any_host:
        raise ValueError(f"{text!r} names no host; * stands only where an aggregator binds")
    return text


def check_bind(text: str | None) -> str | None:
    """An address to listen at, or None for the default one."""
    return text if text is None else check_endpoint(text, any_host=True)


def check_folder(text: str | None) -> str | None:
    """An absolute path, or None for the default folder."""
    if text is not None and (not text.startswith("/") or "\0" in text):
        raise ValueError(f"{text!r} is not an absolute path")
    return text


def take_off(value: object) -> object:
    """The word that was meant where "off" is a choice, for YAML 1.1 reads it as false."""
    return "off" if value is False else value


def as_tuple(value: object) -> object:
    """One text where a list of them may stand."""
    return (value,) if isinstance(value, str) else value


def check_ledger(text: str) -> str:
    """An absolute path, or a word for the default file or for none."""
    if text not in ("auto", "off") and (not text.startswith("/") or "\0" in text):
        raise ValueError(f"{text!r} is neither auto nor off nor an absolute path")
    return text


def check_unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values of which none stands twice."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"{value!r} stands twice")
    return values


def check_duration(text: str) -> str:
    """A length of time with its unit."""
    try:
        parse_duration_ns(text)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return text


def check_length(text: str) -> str:
    """A length of time that is not next to nothing."""
    if parse_duration_ns(check_duration(text)) < LENGTH_NS_MIN:
        raise ValueError(f"{text!r} is too short; it is at least 100ms")
    return text


def check_label(name: str) -> str:
    """A label that alerts have."""
    if name not in LABELS:
        raise ValueError(f"{name!r} is no label of an alert{suggest(name, LABELS)}")
    return name


def check_labels(labels: dict[str, str]) -> dict[str, str]:
    """Labels that alerts have, with values; `severity` has one of its own."""
    for name, value in labels.items():
        if check_label(name) == "severity" and value not in SEVERITIES:
            raise ValueError(f"{value!r} is no severity{suggest(value, SEVERITIES)}")
    return labels


def check_url(text: str) -> str:
    """An address of a service over HTTP; what is wrong with one is said without credentials."""
    shown = repr(hide_http(text))
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of a port that is none, and of hosts
        is_whole = False
    if not is_whole or not text.isprintable():
        raise ValueError(f"{shown} is no address of a service; it begins with http:// or https://")
    if " " in text:
        raise ValueError(f"{shown} has a space, where an address has %20")
    if not text.isascii():
        raise ValueError(f"{shown} has more than ASCII; write xn--… for hosts, and else %XX")
    return text


def check_headers(headers: Mapping[str, str]) -> None:
    """Headers of a request; what is wrong with a value is said without it."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"{name} is said by RNTS itself")
        if not value.isprintable() or not value.isascii():
            raise ValueError(f"the value of {name} is no line of ASCII")


def check_command(arguments: Sequence[str]) -> None:
    """A program and its arguments."""
    if any("\0" in text for text in arguments):
        raise ValueError("a program takes no argument with a zero byte")


def check_environment(variables: Mapping[str, str]) -> None:
    """Variables of a command beside those that say what it is about."""
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"{name!r} is no name of a variable, or its value has a zero byte")
        if name.startswith(ALERT_VARIABLES):
            raise ValueError(f"{name}: what begins with {ALERT_VARIABLES} is said by RNTS itself")


def check_topic_address(text: str) -> str:
    """An address of a control topic, which nothing encrypts."""
    check_endpoint(text, any_host=True)
    if not text.startswith("ipc://") and urlsplit(with_scheme(text)).hostname not in LOOPBACK:
        raise ValueError(
            f"{text!r}: a control topic is not encrypted, so it stays on this machine: "
            "ipc:///path or tcp://127.0.0.1:port"
        )
    return text


def check_name(text: str) -> str:
    """A name that can stand on one line of a terminal."""
    if not text.strip():
        raise ValueError("the name is empty")
    if not text.isprintable() or len(text) > NAME_CHARACTERS_MAX:
        raise ValueError(f"a name has at most {NAME_CHARACTERS_MAX} printable characters")
    return text


def with_scheme(endpoint: str) -> str:
    """A checked endpoint as an address, so that `host:port` is `tcp://host:port`."""
    return endpoint if "://" in endpoint else f"tcp://{endpoint}"
