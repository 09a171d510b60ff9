"""What settings are made of: sections, whose fields say what they mean and what belongs there."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from rnts.settings_values import (
    as_tuple,
    check_bind,
    check_duration,
    check_endpoint,
    check_folder,
    check_label,
    check_labels,
    check_ledger,
    check_length,
    check_name,
    check_unique,
    take_off,
)

CAUSES_MAX = 20


class Section(BaseModel):
    """What all sections share: no other names than these, no conversion of types, no change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    # Names that somebody may look for here, and why there is no such setting.
    no_settings: ClassVar[Mapping[str, str]] = {}


def setting(
    meaning: str, expects: str = "", *, item: str = "", example: object = None, **limits: Any
) -> Any:
    """A setting: what it means, what belongs there, what into a list of it, and an example.

    The example is needed where the default shows nothing; limits are those of pydantic's `Field`.
    """
    words: Any = {"expects": expects, "item": item, "example": example}
    return Field(description=meaning, json_schema_extra=words, **limits)


def whole(low: int, high: int, meaning: str, **more: Any) -> Any:
    words = f"a whole number from {low} to {high}"
    return setting(meaning, words, example=more.get("default"), ge=low, le=high, **more)


def duration(meaning: str, default: str | None) -> Any:
    words = "a duration such as 500ms, 30s or 1h"
    return setting(meaning, words, example="30s", default=default)


def names(meaning: str, of: str, example: str) -> Any:
    """One name of something, or several."""
    words, item = f"the name of {of}, or a list of names", f"the name of {of}"
    return setting(meaning, words, item=item, example=(example,), default=(), max_length=100)


def causes(meaning: str) -> Any:
    """Texts that say what to look at."""
    words, example = f"a list of up to {CAUSES_MAX} texts", ("a deployment a moment ago",)
    limit = {"default": (), "max_length": CAUSES_MAX}
    return setting(meaning, words, item="a text", example=example, **limit)


def share(meaning: str) -> Any:
    return setting(meaning, "a number from 0 to 1", ge=0, le=1)


Percentile = Annotated[float, Field(gt=0, lt=100)]
Endpoint = Annotated[str, AfterValidator(check_endpoint)]
Bind = Annotated[str | None, AfterValidator(check_bind)]
Folder = Annotated[str | None, AfterValidator(check_folder)]
LedgerPath = Annotated[str, BeforeValidator(take_off), AfterValidator(check_ledger)]
Encryption = Annotated[Literal["auto", "always", "off"], BeforeValidator(take_off)]
Name = Annotated[str, AfterValidator(check_name)]
Names = Annotated[tuple[Name, ...], BeforeValidator(as_tuple), AfterValidator(check_unique)]
Duration = Annotated[str, AfterValidator(check_duration)]
LabelName = Annotated[str, AfterValidator(check_label)]
Labels = Annotated[dict[str, str], AfterValidator(check_labels)]
Length = Annotated[str, AfterValidator(check_length)]
