"""The configuration files that name listening ports, and their parsers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.inventory.listeners import parsers
from sidelight.inventory.protocol import Extraction, Wants
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.protocol import Extractor, Machine, WantedFile
    from sidelight.model import ConfiguredListener

_LIMIT: Final = 1 << 20  # bytes; real files have some kilobytes


class ListenerFiles:
    """One service's configuration files."""

    def __init__(
        self, name: str, parse: Callable[[str, str], list[ConfiguredListener]], wants: Wants
    ) -> None:
        self.name = name
        self.wants = wants
        self._parse = parse

    def extract(self, file: WantedFile, machine: Machine) -> Extraction:  # noqa: ARG002 - protocol
        """The listeners of one file."""
        text = file.read().decode("utf-8", "replace")
        path = f"/{file.path}"
        found = self._parse(text, path)
        cut = Problem(path, f"{len(found)} listening ports or more: the rest is not listed")
        return Extraction(
            listeners=found, problems=[cut] if len(found) >= parsers.MAX_LISTENERS else []
        )


def _wants(
    *paths: str, directories: tuple[str, ...] = (), suffix: str = "", name: str = ""
) -> Wants:
    """Return wants of whole paths, of directories' files, and of files of one name below /etc."""

    def is_wanted(path: str) -> bool:
        base = path.rpartition("/")[2]
        if path in paths:
            return True
        if name and base == name:
            return path.startswith(("etc/", "var/lib/"))
        return base.endswith(suffix) and not base.startswith(".")

    return Wants(
        paths=frozenset(paths),
        directories=frozenset(directories),
        names=frozenset((name,) if name else ()),
        confirm=is_wanted,
        limit=_LIMIT,
    )


LISTENER_EXTRACTORS: Final[tuple[Extractor, ...]] = (
    ListenerFiles(
        "listeners/sshd",
        parsers.sshd,
        _wants("etc/ssh/sshd_config", directories=("etc/ssh/sshd_config.d",), suffix=".conf"),
    ),
    ListenerFiles(
        "listeners/nginx",
        parsers.nginx,
        _wants(
            "etc/nginx/nginx.conf",
            directories=("etc/nginx/conf.d", "etc/nginx/sites-enabled"),
        ),
    ),
    ListenerFiles(
        "listeners/apache",
        parsers.apache,
        _wants(
            "etc/apache2/ports.conf",
            "etc/apache2/httpd.conf",
            "etc/apache2/listen.conf",
            "etc/httpd/conf/httpd.conf",
            directories=("etc/httpd/conf.d", "etc/apache2/conf.d"),
            suffix=".conf",
        ),
    ),
    ListenerFiles(
        "listeners/systemd-socket",
        parsers.systemd_socket,
        _wants(
            directories=("etc/systemd/system/sockets.target.wants",),
            suffix=".socket",
        ),
    ),
    ListenerFiles(
        "listeners/redis",
        parsers.redis,
        _wants("etc/redis.conf", "etc/redis/redis.conf", "etc/valkey/valkey.conf"),
    ),
    ListenerFiles("listeners/postgresql", parsers.postgresql, _wants(name="postgresql.conf")),
    ListenerFiles(
        "listeners/mysql",
        parsers.mysql,
        _wants(
            "etc/my.cnf",
            "etc/mysql/my.cnf",
            directories=(
                "etc/my.cnf.d",
                "etc/mysql/conf.d",
                "etc/mysql/mysql.conf.d",
                "etc/mysql/mariadb.conf.d",
            ),
            suffix=".cnf",
        ),
    ),
)
