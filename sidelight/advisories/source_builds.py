"""The binary packages that a source package builds, as feeds list them.

Ubuntu's OSV records do (`ecosystem_specific.binaries`). Debian's advisories do not: neither its
security tracker, nor its OSV records and OVAL; the `Packages` indices of its mirrors do.
"""

from __future__ import annotations

from typing import NamedTuple


class SourceBuild(NamedTuple):
    """The binaries of a source package in one release; `ecosystem` is the database's name for it.

    `other_versions` are those of `binaries` whose version is none of the source's versions that the
    feed names (gcc, from gcc-defaults), or is absent.
    """

    ecosystem: str
    source: str
    binaries: tuple[str, ...]
    other_versions: frozenset[str] = frozenset()
