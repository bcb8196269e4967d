"""What `sidelight doctor` reports about configuration files: which are in use, who reads them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from dispatcher.cli.config.session import current_config
from dispatcher.doctor.results import ok, warning
from sidelight.url_masks import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dispatcher.cli.config.config_files import ConfigFile
    from dispatcher.doctor.results import Check

GROUP: Final = "settings"
NAME: Final = "configuration file"
_SECRETS: Final = frozenset(
    {"SIDELIGHT_ACCESS_SEAL", "SIDELIGHT_EXTERNAL_ID", "SIDELIGHT_MESSAGE_KEYS",
     "SIDELIGHT_OIDC_CLIENT_SECRET", "SIDELIGHT_SENTINEL_PASSWORD", "SIDELIGHT_WEBHOOK_SECRET"}
)  # fmt: skip


def configuration_checks() -> Iterator[Check]:
    """Yield the files that this command uses, and those that others could read or write."""
    config = current_config()
    if config is None or not config.files:
        yield ok(GROUP, NAME, "none: options, environment and defaults alone")
        return
    for file in config.files:
        overridden = [name for name in file.settings if config.variables.get(name) is not file]
        text = f"{file.path}: {file.size} key{'s' * (file.size != 1)}"
        if overridden:
            text = f"{text}; overridden: {', '.join(overridden)}"
        yield ok(GROUP, NAME, text)
        yield from _access(file)


def _access(file: ConfigFile) -> Iterator[Check]:
    try:
        mode = os.stat(file.path).st_mode  # noqa: PTH116 - the path is a text everywhere here
    except OSError:
        return
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield warning(GROUP, NAME, f"{file.path}: other users can write it", "chmod go-w it")
    secrets = [name for name, text in file.settings.items() if _is_secret(name, text)]
    if secrets and mode & (stat.S_IRGRP | stat.S_IROTH):
        what = f"{file.path}: other users can read it, and it has {', '.join(secrets)}"
        yield warning(GROUP, NAME, what, "chmod 600 it")


def _is_secret(variable: str, text: str) -> bool:
    """Whether a setting is a secret: by its name, or as a URL with a password."""
    return bool(text) and (variable in _SECRETS or masked(text) != text)
