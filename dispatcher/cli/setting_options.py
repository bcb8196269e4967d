"""Options that override a setting, and the settings that a command is called with.

A command gets `settings`, never such an option's value: an option overrides its variable only when
it is given, for every command in the same way.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from dispatcher.cli.finite_range import FiniteRange
from sidelight.fleet.settings import Settings
from sidelight.fleet.settings.definition import MOST, Definition, Kind, key_of
from sidelight.fleet.settings.settings import DEFINITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class SettingOption(click.Option):
    """An option of a setting: of its type, with its bounds, variable and default in the help."""

    def __init__(self, declaration: Sequence[str], **attributes: Any) -> None:
        """`declaration` ends with the setting's key."""
        self.definition = DEFINITIONS[declaration[-1]]
        shown = self.definition.format(self.definition.default).removesuffix(".0")
        default = f"; default: {shown}" if shown else ""
        attributes["help"] += f"  [{self.definition.variable}{default}]"
        attributes.setdefault("type", _type(self.definition))
        super().__init__(declaration, default=None, show_default=False, **attributes)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Leave out the range that every number has."""
        extra = super().get_help_extra(ctx)
        if self.definition.most == MOST:
            extra.pop("range", None)
        return extra


def setting_option(
    names: str, variable: str, text: str, **attributes: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the decorator that adds an option for the setting of this variable.

    `text` is its help, without variable and default.
    """
    return click.option(names, key_of(variable), cls=SettingOption, help=text, **attributes)


def takes_settings(
    *options: Callable[[Callable[..., None]], Callable[..., None]],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add options to a command, and call it with `settings` instead of their values.

    They are read here alone: the options, then the environment, then the defaults. Raises
    UsageError.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def read(**arguments: Any) -> None:
            params = click.get_current_context().command.params
            keys = [option.name for option in params if isinstance(option, SettingOption)]
            values = {key: arguments.pop(key) for key in keys if key}
            command(settings=Settings.from_environment(**values), **arguments)

        decorated: Callable[..., None] = read
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def _type(definition: Definition) -> click.ParamType[Any] | None:
    if definition.kind is Kind.WHOLE:
        return click.IntRange(1 if definition.positive else 0, definition.most)
    if definition.kind is Kind.NUMBER:
        return FiniteRange(0, definition.most, min_open=definition.positive)
    return None if definition.kind is Kind.SWITCH else click.STRING


STORE = setting_option(
    "--store", "SIDELIGHT_STORE_URL", metavar="URL",
    text="The fleet's store: sqlite:///FILE or postgresql://USER@HOST/NAME.",
)  # fmt: skip
BROKER = setting_option(
    "--broker", "SIDELIGHT_BROKER_URL", metavar="URL",
    text="The queue: redis://HOST:6379/0, rediss://, sentinel:// or sqs:// (docs/brokers.md).",
)  # fmt: skip
ADVISORIES = setting_option(
    "--advisories", "SIDELIGHT_ADVISORIES", metavar="FILE", type=click.Path(),
    text="The advisory database, made by `sidelight advisories update`.",
)  # fmt: skip
CONTAINERS = setting_option(
    "--containers/--no-containers", "SIDELIGHT_CONTAINERS",
    text="Also read container runtimes' storage (/var/lib/docker and the like). Its packages"
    " are labelled with the runtime.",
)  # fmt: skip


def joined(
    separator: str | None, name: str
) -> Callable[[click.Context, click.Parameter, Sequence[str]], str | None]:
    """Return an option's callback that joins repeated values to the setting's text.

    It raises BadParameter for a value that the separator, which has this name, would part. As for
    `str.split`, None stands for any blanks.
    """

    def join(
        context: click.Context, parameter: click.Parameter, values: Sequence[str]
    ) -> str | None:
        for value in values:
            if len(value.split(separator)) != 1:
                raise click.BadParameter(f"{value!r} has a {name}", context, parameter)
        return (separator or " ").join(values) or None

    return join


SKIP_DIRS = setting_option(
    "--skip-dirs", "SIDELIGHT_SKIP_DIRS", metavar="GLOB", multiple=True,
    callback=joined(":", "colon"),
    text="Look for no language packages in these directories, as `/opt/**/node_modules`; the result"
    " reports them. Repeatable.",
)  # fmt: skip
IN_FLIGHT = setting_option(
    "--in-flight", "SIDELIGHT_IN_FLIGHT", metavar="N", text="EBS direct calls at once."
)
CACHE = setting_option(
    "--cache", "SIDELIGHT_CACHE_MIB", metavar="MIB",
    text="MiB of blocks kept in memory, for all snapshots of the machine together.",
)  # fmt: skip
BLOCK_CACHE = setting_option(
    "--block-cache", "SIDELIGHT_BLOCK_CACHE", metavar="DIR",
    text="Cache snapshot blocks on disk, so that a retry does not fetch them again.",
)  # fmt: skip
# Of every command that reads snapshots.
READING = (IN_FLIGHT, CACHE, BLOCK_CACHE)
EXISTING = setting_option(
    "--existing-snapshots", "SIDELIGHT_EXISTING_SNAPSHOTS_HOURS", metavar="HOURS",
    text="Read the account's completed snapshots that are younger than this, instead of creating"
    " some; 0: never (docs/reading-less.md).",
)  # fmt: skip
EVENT_TYPES = setting_option(
    "--types", "SIDELIGHT_EVENT_TYPES", metavar="NAMES",
    text="Events of findings, coverage and scans, separated by commas.",
)  # fmt: skip
PUBLISH = setting_option(
    "--publish", "SIDELIGHT_PUBLISH", metavar="TARGET",
    text="Send events to eventbridge:BUS, sns:ARN, securityhub, webhook:URL, slack:URL, jira:URL or"
    " file:PATH; several are separated by blanks.",
)  # fmt: skip
