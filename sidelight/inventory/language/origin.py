"""Where a package comes from, where that is not its ecosystem's public registry.

Advisories are about the public registry's packages. A package of the same name from a repository of
source code, from a file or from another registry may be any other program, so its purl carries one
of the specification's qualifiers `vcs_url`, `download_url` and `repository_url`: it is in the
inventory, and matching passes it over (docs/decisions/0016-origins.md).

Registries of npm, PyPI and RubyGems have mirrors, through which whole companies draw the public
packages: `other_registries` says which registries of a lock file are not mirrors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sidelight.inventory.purl import DOWNLOAD, REPOSITORY, VCS

if TYPE_CHECKING:
    from collections.abc import Iterable

URL_LIMIT: Final = 512  # characters; what is longer is cut

# A purl's qualifiers.
Origin = tuple[tuple[str, str], ...]
PUBLIC: Final[Origin] = ()

ADDRESS_LIMIT: Final = (
    4096  # characters that are looked at: browsers and servers take no longer ones
)
_USER: Final = re.compile(r"(?<=//)[^/@]*@")  # may be a password
_SHORT: Final = re.compile(r"(?:(github|gitlab|bitbucket):)?([\w.-]+/[\w.-]+)")
_HOSTS: Final = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}
_SCP: Final = re.compile(r"(?:[\w.-]+@)?([\w.-]+):(?!//)(.+)")
_GIT: Final = re.compile(
    r"git(?:\+[a-z]+)?://|git@|(?:ssh|[a-z]+\+ssh)://|[a-z]+://[^?#]+\.git/?(?:[?#]|$)"
)


def git(url: str, commit: str = "") -> Origin:
    """A repository of source code; `url` with `git+`, in scp's form or `owner/name` too."""
    plain, _, fragment = _clean(url.strip()).partition("#")
    plain = plain.removeprefix("git+").partition("?")[0]
    if short := _SHORT.fullmatch(plain):
        plain = f"https://{_HOSTS[short[1] or 'github']}/{short[2]}"
    elif "://" not in plain and (scp := _SCP.fullmatch(plain)):
        plain = f"ssh://{scp[1]}/{scp[2]}"
    revision = commit or fragment
    return ((VCS, (f"git+{plain}@{revision}" if revision else f"git+{plain}")[:URL_LIMIT]),)


def download(url: str) -> Origin:
    """An archive at an address outside of any registry."""
    return ((DOWNLOAD, _clean(url)[:URL_LIMIT]),)


def local(path: str = ".") -> Origin:
    """A directory or a file of the machine where the package was built or installed."""
    bare = re.sub(r"^(?:file|link|portal|path):(?://)?", "", path)
    return ((DOWNLOAD, ("file:" + (bare or "."))[:URL_LIMIT]),)


def registry(url: str) -> Origin:
    """A registry of its own."""
    return ((REPOSITORY, _clean(url)[:URL_LIMIT]),)


def is_git(url: str) -> bool:
    """Whether a lock file's address is a repository's and not an archive's."""
    return _GIT.match(url) is not None


def host(url: str) -> str:
    """The host of an address, in lower case; empty where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One package of a lock file: the registry's host that gave it, and what it needs by name."""

    name: str
    host: str
    needs: tuple[str, ...] = ()


def other_registries(packages: Iterable[Drawn], public: frozenset[str]) -> frozenset[str]:
    """The hosts that are neither `public` nor mirrors of a public registry.

    A public package needs public packages. So a host that gives what a package of a public registry
    needs is a mirror, and so is one of a file that knows no public registry at all.
    """
    drawn = [item for item in packages if item.host]
    mirrors = {item.host for item in drawn} & public
    if not mirrors:
        return frozenset()
    hosts: dict[str, set[str]] = {}
    for item in drawn:
        hosts.setdefault(item.name, set()).add(item.host)
    needed = {name for item in drawn if item.host in public for name in item.needs}
    for name in needed:
        found = hosts.get(name, set())
        if not found & public:
            mirrors |= found
    return frozenset(item.host for item in drawn) - mirrors


def _clean(url: str) -> str:
    return _USER.sub("", url[:ADDRESS_LIMIT], count=1)
