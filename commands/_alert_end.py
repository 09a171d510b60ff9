"""Where `rnts up` hears of alerts: asked once a second, and never waited for for long."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnts.errors import RntsError

if TYPE_CHECKING:
    from rnts.alerts.control import AlertClient

LISTED = 100  # alerts; a screen shows fewer
_EVERY_S, _TIMEOUT_MS = 1.0, 200
_AGAIN_S = 3.0  # where nobody answered
_SILENT_S = 6.0  # after which it is said
_START_S = 24.0  # that it may take longer at first


class AlertEnd:
    """What the alert process says, as of its last answer; `folder` None: there is none to ask."""

    def __init__(self, folder: Path | None) -> None:
        self._client: AlertClient | None = None
        if folder is not None:
            from rnts.alerts import control  # whoever has no rules is spared all of it

            self._client = control.AlertClient(folder)
        self._answer: dict[str, Any] = {}
        self._due_s = 0.0
        self._heard_s = time.monotonic() + _START_S

    def add_to(self, document: dict[str, Any]) -> None:
        """Have a snapshot say it, too."""
        now_s = time.monotonic()
        if self._client is None:
            return
        if now_s >= self._due_s:
            self._ask(self._client, now_s)
        if now_s - self._heard_s >= _SILENT_S:
            self._answer = {"process": {"is_silent": True}}
        if self._answer:
            document["alerts"] = self._answer

    def _ask(self, client: "AlertClient", now_s: float) -> None:
        try:
            self._answer = client.ask({"type": "alerts", "limit": LISTED}, _TIMEOUT_MS)
            self._heard_s, self._due_s = now_s, now_s + _EVERY_S
        except RntsError:
            self._due_s = now_s + _AGAIN_S

    def close(self) -> None:
        """Ask no more."""
        if self._client is not None:
            self._client.close()
