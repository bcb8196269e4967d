"""What packages of dpkg require: Depends, Pre-Depends and Provides.

Source: deb-control(5), deb-src-control(5) for the syntax of relations, and the Multi-Arch
specification of Debian's wiki. Versions are not compared: dpkg installs nothing that they refuse.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.inventory.dependencies.declarations import Declaration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sidelight.model import Package

# `libc6 (>= 2.38), default-mta | mail-transport-agent, python3:any (>= 3.9)`
_VERSIONS: Final = re.compile(rb"\([^()]*\)|\[[^][]*\]|<[^<>]*>")
_SEPARATORS: Final = bytes.maketrans(b"|", b",")
_SPACES: Final = b" \t\r\n"
_ALL: Final = "all"
_FIELDS: Final = (b"depends", b"pre-depends")


class DebRelations(NamedTuple):
    """The names in a package's fields, as they are written."""

    provides: tuple[str, ...]
    requires: tuple[str, ...]


def relations_of(fields: Mapping[bytes, bytes]) -> DebRelations:
    """Return the relations of a stanza, by its fields' names in lower case."""
    required = b",".join([fields[key] for key in _FIELDS if key in fields])
    return DebRelations(_names(fields.get(b"provides", b"")), _names(required))


def _names(text: bytes) -> tuple[str, ...]:
    if not text:
        return ()
    names = _VERSIONS.sub(b"", text).translate(_SEPARATORS, _SPACES)
    return tuple(filter(None, names.decode("utf-8", "surrogateescape").split(",")))


def declarations(
    packages: Sequence[Package], relations: Sequence[DebRelations], scope: str = ""
) -> Iterator[tuple[int, Declaration]]:
    """Yield the declarations of all packages of a database.

    A name means the package of the requiring one's architecture where there is one of it, and
    `name:any` any. `all` is dpkg's own architecture. Where a database has several architectures,
    `name:ARCH` is what is provided for one of them.
    """
    architectures = Counter(item.arch for item in packages if item.arch not in {"", _ALL})
    own = next((item.arch for item in packages if item.name == "dpkg"), "")
    native = own if own in architectures else next(iter(dict(architectures.most_common(1))), "")
    provided = [
        (item.name, *relation.provides) for item, relation in zip(packages, relations, strict=True)
    ]
    if len(architectures) < 2:
        for number, (names, relation) in enumerate(zip(provided, relations, strict=True)):
            required = tuple([name.partition(":")[0] for name in relation.requires])
            yield number, Declaration(names, required, scope)
        return
    of_one = [
        tuple(f"{name}:{native if item.arch == _ALL else item.arch}" for name in names)
        for item, names in zip(packages, provided, strict=True)
    ]
    known = {name for names in of_one for name in names}
    for number, (item, relation) in enumerate(zip(packages, relations, strict=True)):
        own = native if item.arch == _ALL else item.arch
        required = tuple(_qualified(relation.requires, own, known))
        yield number, Declaration((*provided[number], *of_one[number]), required, scope)


def _qualified(names: Iterable[str], own: str, known: set[str]) -> Iterator[str]:
    for name in names:
        bare, colon, architecture = name.partition(":")
        wanted = name if colon and architecture not in {"any", "native"} else f"{bare}:{own}"
        yield wanted if wanted in known else bare
