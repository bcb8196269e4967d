"""Which of several rpm stores of one system is the one that rpm uses.

A conversion to a newer format leaves the older file behind now and then, and a newer rpm that was
only run beside a system (`rpm --root`) leaves an empty store of its own format. So the newest store
that lists a package counts: by the directory that the system's rpm has as `_dbpath`, then by format
(sqlite, ndb, Berkeley DB). Where another one lists packages too, and others, that is a Problem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import Package

_FORMATS: Final = ("rpmdb.sqlite", "Packages.db", "Packages")
# Fedora's and SUSE's since 2019 to 2022, rpm-ostree's, everyone's before.
_MOVED: Final = ("usr/lib/sysimage/rpm", "usr/share/rpm", "var/lib/rpm")
_CLASSIC: Final = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
_KEEP_CLASSIC: Final = frozenset({"rhel", "centos", "almalinux", "rocky", "ol", "amzn", "photon"})


def is_store(path: str) -> bool:
    """Whether a path (with its slash) is of an rpm store, in whatever root."""
    directory, _slash, name = path.rpartition("/")
    return name in _FORMATS and directory.endswith(_MOVED)


def root_of(path: str) -> str:
    """What is above a store's path within its root: "" for `/var/lib/rpm/Packages`."""
    directory = path.rpartition("/")[0]
    ending = next(ending for ending in _MOVED if directory.endswith(ending))
    return directory[: -len(ending)].rstrip("/")


def owner_of(path: str) -> str:
    """The key under which a store's files are owned, by the store's path within its root."""
    return path.lstrip("/")


def choose(
    packages: Sequence[Package], problems: Sequence[Problem], identity: str
) -> tuple[list[Package], list[Problem]]:
    """The packages and problems without those of stores that rpm does not use.

    `packages` are of one root; `identity` is its os-release's ID.
    """
    stores: dict[str, set[tuple[str, str, str]]] = {}
    for package in packages:
        if package.type == "rpm" and is_store(package.path):
            known = stores.setdefault(package.path, set())
            known.add((package.name, package.version, package.arch))
    if not stores:
        return list(packages), list(problems)
    chosen, *others = sorted(stores, key=lambda path: _rank(path, identity))
    kept = [package for package in packages if package.path not in others]
    remaining = [
        item
        for item in problems
        if not is_store(item.where)
        or item.where == chosen
        or _rank(item.where, identity) < _rank(chosen, identity)
    ]
    remaining += [
        Problem(path, f"this rpm store lists other packages than {chosen}, which is taken")
        for path in others
        if stores[path] != stores[chosen]
    ]
    return kept, remaining


def _rank(path: str, identity: str) -> tuple[int, int]:
    directory, _slash, name = path.rpartition("/")
    order = _CLASSIC if identity in _KEEP_CLASSIC else _MOVED
    place = next(number for number, ending in enumerate(order) if directory.endswith(ending))
    return place, _FORMATS.index(name)
