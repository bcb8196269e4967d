"""Where `sidelight.toml` is looked for. Imported by every command, so it imports little."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME: Final = "sidelight.toml"
VARIABLE: Final = "SIDELIGHT_CONFIG"


class ConfigLocation(NamedTuple):
    """A file, and whether it is the user's own: named by them, or in their configuration.

    A file that is not, in the current directory, may have come with a repository.
    """

    path: str
    is_trusted: bool


def config_locations(
    option: str | None, environment: Mapping[str, str] | None = None
) -> list[ConfigLocation]:
    """Return the files to read, in the order in which a later one overrides.

    A file that the option or the variable names is the only one; an empty name means none.
    """
    variables = os.environ if environment is None else environment
    named = variables.get(VARIABLE) if option is None else option
    if named is not None:
        return [ConfigLocation(named, is_trusted=True)] if named else []
    found = []
    own = os.path.join(_configuration_home(variables), "sidelight", FILE_NAME)  # noqa: PTH118 - pathlib costs time
    if os.path.isabs(own) and os.path.lexists(own):  # noqa: PTH117 - likewise
        found.append(ConfigLocation(own, is_trusted=True))
    if os.path.lexists(FILE_NAME):
        is_own = bool(found) and _is_same(own, FILE_NAME)
        if not is_own:
            found.append(ConfigLocation(FILE_NAME, is_trusted=False))
    return found


def _configuration_home(variables: Mapping[str, str]) -> str:
    """Return the directory by the XDG Base Directory Specification, which ignores relative ones."""
    home = variables.get("XDG_CONFIG_HOME", "")
    return home if os.path.isabs(home) else os.path.expanduser("~/.config")  # noqa: PTH111, PTH117


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - likewise
    except OSError:
        return False
