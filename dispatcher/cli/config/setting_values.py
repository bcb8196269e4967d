"""A value of TOML as the text of a setting's variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import UsageError
from sidelight.fleet.settings.definition import Kind

if TYPE_CHECKING:
    from sidelight.fleet.settings.definition import Definition


def setting_text(definition: Definition, value: object) -> str:
    """Return the text, which the setting's definition accepts. Raises UsageError.

    Text is written in quotes, numbers and true or false without; words (`auto`) are text.
    """
    if isinstance(value, str):
        if definition.kind is not Kind.TEXT and value.strip().lower() not in definition.words:
            raise UsageError(_wanted(definition))
        text = value
    elif isinstance(value, bool):
        if definition.kind is not Kind.SWITCH:
            raise UsageError(_wanted(definition))
        text = "yes" if value else "no"
    elif isinstance(value, int | float) and definition.kind in (Kind.WHOLE, Kind.NUMBER):
        # Python refuses to write an integer of thousands of digits.
        if abs(value) > definition.most:
            raise UsageError(f"is above {definition.most}")
        text = str(value)
    else:
        raise UsageError(_wanted(definition))
    if "\0" in text:
        raise UsageError("has a null character")
    definition.parse(text)
    return text


def _wanted(definition: Definition) -> str:
    if definition.kind is Kind.TEXT:
        return "takes text, in quotes"
    if definition.kind is Kind.SWITCH:
        return "takes true or false, without quotes"
    words = "".join(f", or {word!r} in quotes" for word in definition.words)
    return f"takes a {definition.range}, without quotes{words}"
