"""The ports that a machine's configuration files say its services listen on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConfiguredListener:
    """A port of a service, by its configuration: whether the service runs is not known from disk.

    `protocol` is TCP or UDP. `address` is empty for every address. `path` is the file within the
    machine's tree, `line` counts from 1; it is 0 for a service's default that no line sets.
    """

    service: str
    protocol: str
    port: int
    address: str = ""
    path: str = ""
    line: int = 0

    @property
    def is_local(self) -> bool:
        """Whether only the machine itself can connect."""
        return self.address.startswith("127.") or self.address in ("::1", "localhost")


def in_effect(listeners: tuple[ConfiguredListener, ...]) -> tuple[ConfiguredListener, ...]:
    """Return the listeners without a service's defaults where some file sets its port."""
    set_by_file = {item.service for item in listeners if item.line}
    return tuple(item for item in listeners if item.line or item.service not in set_by_file)
