"""The configuration of one command: its files, as variables and defaults, until it ends."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dispatcher.cli.config.config_files import ConfigFile
    from dispatcher.cli.config.locations import ConfigLocation

_KEY: Final = "sidelight.configuration"  # of click's `Context.meta`
_SHOWN: Final = 8  # keys that a line names


@dataclass(frozen=True, slots=True)
class CommandConfig:
    """The files that a command uses, a later one overriding, and what of them is in effect."""

    files: tuple[ConfigFile, ...]
    variables: Mapping[str, ConfigFile]  # those that the environment did not have

    def source_of(self, path: tuple[str, ...], name: str) -> tuple[ConfigFile, str] | None:
        """Return the file that has the default of an option, and the file's key."""
        for file in reversed(self.files):
            if name in file.keys.get(path, {}):
                return file, file.keys[path][name]
        return None

    def untrusted_keys(self, path: tuple[str, ...]) -> list[str]:
        """Return what files that may have come with a repository set for a command, in order."""
        keys = []
        for file in self.files:
            if not file.location.is_trusted:
                keys += [key for key, source in self.variables.items() if source is file]
                keys += [f"{'.'.join(path)}.{key}" for key in file.keys.get(path, {}).values()]
        return keys


def configure(context: click.Context, locations: Sequence[ConfigLocation]) -> None:
    """Read the files, and use them for the command of this context, until it ends.

    A setting becomes its variable where the environment has none, so that worker processes have it
    too. Raises UsageError for a file that is not what it should be.
    """
    from dispatcher.cli.config.config_files import read_config

    group = context.command
    if not isinstance(group, click.Group):
        raise TypeError(f"{group.name} has no commands")
    files = tuple(read_config(location, group) for location in locations)
    settings = {variable: file for file in files for variable in file.settings}
    absent = {name: file for name, file in settings.items() if name not in os.environ}
    os.environ.update({name: file.settings[name] for name, file in absent.items()})
    context.call_on_close(lambda: _remove(absent))
    context.default_map = _default_map(files)
    context.meta[_KEY] = CommandConfig(files, absent)


def current_config(context: click.Context | None = None) -> CommandConfig | None:
    """Return the configuration of the running command; None where it uses no file."""
    found = context or click.get_current_context(silent=True)
    return None if found is None else found.meta.get(_KEY)


def report_untrusted(context: click.Context, path: tuple[str, ...]) -> None:
    """Write a line about what a file in the current directory sets for a command."""
    config = current_config(context)
    keys = [] if config is None else config.untrusted_keys(path)
    if config is None or not keys:
        return
    from sidelight.report.output import complain

    (name,) = {file.path for file in config.files if not file.location.is_trusted}
    more = ", …" if len(keys) > _SHOWN else ""
    complain(f"sidelight: {name} in the current directory sets {', '.join(keys[:_SHOWN])}{more}")


def located(error: click.ClickException) -> Exception:
    """Return a UsageError with file and key for a default that an option refuses."""
    context = getattr(error, "ctx", None)
    parameter = getattr(error, "param", None)
    if context is None or parameter is None or parameter.name is None:
        return error
    if context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT_MAP:
        return error
    path = tuple(context.command_path.split()[1:])
    config = current_config(context)
    source = None if config is None else config.source_of(path, parameter.name)
    if source is None:
        return error
    file, key = source
    return UsageError(error.message.rstrip("."), where=f"{file.path}: {'.'.join((*path, key))}")


def _default_map(files: Sequence[ConfigFile]) -> dict[str, Any]:
    """Return click's map: a dictionary for each word of a command, with its options' values."""
    result: dict[str, Any] = {}
    for file in files:
        for path, values in file.options.items():
            table = result
            for word in path:
                table = table.setdefault(word, {})
            table.update(values)
    return result


def _remove(variables: Mapping[str, object]) -> None:
    for name in variables:
        os.environ.pop(name, None)
