"""Where the packages of a JavaScript lock file come from, by the addresses that it resolved.

A registry's archives are at `…/name/-/name-1.0.0.tgz`; whatever else has an address is from a git
repository, from a host of git repositories, or from a server of somebody's own.
Source: npm's documentation of package-lock.json (`resolved`), the registry's API.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from sidelight.inventory.language import origin
from sidelight.inventory.language.public_registries import NPM

if TYPE_CHECKING:
    from collections.abc import Iterable

_REGISTRY: Final = re.compile(r"https?://[^?#]*/(?:-|download)/[^?#]*")
_NAME: Final = re.compile(r"/((?:@[^/]+/)?[^/@]+)/-/[^/]+$")
_CODELOAD: Final = re.compile(
    r"https://codeload\.github\.com/([^/]+/[^/]+)/(?:legacy\.)?tar\.gz/([^?#]+)"
)
_ARCHIVE: Final = re.compile(r"[^?#]*-v?([0-9]+\.[0-9]+\.[0-9]+[^/?#]*?)\.(?:tgz|tar\.gz)")
_LOCAL: Final = ("file:", "link:", "portal:", "workspace:", "root:", "../", "./")


class LockfileOrigins:
    """The origins of one lock file's packages, which it takes all together."""

    def __init__(self, drawn: Iterable[origin.Drawn]) -> None:
        """`drawn` as `from_registry` gives them."""
        self._own = origin.other_registries(drawn, NPM)

    def of(self, url: str) -> origin.Origin:
        """The origin that an address names; an empty one is the registry's."""
        url = url[: origin.ADDRESS_LIMIT]
        if url.startswith(_LOCAL):
            return origin.local(url.partition("#")[0])
        if match := _CODELOAD.match(url):
            return origin.git(f"https://github.com/{match[1]}", match[2])
        if origin.is_git(url) or url.startswith(("github:", "gitlab:", "bitbucket:", "gist:")):
            return origin.git(url)
        if _REGISTRY.match(url):
            return origin.registry(_base(url)) if origin.host(url) in self._own else origin.PUBLIC
        return origin.download(url) if "://" in url else origin.PUBLIC


def from_registry(name: str, url: str, needs: Iterable[str] = ()) -> origin.Drawn:
    """One package of a lock file, by the address that it was resolved to."""
    url = url[: origin.ADDRESS_LIMIT]
    is_archive = _REGISTRY.match(url) and not origin.is_git(url)
    return origin.Drawn(name, origin.host(url) if is_archive else "", tuple(needs))


def name_in(url: str) -> str:
    """The name in a registry's address of an archive; empty where it is not such an address."""
    match = _NAME.search(unquote(url[: origin.ADDRESS_LIMIT].partition("#")[0].partition("?")[0]))
    return match[1] if match else ""


def version_in(url: str) -> str:
    """The version in the file name of an archive's address; empty where it has none."""
    match = _ARCHIVE.match(unquote(url[: origin.ADDRESS_LIMIT]))
    return match[1] if match else ""


def is_archive_file(url: str) -> bool:
    """Whether a local address is a packed package's, and not a directory's."""
    return url.partition("#")[0].partition("::")[0].endswith((".tgz", ".tar.gz", ".tar"))


def _base(url: str) -> str:
    """A registry's own address: what is before a package's name."""
    head = url.partition("/-/")[0].partition("/download/")[0]
    head, _, scope = head.rpartition("/")[0].rpartition("/@")
    return head or scope
