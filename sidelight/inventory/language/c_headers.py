"""What was built by hand beside its C headers: the version that a release's own header defines.

Node.js, Apache httpd, OpenSSL, libcurl, MySQL, MariaDB, Python and Perl install these headers with
`make install`, and language version managers (nvm, pyenv, perlbrew) keep them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, flat
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFINE: Final = re.compile(
    rb'^[ \t]*#[ \t]*define[ \t]+([A-Z_a-z0-9]{1,64})[ \t]+"?([^"\s/]{1,64})', re.MULTILINE
)
_TEXT: Final = re.compile(r"[0-9]+(?:\.[0-9]+){1,3}(?:[a-z]{1,2}[0-9]{0,3})?")


class _Header(NamedTuple):
    """The end of a header's path, its package, and the definitions that make the version."""

    path: re.Pattern[str]
    package: str
    parts: tuple[str, ...]
    # A version that is written as one, where the parts are not there.
    whole: str = ""


def _header(path: str, package: str, parts: str, whole: str = "") -> _Header:
    return _Header(re.compile(r"(?:.*/)?" + path), package, tuple(parts.split()), whole)


# MariaDB's mysql_version.h says so in its version: it comes first.
_HEADERS: Final = (
    _header(
        r"include/node/node_version\.h",
        "node",
        "NODE_MAJOR_VERSION NODE_MINOR_VERSION NODE_PATCH_VERSION",
    ),
    _header(
        r"ap_release\.h",
        "apache-httpd",
        "AP_SERVER_MAJORVERSION_NUMBER AP_SERVER_MINORVERSION_NUMBER AP_SERVER_PATCHLEVEL_NUMBER",
    ),
    _header(
        r"openssl/opensslv\.h",
        "openssl",
        "OPENSSL_VERSION_MAJOR OPENSSL_VERSION_MINOR OPENSSL_VERSION_PATCH",
    ),
    _header(
        r"curl/curlver\.h",
        "libcurl",
        "LIBCURL_VERSION_MAJOR LIBCURL_VERSION_MINOR LIBCURL_VERSION_PATCH",
    ),
    _header(r"(?:mariadb|mysql)_version\.h", "mysql", "", "MYSQL_SERVER_VERSION"),
    _header(r"include/python3\.[0-9]+t?/patchlevel\.h", "python", "", "PY_VERSION"),
    _header(r"CORE/patchlevel\.h", "perl", "PERL_REVISION PERL_VERSION PERL_SUBVERSION"),
)
_NAMES: Final = frozenset(
    (
        "node_version.h", "ap_release.h", "opensslv.h", "curlver.h", "mariadb_version.h",
        "mysql_version.h", "patchlevel.h",
    )
)  # fmt: skip


def _find(path: str) -> _Header | None:
    return next((item for item in _HEADERS if item.path.fullmatch(path)), None)


def _parse(file: WantedFile) -> Iterator[Entry]:
    header = _find(file.path)
    if header is None:
        return
    defined = {
        key.decode(): value.decode("utf-8", "replace")
        for key, value in _DEFINE.findall(file.read())
    }
    package = header.package
    if header.whole:
        text, _, suffix = defined.get(header.whole, "").partition("-")
        package = "mariadb" if suffix.startswith("MariaDB") else package
        version = text if _TEXT.fullmatch(text) else ""
    else:
        parts = [defined.get(name, "") for name in header.parts]
        version = (
            ".".join(parts) if all(part.isascii() and part.isdigit() for part in parts) else ""
        )
    if version:
        yield flat(file.path, "generic", package, version)


EXTRACTOR: Final = GeneratorExtractor(
    "language/headers",
    Wants(names=_NAMES, confirm=lambda path: _find(path) is not None, limit=1 << 20),
    _parse,
)
