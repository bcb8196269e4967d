"""Epoch, version and release of an operating system's package, as dpkg and rpm write them."""

from __future__ import annotations

from typing import NamedTuple

_WITH_EPOCH = frozenset({"deb", "rpm", "alpm"})
_WITH_RELEASE = frozenset({"deb", "rpm", "apk", "alpm"})


class Evr(NamedTuple):
    """`epoch` is 0 where none is written; `release` empty where the format has none."""

    epoch: int
    version: str
    release: str


def split(package_type: str, version: str) -> Evr:
    """The parts of `[epoch:]version[-release]`; of another type's, the version alone."""
    epoch = 0
    if package_type in _WITH_EPOCH:
        head, colon, rest = version.partition(":")
        # Nine digits at most: what is longer is not an epoch, whatever a hostile database says.
        if colon and head.isascii() and head.isdigit() and len(head) < 10:
            epoch, version = int(head), rest
    if package_type in _WITH_RELEASE:
        upstream, hyphen, release = version.rpartition("-")
        if hyphen:
            return Evr(epoch, upstream, release)
    return Evr(epoch, version, "")
