"""Applications that no package manager installed, by the version files of their own releases.

Java runtimes by their release file, Go by its VERSION, Ruby by its rbconfig.rb, WordPress with its
plugins and themes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidelight.inventory.language.extractor import GeneratorExtractor
from sidelight.inventory.language.package_builder import Entry, PackageDetails, flat, golang
from sidelight.inventory.protocol import WantedFile, Wants

if TYPE_CHECKING:
    from collections.abc import Iterator

_JDK: Final = re.compile(
    rb'^(JAVA_VERSION|IMPLEMENTOR|BUILD_TYPE|GRAALVM_VERSION)="([^"\n]{1,128})"', re.MULTILINE
)
_GO: Final = re.compile(rb"go([0-9]+\.[0-9]+(?:\.[0-9]+)?(?:(?:rc|beta)[0-9]+)?)\s")
_RUBY: Final = re.compile(
    rb"""^[ \t]*CONFIG\["(MAJOR|MINOR|TEENY)"\][ \t]*=[ \t]*"([0-9]{1,4})\"""", re.MULTILINE
)
_WORDPRESS: Final = re.compile(
    rb"^[ \t]*\$wp_version\s*=\s*['\"]([^'\"\n]{1,64})['\"]", re.MULTILINE
)
_ADDED: Final = re.compile(
    r"(?:.*/)?wp-content/(?:(plugins)/([^/]+)/readme\.(?:txt|md)|(themes)/([^/]+)/style\.css)",
    re.IGNORECASE,
)
_ADDED_VERSION: Final = {
    "plugin": re.compile(
        rb"^[ \t*#]*stable tag:[ \t*]*v?([0-9][\w.+-]{0,63})", re.IGNORECASE | re.MULTILINE
    ),
    "theme": re.compile(
        rb"^[ \t*#]*version:[ \t*]*v?([0-9][\w.+-]{0,63})", re.IGNORECASE | re.MULTILINE
    ),
}


def _parse_jdk(file: WantedFile) -> Iterator[Entry]:
    found = {key: value.decode("utf-8", "replace") for key, value in _JDK.findall(file.read())}
    version = found.get(b"JAVA_VERSION", "")
    if version:
        vendor = found.get(b"IMPLEMENTOR", "")
        name = _runtime(vendor, found)
        yield flat(file.path, "generic", name, version, PackageDetails(vendor=vendor))


def _runtime(vendor: str, found: dict[bytes, str]) -> str:
    if b"GRAALVM_VERSION" in found:
        return "graalvm"
    if vendor.startswith("Amazon"):
        return "amazon-corretto"
    # Only Oracle's licensed builds say `commercial`; those of jdk.java.net are OpenJDK.
    return "oracle-jdk" if found.get(b"BUILD_TYPE") == "commercial" else "openjdk"


def _parse_go(file: WantedFile) -> Iterator[Entry]:
    if match := _GO.match(file.read() + b"\n"):
        version = match[1].decode()
        yield golang(file.path, "stdlib", version if version.count(".") > 1 else version + ".0")


def _parse_ruby(file: WantedFile) -> Iterator[Entry]:
    found = {key: value.decode() for key, value in _RUBY.findall(file.read())}
    if len(found) == 3:
        version = f"{found[b'MAJOR']}.{found[b'MINOR']}.{found[b'TEENY']}"
        yield flat(file.path, "generic", "ruby", version)


def _parse_wordpress(file: WantedFile) -> Iterator[Entry]:
    if match := _WORDPRESS.search(file.read()):
        yield flat(file.path, "generic", "wordpress", match[1].decode("utf-8", "replace"))


def _parse_added(file: WantedFile) -> Iterator[Entry]:
    """A plugin's or theme's own directory is its name in WordPress' lists."""
    place = _ADDED.fullmatch(file.path)
    if place is None:
        return
    kind, slug = ("plugin", place[2]) if place[1] else ("theme", place[4])
    match = _ADDED_VERSION[kind].search(file.read()[:_HEAD])
    version = match[1].decode() if match else ""
    if kind == "plugin":
        version = _installed_version(file, slug) or version
    if version:
        yield flat(file.path, "generic", f"wordpress-{kind}-{slug}", version)


def _installed_version(file: WantedFile, slug: str) -> str:
    """The version in the header of a plugin's main file, which is WordPress' own source of it.

    The readme's stable tag says what its site offers for download: it may be another, or `trunk`.
    """
    head = (file.sibling(f"{slug}.php", _MAIN_LIMIT) or b"")[:_HEAD]
    match = _ADDED_VERSION["theme"].search(head) if _PLUGIN_NAME.search(head) else None
    return match[1].decode() if match else ""


_PLUGIN_NAME: Final = re.compile(rb"^[ \t/*#@]*plugin name:", re.IGNORECASE | re.MULTILINE)
_MAIN_LIMIT: Final = 8 << 20  # bytes of a plugin's main file
_HEAD: Final = 64 << 10  # bytes; WordPress itself looks at the first 8 KiB

JDK_EXTRACTOR: Final = GeneratorExtractor(
    "language/java-runtime", Wants(names=frozenset({"release"}), limit=1 << 20), _parse_jdk
)
GO_EXTRACTOR: Final = GeneratorExtractor(
    "language/go-toolchain",
    Wants(
        names=frozenset({"VERSION"}),
        confirm=lambda path: bool(re.fullmatch(r"(?:.*/)?go[^/]*/VERSION", path)),
        limit=1 << 16,
    ),
    _parse_go,
)
RUBY_EXTRACTOR: Final = GeneratorExtractor(
    "language/ruby-runtime",
    Wants(names=frozenset({"rbconfig.rb"}), limit=1 << 20),
    _parse_ruby,
)
WORDPRESS_EXTRACTOR: Final = GeneratorExtractor(
    "language/wordpress",
    Wants(
        names=frozenset({"version.php"}),
        confirm=lambda path: path.endswith("wp-includes/version.php"),
        limit=1 << 20,
    ),
    _parse_wordpress,
)
ADDED_EXTRACTOR: Final = GeneratorExtractor(
    "language/wordpress-added",
    Wants(
        names=frozenset({"readme.txt", "README.txt", "readme.md", "README.md", "style.css"}),
        confirm=lambda path: bool(_ADDED.fullmatch(path)),
        limit=4 << 20,
    ),
    _parse_added,
)
