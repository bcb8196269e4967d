"""A value of TOML as the default of a command's option."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

import click

from dispatcher.cli.setting_options import SettingOption
from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_DEFAULTS: Final = frozenset({"help", "version"})
_LONGEST_NUMBER: Final = 10**18
_NUMBERS: Final = (click.types.IntParamType, click.types.FloatParamType)  # ranges are of these


def defaults_by_name(command: click.Command) -> dict[str, click.Option]:
    """Return a command's options by the names that a file uses: `ignore-unfixed`."""
    return {
        name: option
        for option in command.params
        if isinstance(option, click.Option)
        for name in _names(option)
        if name not in _NOT_DEFAULTS
    }


def _names(option: click.Option) -> Iterator[str]:
    return (name.removeprefix("--") for name in option.opts if name.startswith("--"))


def default_of(option: click.Option, value: object) -> Any:
    """Return a value for click's map of defaults. Raises UsageError for one of another type."""
    if isinstance(option, SettingOption):
        raise UsageError(f"is a setting: write {option.definition.key} in [settings]")
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError("takes true or false, without quotes")
        return value
    if isinstance(option.type, _NUMBERS) and not isinstance(value, int | float | list):
        raise UsageError("takes a number, without quotes")
    if option.multiple:
        values = value if isinstance(value, list) else [value]
        return [_text(item) for item in values]
    return _text(value)


def _text(value: object) -> str:
    """Return the text that the command line would have."""
    if isinstance(value, str):
        if "\0" in value:
            raise UsageError("has a null character")
        return value
    if isinstance(value, date):
        return value.isoformat()
    # Python refuses to write an integer of thousands of digits.
    if isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) > _LONGEST_NUMBER:
            raise UsageError("is too large a number")
        return str(value)
    raise UsageError("takes text in quotes, or a number")
