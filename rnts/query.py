"""Asking a running aggregator: one JSON document each way."""

import json
from pathlib import Path
from typing import Any, Self

from rnts.delivery import Message, Type
from rnts.errors import ConnectError, RntsError, UsageError
from rnts.links.choice import query_link
from rnts.links.options import LinkOptions, own_endpoint
from rnts.runtime import default_endpoint
from rnts.settings_values import check_endpoint, with_scheme

TIMEOUT_MS = 2000


class Client:
    """A viewer's connection; `endpoint` None is this user's own aggregator.

    `options` None speaks ZeroMQ and has no keys.
    """

    def __init__(self, endpoint: str | None = None, options: LinkOptions | None = None) -> None:
        address = checked_endpoint(endpoint) if endpoint else default_endpoint()
        self._link = query_link(address, options or LinkOptions())

    def ask(self, request: dict[str, Any], timeout_ms: int = TIMEOUT_MS) -> dict[str, Any]:
        """The answer to {"type": "snapshot"} or {"type": "neuron", "neuron": id or name}.

        Raises ConnectError where nobody answers, and RntsError with the aggregator's words where
        it refuses.
        """
        header = Message(Type.QUERY, 0, 0).pack()
        parts = self._link.ask([header, json.dumps(request).encode()], timeout_ms)
        try:
            answer = json.loads(parts[-1])
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ConnectError(f"what answers at {self._link.endpoint} is no aggregator of RNTS")
        if "error" in answer:
            raise RntsError(str(answer["error"]))
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._link.close()


def checked_endpoint(text: str) -> str:
    """An address to connect to, as links take it; raises UsageError where it is none."""
    try:
        return with_scheme(check_endpoint(text))
    except ValueError as error:
        raise UsageError(str(error)) from error


def where(endpoint: str | None, config: Path | None) -> tuple[str, LinkOptions]:
    """The address to ask at and how, by the settings: by default that of the own aggregator."""
    from rnts.settings import load

    settings = load(config)
    return endpoint or own_endpoint(settings), LinkOptions.of(settings.telemetry.transport)


def ask(
    endpoint: str | None,
    request: dict[str, Any],
    timeout_ms: int = TIMEOUT_MS,
    options: LinkOptions | None = None,
) -> dict[str, Any]:
    """Ask once; see `Client.ask`."""
    with Client(endpoint, options) as client:
        return client.ask(request, timeout_ms)
