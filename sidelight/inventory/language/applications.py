"""Applications that no package manager installed, by the version that they carry.

Node.js by its headers, OpenJDK by its release file, WordPress by its version file: files that the
projects themselves put into every release.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.entry import Details, Entry, flat
from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

_NODE: Final = re.compile(rb"^#define NODE_(MAJOR|MINOR|PATCH)_VERSION (\d{1,6})\s*$", re.MULTILINE)
_JDK: Final = re.compile(rb'^(JAVA_VERSION|IMPLEMENTOR)="([^"\n]{1,128})"', re.MULTILINE)
_WORDPRESS: Final = re.compile(
    rb"^[ \t]*\$wp_version\s*=\s*['\"]([^'\"\n]{1,64})['\"]", re.MULTILINE
)


def _parse_node(file: WantedFile) -> Iterator[Entry]:
    found = {key: int(value) for key, value in _NODE.findall(file.read())}
    if len(found) == 3:
        version = f"{found[b'MAJOR']}.{found[b'MINOR']}.{found[b'PATCH']}"
        yield flat(file.path, "generic", "node", version)


def _parse_jdk(file: WantedFile) -> Iterator[Entry]:
    found = {key: value.decode("utf-8", "replace") for key, value in _JDK.findall(file.read())}
    version = found.get(b"JAVA_VERSION", "")
    if version:
        vendor = found.get(b"IMPLEMENTOR", "")
        yield flat(file.path, "generic", "openjdk", version, Details(vendor=vendor))


def _parse_wordpress(file: WantedFile) -> Iterator[Entry]:
    if match := _WORDPRESS.search(file.read()):
        yield flat(file.path, "generic", "wordpress", match[1].decode("utf-8", "replace"))


def _node_header(path: str) -> bool:
    return path.endswith("include/node/node_version.h")


def _wordpress_version(path: str) -> bool:
    return path.endswith("wp-includes/version.php")


NODE_EXTRACTOR: Final = GeneratorExtractor(
    "language/nodejs",
    Wants(names=frozenset({"node_version.h"}), confirm=_node_header, limit=1 << 20),
    _parse_node,
)
JDK_EXTRACTOR: Final = GeneratorExtractor(
    "language/openjdk", Wants(names=frozenset({"release"}), limit=1 << 20), _parse_jdk
)
WORDPRESS_EXTRACTOR: Final = GeneratorExtractor(
    "language/wordpress",
    Wants(names=frozenset({"version.php"}), confirm=_wordpress_version, limit=1 << 20),
    _parse_wordpress,
)
