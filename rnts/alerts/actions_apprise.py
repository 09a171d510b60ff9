"""The action that hands a notification to apprise, which knows some hundred services."""

from importlib.util import find_spec
from typing import Any

from rnts.alerts.action import ActionError
from rnts.alerts.actions_local import describe_in_full
from rnts.alerts.notification import RESOLVED_KIND, Notification
from rnts.errors import UsageError

_KINDS = {"info": "info", "warning": "warning", "critical": "failure"}


class AppriseAction:
    """Tells the service at an address of apprise's, such as `mailto://…`."""

    def __init__(self, url: str) -> None:
        if find_spec("apprise") is None:
            raise UsageError(
                "it is of the kind apprise, which needs the library apprise: "
                "pip install 'rnts[notify]', or use another kind"
            )
        import apprise

        self._apprise: Any = apprise.Apprise()
        if not self._apprise.add(url):
            raise UsageError("apprise knows no service by the url that it has")
        self._service = url.partition(":")[0]  # the rest may hold a password

    def run(self, notification: Notification) -> None:
        """Tell it once; raises ActionError where apprise says that it failed."""
        is_over = notification.kind == RESOLVED_KIND
        is_told = self._apprise.notify(
            title=notification.title,
            body=describe_in_full(notification),
            notify_type="success" if is_over else _KINDS[notification.severity],
        )
        if not is_told:
            raise ActionError(f"the service {self._service} of apprise was not told")

    def describe(self, notification: Notification) -> str:
        """What `run` would do."""
        return f"tell {self._service} by apprise: {notification.title}"
