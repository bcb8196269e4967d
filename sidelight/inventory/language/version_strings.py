"""Programs and libraries built or copied by hand: the version string in their read-only data.

Only programs of these names that no OS package owns come here, and of them only the read-only data.
The strings are those that each project's own build puts into its program.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.errors import NotRecognisedError
from sidelight.inventory.language.executable import program
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, flat
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_ONLY: Final = ".rodata"
SEARCH_LIMIT: Final = 128 << 20  # bytes of read-only data searched; Node.js has some 50 MiB
CHUNK: Final = 4 << 20
OVERLAP: Final = 256  # bytes: a string on the border of two chunks is found in the second

_VERSION: Final = rb"([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})"


class _Known(NamedTuple):
    """Base names of a program, its package, and the string with its version."""

    names: re.Pattern[str]
    package: str
    string: re.Pattern[bytes]


def _known(names: str, package: str, string: bytes) -> _Known:
    return _Known(re.compile(names), package, re.compile(string, re.DOTALL))


# The build id of Redis and its forks: version, host or nothing, time, "dirty" flag, commit.
_REDIS_ID: Final = rb"([0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,3}[\w.-]{0,128}[0-9]{10}[\w.-]{9,60})\0"
_REDIS: Final = re.compile(r"(redis|valkey)-server")
_PLAIN: Final = re.compile(rb"\0" + _VERSION + rb"(?=\0)")

_PROGRAMS: Final = (
    _known(r"nginx", "nginx", rb"nginx/" + _VERSION + rb"(?![0-9.])"),
    _known(r"httpd|apache2", "apache-httpd", rb"Apache/" + _VERSION + rb"(?![0-9.])"),
    _known(r"lighttpd", "lighttpd", rb"lighttpd/" + _VERSION + rb"(?![0-9.])"),
    _known(r"haproxy", "haproxy", _VERSION + rb"(?:-[\w+.~-]{1,40})?\0{1,256}HA-?Proxy version"),
    _known(r"node", "node", rb"node-v" + _VERSION + rb"(?:\.tar|-headers|\0|/)"),
    _known(
        r"(?:php|php-fpm|php-cgi)[0-9.]*|libphp[0-9.]*\.so",
        "php",
        rb"X-Powered-By: PHP/" + _VERSION,
    ),
    _known(r"sshd", "openssh", rb"OpenSSH_([0-9]{1,2}\.[0-9]{1,2}p[0-9]{1,2})(?![0-9])"),
    _known(
        r"openssl|libcrypto\.so[0-9.]*|libssl\.so[0-9.]*",
        "openssl",
        rb"OpenSSL ([0-9]\.[0-9]{1,2}\.[0-9]{1,2}[a-z]{0,2}) +[0-9]{1,2} [A-Z][a-z]{2} 20[0-9]{2}",
    ),
    _known(r"curl", "curl", rb"curl/" + _VERSION + rb"(?![0-9.])"),
    _known(r"libcurl\.so[0-9.]*", "libcurl", rb"libcurl/" + _VERSION + rb"(?![0-9.])"),
    _known(r"postgres", "postgresql", rb"PostgreSQL ([0-9]{1,2}(?:\.[0-9]{1,2}){1,2}) "),
    _known(r"mariadbd|mysqld", "mariadb", _VERSION + rb"-MariaDB"),
    _known(r"mysqld", "mysql", rb"/mysql(?:com)?-" + _VERSION + rb"(?![0-9.])"),
    _known(r"memcached", "memcached", rb"memcached " + _VERSION + rb"(?![0-9.])"),
    _known(r"proftpd", "proftpd", rb"ProFTPD ([0-9]\.[0-9]{1,2}\.[0-9]{1,2}[a-z]?) "),
    _known(r"bash", "bash", rb"@\(#\)Bash version " + _VERSION + rb"\("),
    _known(r"busybox", "busybox", rb"BusyBox v" + _VERSION + rb"(?![0-9.])"),
    _known(
        r"oracle",
        "oracle-database",
        rb"RDBMS_([0-9]{2}(?:\.[0-9]{1,6}){4})[A-Z]*_LINUX",
    ),
)

# The base names of all of them.
NAMES: Final = "|".join((_REDIS.pattern, *(item.names.pattern for item in _PROGRAMS)))


def _parse(file: WantedFile) -> Iterator[Entry]:
    base = file.path.rpartition("/")[2]
    redis = _REDIS.fullmatch(base)
    known = [item for item in _PROGRAMS if item.names.fullmatch(base)]
    if not known and redis is None:
        return
    for data in _read_only(file):
        for item in known:
            if match := item.string.search(data):
                yield flat(file.path, "generic", item.package, match[1].decode())
                return
        if redis and (version := _redis_version(data)):
            yield flat(file.path, "generic", redis[1], version)
            return


def _read_only(file: WantedFile) -> Iterator[bytes]:
    """The read-only data in overlapping chunks; nothing for what is not a program."""
    try:
        region = program(file.read_at).section(READ_ONLY)
    except NotRecognisedError:
        return
    if region is None:
        return
    end = region.offset + min(region.size, SEARCH_LIMIT)
    for start in range(region.offset, end, CHUNK):
        yield file.read_at(start, min(CHUNK + OVERLAP, end - start))


def _redis_version(data: bytes) -> str:
    """The version that is a string of its own and at the build id's head, where its end is lost."""
    whole = re.search(_REDIS_ID, data)
    if whole is None:
        return ""
    fitting = [text for text in _PLAIN.findall(data) if whole[1].startswith(text)]
    return max(fitting, key=len, default=b"").decode()


EXTRACTOR: Final = GeneratorExtractor(
    "language/programs",
    Wants(executables=True, random_access=True, limit=1 << 30),
    _parse,
)
