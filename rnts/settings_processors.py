"""The settings of what is done about the alerts that stream processors raise."""

from typing import Literal

from pydantic import field_serializer

from rnts.settings_fields import (
    Length,
    Name,
    Names,
    Section,
    causes,
    duration,
    names,
    setting,
    whole,
)


class ProcessorRule(Section):
    """What is done about the alerts of one stream processor."""

    name: Name = setting("what it is called", "a name", example="anomalies")
    processor: Name = setting("of which processor", "the name of a processor", example="anomaly")
    severity: Literal["info", "warning", "critical"] = setting("how bad that is", example="info")
    at_least: Literal["info", "warning", "critical"] = setting(
        "the least severity that the processor gives it", example="warning", default="info"
    )
    action: Names = names("what is done then", "an action", "page")
    receivers: Names = names("who is told then", "a receiver", "on_call")
    lasts: Length = duration("silence of the processor about it after which it is over", "1m")
    limit: int = whole(1, 100_000, "alerts at a time; those beyond are one more", default=1_000)
    causes: tuple[str, ...] = causes("what to look at, beside what the processor suggests")

    @field_serializer("action", "receivers")
    def _as_people_write_them(self, said: tuple[str, ...]) -> str | list[str]:
        return said[0] if len(said) == 1 else list(said)
