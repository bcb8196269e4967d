"""Package URLs of documents that others wrote, parsed. `inventory.purl` writes them.

Source: the package-url specification (ECMA-427), "How to parse a purl string in its components".
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import unquote

from sidelight.errors import FormatError

MAX_PURL: Final = 8192  # characters
_MOST_QUALIFIERS: Final = 64
_LOWER_CASE: Final = frozenset(
    ("alpm", "apk", "bitbucket", "composer", "deb", "github", "gitlab", "hex", "oci", "pypi")
)
# Types whose namespaces have no letter case, and names do.
_LOWER_NAMESPACE: Final = frozenset({"rpm"})


class PackageUrl(NamedTuple):
    """The components of a purl, decoded. What it does not have is empty.

    Qualifiers are sorted by their keys, which are lower case; those without a value are left out.
    """

    type: str
    namespace: str
    name: str
    version: str
    qualifiers: tuple[tuple[str, str], ...] = ()
    subpath: str = ""

    def qualifier(self, key: str) -> str:
        """Return a qualifier's value, "" without one."""
        return dict(self.qualifiers).get(key, "")

    @property
    def full_name(self) -> str:
        """The name with its namespace before it, as `@scope/name`."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def parse_purl(text: str) -> PackageUrl:
    """Parse a purl. Raises FormatError where it is not one, or is longer than MAX_PURL."""
    if len(text) > MAX_PURL:
        raise FormatError(f"a purl of {len(text)} characters; the limit is {MAX_PURL}")
    rest, _hash, subpath = text.partition("#")
    rest, _mark, query = rest.partition("?")
    scheme, colon, rest = rest.partition(":")
    kind, slash, rest = rest.lstrip("/").partition("/")
    if scheme.lower() != "pkg" or not colon or not slash or not _is_type(kind):
        raise _not_a_purl(text)
    # The version begins at the last @ behind the last slash; a scope's @ may not be encoded.
    head, at_sign, version = rest.rpartition("@")
    if not at_sign or "/" in version or not head or head.endswith("/"):
        head, version = rest, ""
    namespace, _slash, name = head.strip("/").rpartition("/")
    kind = kind.lower()
    spaces = "/".join(unquote(part) for part in namespace.split("/") if part)
    bare = unquote(name)
    if not bare.strip():
        raise _not_a_purl(text)
    if kind in _LOWER_CASE:
        spaces, bare = spaces.lower(), bare.lower()
    elif kind in _LOWER_NAMESPACE:
        spaces = spaces.lower()
    if kind == "pypi":
        bare = bare.replace("_", "-")
    path = "/".join(unquote(part) for part in subpath.split("/") if part not in {"", ".", ".."})
    return PackageUrl(kind, spaces, bare, unquote(version), _qualifiers(query, text), path)


def purl_or_none(text: str) -> PackageUrl | None:
    """Return a purl; None for a text that is not one."""
    try:
        return parse_purl(text)
    except FormatError:
        return None


def _is_type(kind: str) -> bool:
    return bool(kind) and kind.isascii() and kind.replace("-", "").replace(".", "").isalnum()


def _qualifiers(query: str, text: str) -> tuple[tuple[str, str], ...]:
    pairs = query.split("&") if query else []
    if len(pairs) > _MOST_QUALIFIERS:
        raise FormatError(f"a purl with more than {_MOST_QUALIFIERS} qualifiers")
    found: dict[str, str] = {}
    for pair in pairs:
        key, _equals, value = pair.partition("=")
        key = key.lower()
        if key in found:
            raise FormatError(f"{text[:80]!r}: the qualifier {key[:40]!r} occurs twice")
        if value:
            found[key] = unquote(value)
    return tuple(sorted(found.items()))


def _not_a_purl(text: str) -> FormatError:
    return FormatError(f"{text[:80]!r} is not a package URL")
