"""What settings are made of: sections, whose fields say what they mean and what belongs there."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from rnts.settings_values import (
    check_bind,
    check_endpoint,
    check_folder,
    check_ledger,
    check_name,
    take_off,
)


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


def whole(low: int, high: int, meaning: str) -> Any:
    return setting(meaning, f"a whole number from {low} to {high}", ge=low, le=high)


def share(meaning: str) -> Any:
    return setting(meaning, "a number from 0 to 1", ge=0, le=1)


Percentile = Annotated[float, Field(gt=0, lt=100)]
Endpoint = Annotated[str, AfterValidator(check_endpoint)]
Bind = Annotated[str | None, AfterValidator(check_bind)]
Folder = Annotated[str | None, AfterValidator(check_folder)]
LedgerPath = Annotated[str, BeforeValidator(take_off), AfterValidator(check_ledger)]
Encryption = Annotated[Literal["auto", "always", "off"], BeforeValidator(take_off)]
Name = Annotated[str, AfterValidator(check_name)]
