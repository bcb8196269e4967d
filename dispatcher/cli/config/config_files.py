"""Read `sidelight.toml`: settings as their variables' texts, and defaults of commands' options.

A file is hostile until it is checked: bounded in size and structure before it is parsed, and every
key of it has to exist.
"""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, NoReturn

from dispatcher.cli.config import trust
from dispatcher.cli.config.option_defaults import default_of, defaults_by_name
from dispatcher.cli.config.setting_values import setting_text
from sidelight.errors import LimitError, UsageError
from sidelight.fleet.settings.settings import DEFINITIONS
from sidelight.inventory.language import tomlbounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import click

    from dispatcher.cli.config.locations import ConfigLocation

MAX_BYTES: Final = 256 << 10
SETTINGS_TABLE: Final = "settings"
_SHOWN: Final = 60  # characters of a key in a message


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file's settings by their variables, and its options' values by the words of commands.

    `options` has the values by click's parameter names; `keys` the names as the file has them.
    """

    location: ConfigLocation
    settings: Mapping[str, str]
    options: Mapping[tuple[str, ...], Mapping[str, Any]] = field(default_factory=dict)
    keys: Mapping[tuple[str, ...], Mapping[str, str]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The file's path, as it was found or named."""
        return self.location.path

    @property
    def size(self) -> int:
        """How many keys the file sets."""
        return len(self.settings) + sum(map(len, self.options.values()))


def read_config(location: ConfigLocation, group: click.Group) -> ConfigFile:
    """Return a file's contents, checked against the settings and the commands of `group`.

    Raises UsageError with the file, the key, and the nearest name of a key that does not exist.
    """
    document = _parsed(location)
    settings, tables = {}, {}
    for name, value in document.items():
        if name == SETTINGS_TABLE:
            settings = _settings(location, value)
        elif not isinstance(value, dict):
            _refuse(location, (name,), "belongs into a table: [settings], or that of a command",
                    name, [*DEFINITIONS, SETTINGS_TABLE])  # fmt: skip
        else:
            tables[name] = value
    options: dict[tuple[str, ...], dict[str, Any]] = {}
    keys: dict[tuple[str, ...], dict[str, str]] = {}
    _read_tables(location, group, (), tables, options, keys)
    return ConfigFile(location, settings, options, keys)


def _parsed(location: ConfigLocation) -> dict[str, Any]:
    data = _bytes_of(location)
    try:
        tomlbounds.check(data)
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError, LimitError) as error:
        what = f"is not valid TOML: {' '.join(str(error).split())[:200]}"
        raise UsageError(what, where=location.path) from None


def _bytes_of(location: ConfigLocation) -> bytes:
    try:
        # A named pipe in the current directory must not stop the command.
        descriptor = os.open(location.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
            if not location.is_trusted and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError("is not a file", where=location.path)
            data = file.read(MAX_BYTES + 1) or b""
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise UsageError(what, where=location.path) from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"has more than {MAX_BYTES >> 10} KiB", where=location.path)
    return data


def _settings(location: ConfigLocation, table: object) -> dict[str, str]:
    """Return the texts by variable."""
    if not isinstance(table, dict):
        raise UsageError("is a table: [settings]", where=f"{location.path}: {SETTINGS_TABLE}")
    texts = {}
    for key, value in table.items():
        where = (SETTINGS_TABLE, key)
        if key not in DEFINITIONS:
            _refuse(location, where, "there is no such setting", key, DEFINITIONS)
        if not location.is_trusted and key not in trust.SETTINGS:
            _distrust(location, where)
        definition = DEFINITIONS[key]
        try:
            texts[definition.variable] = setting_text(definition, value)
        except UsageError as error:
            raise UsageError(error.what, where=_where(location, where)) from None
    return texts


def _read_tables(  # noqa: PLR0913, PLR0917 - a walk's state
    location: ConfigLocation,
    group: click.Group,
    words: tuple[str, ...],
    tables: Mapping[str, Any],
    options: dict[tuple[str, ...], dict[str, Any]],
    keys: dict[tuple[str, ...], dict[str, str]],
) -> None:
    import click

    context = click.Context(group)
    names = group.list_commands(context)
    for name, table in tables.items():
        path = (*words, name)
        if name not in names:
            tables_of_file = names if words else [*names, SETTINGS_TABLE]
            _refuse(location, path, "there is no such command", name, tables_of_file)
        if not isinstance(table, dict):
            raise UsageError("is a command: write a table", where=_where(location, path))
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            _read_tables(location, command, path, table, options, keys)
        elif command is not None:
            options[path], keys[path] = _options(location, command, path, table)


def _options(
    location: ConfigLocation, command: click.Command, path: tuple[str, ...], table: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values, and the file's keys, by the names of click's parameters."""
    known, values, keys = defaults_by_name(command), {}, {}
    for key, value in table.items():
        where = (*path, key)
        option = known.get(key)
        if option is None:
            _refuse(location, where, f"`sidelight {' '.join(path)}` has no such option", key, known)
        if not location.is_trusted and key not in trust.OPTIONS.get(path, frozenset()):
            _distrust(location, where)
        try:
            values[option.name or ""] = default_of(option, value)
        except UsageError as error:
            raise UsageError(error.what, where=_where(location, where)) from None
        keys[option.name or ""] = key
    return values, keys


def _refuse(
    location: ConfigLocation, path: tuple[str, ...], what: str, name: str, known: Iterable[str]
) -> NoReturn:
    """Raise UsageError with the nearest name."""
    near = get_close_matches(name[:_SHOWN], list(known), 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"{what}{hint}", where=_where(location, path))


def _distrust(location: ConfigLocation, path: tuple[str, ...]) -> NoReturn:
    what = (
        "a file in the current directory may not set this, because it may have come with a"
        f" repository; name the file if it is yours (--config {location.path}), or write it in"
        " ~/.config/sidelight/sidelight.toml"
    )
    raise UsageError(what, where=_where(location, path))


def _where(location: ConfigLocation, path: tuple[str, ...]) -> str:
    return f"{location.path}: {'.'.join(word[:_SHOWN] for word in path)}"
