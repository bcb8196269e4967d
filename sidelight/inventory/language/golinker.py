"""The version that a Go program's build gave to its linker: `-ldflags="-X main.version=1.2.3"`.

Only a variable that is named for the program's own version counts, and only one of the program's
own packages: `-X main.goVersion` is Go's version, `-X example.com/other.Version` another module's.
Source: the documentation of `go tool link` (-X importpath.name=value) and of `go build` (a flag's
list is split at spaces, single and double quotes keep what is in them together).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FLAGS_LIMIT: Final = 16 << 10  # characters of the linker's flags that are looked at

_FLAGS: Final = re.compile(r"^build\t(?:-ldflags|\"-ldflags\")=([^\n]*)", re.MULTILINE)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_WORD: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"|(\S+)")
_QUOTED: Final = re.compile(r"=(?:\"([^\"' ]*+)\"|'([^\"' ]*+)')")
_NAMES: Final = (
    frozenset(("version", "ver")),
    frozenset(("appversion", "buildversion", "gitversion", "releaseversion", "semver")),
)
_VERSION: Final = re.compile(r"v?[0-9]++\.[0-9]++[0-9A-Za-z.+~_-]*")
_NOTHING: Final = re.compile(r"v?0+(?:\.0+)*(?![.0-9])")  # what a build without a tag writes
# `git describe` of the fifth commit after a tag: it has all that the tag has.
_DESCRIBED: Final = re.compile(r"(?:-[0-9]+-g[0-9a-f]{4,40})?(?:[-+.]dirty)?$")


def linked_version(text: str, modules: Sequence[str]) -> str:
    """The version in the build settings of module list `text`; empty where there is none.

    `modules` are the paths of the program's own modules, its main one first.
    """
    found = _FLAGS.search(text)
    if found is None:
        return ""
    own = frozenset(modules)
    best = ""
    best_rank = len(_NAMES) * 2
    for key, value in _variables(found[1][:FLAGS_LIMIT]):
        rank = _rank(key, own)
        version = _DESCRIBED.sub("", value)
        if rank < best_rank and _VERSION.fullmatch(version) and not _NOTHING.match(version):
            best, best_rank = version, rank
    return best


def _variables(flags: str) -> Iterator[tuple[str, str]]:
    """(importpath.name, value) of each -X; a flag's value is quoted where it has spaces."""
    if flags.startswith(('"', "`")):
        flags = _ESCAPED.sub(r"\1", flags.strip('"`'))
    words = [a or b or c for a, b, c in _WORD.findall(_joined(flags))]
    for index, word in enumerate(words):
        setting = word.partition("=")[2] if word.startswith(("-X=", "--X=")) else ""
        if word in {"-X", "--X"} and index + 1 < len(words):
            setting = words[index + 1]
        key, equals, value = setting.strip("'\"").partition("=")
        if equals:
            yield key, value.strip("'\"")


def _joined(flags: str) -> str:
    """Quotes within a word (`-X main.version="1.2"`) go: what they hold has hardly a space."""
    return _QUOTED.sub(lambda match: "=" + (match[1] or match[2] or ""), flags)


def _rank(key: str, modules: frozenset[str]) -> int:
    """0 is best; len(_NAMES) * 2 for what is not the program's own version."""
    package, _, name = key.rpartition(".")
    at = next((i for i, names in enumerate(_NAMES) if name.lower() in names), None)
    if at is None or "/vendor/" in package:
        return len(_NAMES) * 2
    if package == "main":
        return at * 2
    while package and package not in modules:
        package = package.rpartition("/")[0]
    return at * 2 + 1 if package else len(_NAMES) * 2
