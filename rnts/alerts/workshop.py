"""Makes actions out of settings; what has not changed is made once."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from rnts.alerts.action import Action, Policy
from rnts.alerts.actions_apprise import AppriseAction
from rnts.alerts.actions_command import CommandAction
from rnts.alerts.actions_http import AlertmanagerAction, WebhookAction
from rnts.alerts.actions_local import LogAction, PublishAction
from rnts.durations import parse_duration_ns
from rnts.errors import UsageError
from rnts.links.zmq_publish import PublishLink
from rnts.runtime import runtime_folder
from rnts.settings import Settings
from rnts.settings_alerts import ActionSettings
from rnts.settings_alerts_check import EMERGENCY_ACTION, LOG_ACTION
from rnts.settings_values import with_scheme

CONTROL_SOCKET = "control.sock"
_TIMEOUT, _HTTP_TIMEOUT = "10s", "5s"


class Made(NamedTuple):
    """An action, and the settings that it was made of."""

    said: ActionSettings
    action: Action
    policy: Policy


class Workshop:
    """Keeps what it made, and the control topics that it publishes on until it is closed.

    Of a dry run actions are only described: it takes no control topic from who acts.
    """

    def __init__(self, is_dry_run: bool = False) -> None:
        self._is_dry_run = is_dry_run
        self._made: dict[str, Made] = {}
        self._links: dict[str, PublishLink] = {}

    def make(self, settings: Settings) -> dict[str, tuple[Action, Policy]]:
        """The actions of these settings; raises an error with the name of one that cannot be.

        In that case what was made before is what there is.
        """
        said = {LOG_ACTION: ActionSettings(name=LOG_ACTION, kind="log")}
        used = {name for rule in settings.all_rules for name in rule.action}
        used |= {name for entry in settings.receivers for name in entry.actions}
        if EMERGENCY_ACTION in used:
            said[EMERGENCY_ACTION] = ActionSettings(name=EMERGENCY_ACTION, kind="publish")
        said.update({each.name: each for each in settings.actions})
        made = {name: self._one(each) for name, each in said.items()}
        self._made = made
        return {name: (each.action, each.policy) for name, each in made.items()}

    @property
    def counts(self) -> Counter[str]:
        """What was published on control topics, and what nobody heard."""
        total = Counter[str]()
        for link in self._links.values():
            total.update(link.counts.copy())  # threads of actions count meanwhile
        return total

    def close(self) -> None:
        """Close the control topics."""
        for link in self._links.values():
            link.close()
        self._links.clear()

    def _one(self, said: ActionSettings) -> Made:
        before = self._made.get(said.name)
        if before is not None and before.said == said:
            return before
        try:
            return Made(said, self._action(said), _policy(said))
        except (OSError, ValueError, UsageError) as error:
            raise UsageError(f"the action {said.name!r} cannot be had: {error}") from error

    def _action(self, said: ActionSettings) -> Action:
        timeout_s = parse_duration_ns(said.timeout or _TIMEOUT) / 1e9
        http_timeout_s = parse_duration_ns(said.timeout or _HTTP_TIMEOUT) / 1e9
        authority = Path(said.authority) if said.authority else None
        url = said.url or ""
        if said.kind == "command":
            return CommandAction(said.command, timeout_s, said.environment)
        if said.kind == "webhook":
            return WebhookAction(url, http_timeout_s, said.headers, authority)
        if said.kind == "alertmanager":
            return AlertmanagerAction(url, http_timeout_s, said.headers, authority)
        if said.kind == "apprise":
            return AppriseAction(url)
        if said.kind == "publish":
            link = None if self._is_dry_run else self._link(said.endpoint)
            return PublishAction(link, said.topic or said.name)
        return LogAction()

    def _link(self, endpoint: str | None) -> PublishLink:
        """The control topic at an address; several actions may share one."""
        address = with_scheme(endpoint or f"ipc://{runtime_folder()}/{CONTROL_SOCKET}")
        if address not in self._links:
            self._links[address] = PublishLink(address)
        return self._links[address]


def _policy(said: ActionSettings) -> Policy:
    return Policy(
        attempts=said.attempts,
        back_off_ns=parse_duration_ns(said.back_off),
        cooldown_ns=parse_duration_ns(said.cooldown),
        failures_max=said.failures,
        open_ns=parse_duration_ns(said.pause),
    )
