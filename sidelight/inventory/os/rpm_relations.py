"""What packages of rpm require: by names that others provide, and by files that they own.

Source: rpm's manual, "Dependencies" and "Boolean Dependencies". Versions are compared only where
several packages provide a name, as several kernels do.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from sidelight.errors import LimitError
from sidelight.inventory.dependencies.declarations import Declaration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.model import Package

# Of a requirement's flags: that the version is equal, and neither less nor greater.
_COMPARED: Final = 0xE
_EQUAL: Final = 0x8
_COMPARISONS: Final = frozenset(("<", "<=", "=", ">=", ">"))
_SPECIAL: Final = frozenset(("(", "/"))  # what rich dependencies and files begin with
_OPERATORS: Final = frozenset(("and", "or", "with"))
_CONDITIONS: Final = frozenset(("if", "unless", "without"))
MAX_RELATIONS: Final = 4_000_000  # names and files of one database
MAX_RICH: Final = 4096  # characters of a rich dependency
# Links between directories of merged systems: `/bin/sh` may be the file `/usr/bin/sh`.
_USR: Final = "/usr"
_SBIN: Final = "/sbin/"
# The files outside of `bin` directories by which packages are required: those that repositories
# list in their primary metadata.
_ETC: Final = "etc/"
_SENDMAIL: Final = "usr/lib/sendmail"


class RpmRelations(NamedTuple):
    """What a header says. Versions and flags, which few packages need, are arrays as they are.

    `files` are the package's files by which others may require it, without the leading slash.
    """

    provides: Sequence[str] = ()
    requires: Sequence[str] = ()
    files: Sequence[str] = ()
    provided_versions: bytes = b""
    required_versions: bytes = b""
    flags: bytes = b""  # 32 bits each, big endian

    def provided(self) -> Iterator[tuple[str, str]]:
        """Yield each provided name with its version, "" for none."""
        versions = _versions(self.provided_versions, len(self.provides))
        return zip(self.provides, versions, strict=True)

    def required(self) -> Iterator[tuple[str, str]]:
        """Yield each required name with the version that it must be equal to, "" for any."""
        versions = _versions(self.required_versions, len(self.requires))
        flags = (item[0] for item in struct.iter_unpack(">I", self.flags[: len(self.flags) & -4]))
        for name, version, flag in zip(self.requires, versions, flags, strict=False):
            yield name, version if flag & _COMPARED == _EQUAL else ""


def _versions(array: bytes, count: int) -> list[str]:
    """Return so many versions; none where there are fewer."""
    versions = array.decode("utf-8", "surrogateescape").split("\0", count)
    return versions[:count] if len(versions) > count else [""] * count


class DatabaseRelations:
    """The relations of all packages of a database, as far as they are kept."""

    def __init__(self) -> None:
        """No package was read."""
        self._relations: list[tuple[int, RpmRelations]] = []
        self._left = MAX_RELATIONS

    def add(self, number: int, relations: RpmRelations) -> None:
        """Take those of the package of this number."""
        self._left -= len(relations.provides) + len(relations.requires) + len(relations.files)
        if self._left < 0:
            self._relations.clear()
        else:
            self._relations.append((number, relations))

    def declarations(self, packages: Sequence[Package]) -> list[tuple[int, Declaration]]:
        """Return the declarations of all packages. Raises LimitError where they were too many."""
        if self._left < 0:
            raise LimitError(f"packages of more than {MAX_RELATIONS} names and files")
        numbers = [number for number, _ in self._relations]
        relations = [item for _, item in self._relations]
        found = declarations([packages[number] for number in numbers], relations)
        return [(numbers[index], declaration) for index, declaration in found]


def required_files(files: Iterable[str]) -> list[str]:
    """Return those of a package's files by which packages are required."""
    return [path for path in files if "bin/" in path or path[:4] == _ETC or path == _SENDMAIL]


def declarations(
    packages: Sequence[Package], relations: Sequence[RpmRelations]
) -> Iterator[tuple[int, Declaration]]:
    """Yield the declarations of all packages of a database.

    Of a package that is installed several times that of the demanded version counts, and else that
    of the requiring package's architecture.
    """
    required, paths = [], []
    for relation in relations:
        names = list(dict.fromkeys(relation.requires))
        special = [name for name in names if name[:1] in _SPECIAL]
        names += [operand for name in special for operand in _operands(name)]
        required.append(names)
        paths.append([path for name in special if name[:1] == "/" for path in _paths(name)])
    needed = {path[1:] for own in paths for path in own}
    count = Counter(item.name for item in packages)
    keys = [
        [key for name, version in relation.provided() for key in _keys(name, version, item.arch)]
        if count[item.name] > 1
        else []
        for item, relation in zip(packages, relations, strict=True)
    ]
    several = {
        name
        for item, relation in zip(packages, relations, strict=True)
        if count[item.name] > 1
        for name in relation.provides
    }
    known = {key for own in keys for key in own}
    for number, (item, relation) in enumerate(zip(packages, relations, strict=True)):
        names = required[number]
        if not several.isdisjoint(names):
            names = _chosen(names, relation, item.arch, several, known)
        files = (f"/{path}" for path in needed.intersection(relation.files))
        provided = (*relation.provides, *keys[number], *files)
        yield number, Declaration(provided, (*names, *paths[number]))


def _keys(name: str, version: str, arch: str) -> Iterator[str]:
    """Yield the names by which one of several providers is distinguished from the others."""
    yield f"{name} {arch}"
    if version:
        without_release = version.rpartition("-")[0]
        for written in (version, without_release):
            if written:
                yield f"{name} = {written}"
                yield f"{name} = {written} {arch}"


def _chosen(
    names: Iterable[str], relation: RpmRelations, arch: str, several: set[str], known: set[str]
) -> list[str]:
    """Return the names, those that several packages provide by which of them is meant."""
    versions = dict(relation.required())
    return [
        _key_of(name, versions.get(name, ""), arch, known) if name in several else name
        for name in names
    ]


def _key_of(name: str, version: str, arch: str, known: set[str]) -> str:
    keys = (f"{name} = {version} {arch}", f"{name} = {version}") if version else ()
    return next((key for key in (*keys, f"{name} {arch}") if key in known), name)


def _paths(path: str) -> Iterator[str]:
    """Yield the spellings of a path on a system whose directories are merged."""
    other = path.removeprefix(_USR) if path.startswith(f"{_USR}/") else _USR + path
    for spelled in (path, other):
        yield spelled
        if _SBIN in spelled:
            yield spelled.replace(_SBIN, "/bin/", 1)


def _operands(rich: str) -> Iterator[str]:
    """Yield the names of a rich dependency that may be required, not those of its conditions."""
    is_condition = is_version = False
    if rich[:1] != "(" or len(rich) > MAX_RICH:
        return
    for word in rich.split():
        name = word.lstrip("(")
        closing = max(0, name.count(")") - name.count("("))
        name = name[: len(name) - closing]
        if is_version:
            is_version = False
        elif name in _COMPARISONS:
            is_version = True
        elif name in _CONDITIONS:
            is_condition = True
        elif name == "else":
            is_condition = False
        elif name and name not in _OPERATORS and not is_condition:
            yield name
        if closing:
            is_condition = False
