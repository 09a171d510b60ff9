"""Asking a running aggregator: one JSON document each way."""

import json
from types import TracebackType
from typing import Any, Self

from rnts.delivery import Message, Type
from rnts.errors import ConnectError, RntsError, UsageError
from rnts.links.zmq import QueryLink
from rnts.runtime import default_endpoint
from rnts.settings_values import check_endpoint, with_scheme

TIMEOUT_MS = 2000


class Client:
    """A viewer's connection; `endpoint` None is this user's own aggregator."""

    def __init__(self, endpoint: str | None = None) -> None:
        try:
            address = with_scheme(check_endpoint(endpoint)) if endpoint else default_endpoint()
        except ValueError as error:
            raise UsageError(str(error)) from error
        self._link = QueryLink(address)

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

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._link.close()


def ask(
    endpoint: str | None, request: dict[str, Any], timeout_ms: int = TIMEOUT_MS
) -> dict[str, Any]:
    """Ask once; see `Client.ask`."""
    with Client(endpoint) as client:
        return client.ask(request, timeout_ms)
