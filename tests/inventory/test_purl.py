"""The fast formatter writes what packageurl-python writes."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from sidelight.inventory.purl import (
    DOWNLOAD,
    REPOSITORY,
    VCS,
    distro_of,
    format_purl,
    is_of_public_registry,
    namespace_of,
)
from sidelight.model import OperatingSystem

# Slashes are left out: packageurl-python leaves them as they are in a name, the specification
# (and this formatter) encodes them. Blanks at the ends are cut off by the library alone.
_TEXT = st.text(string.ascii_letters + string.digits + "+.:~^_-@%?&#=é漢 ", min_size=1).filter(
    lambda text: text == text.strip()
)


@given(
    kind=st.sampled_from(["deb", "rpm", "apk", "alpm", "npm", "generic", "gem"]),
    namespace=st.sampled_from(["", "debian", "Arch", "opensuse", "a b/c"]),
    name=_TEXT,
    version=_TEXT,
    arch=st.one_of(st.just(""), _TEXT),
    distro=st.one_of(st.just(""), _TEXT),
)
def test_agrees_with_packageurl(  # noqa: PLR0917 - the parts of a purl
    kind: str, namespace: str, name: str, version: str, arch: str, distro: str
) -> None:
    pairs = {"distro": distro, "arch": arch}
    expected = PackageURL(kind, namespace, name, version, pairs).to_string()
    if kind == "npm":  # the library follows the list of types; the registry has names with case
        expected = PackageURL("generic", namespace, name, version, pairs).to_string()
        expected = expected.replace("pkg:generic/", "pkg:npm/", 1)
    # The library lowers the letters of encoded bytes too, where a type's names have no case.
    expected = re.sub("%[0-9a-f]{2}", lambda match: match[0].upper(), expected)
    assert format_purl(kind, namespace, name, version, pairs.items()) == expected


def test_a_purl_says_whether_it_is_of_the_public_registry() -> None:
    assert is_of_public_registry("pkg:npm/a@1?arch=x&distro=y")
    for key in (VCS, DOWNLOAD, REPOSITORY):
        purl = format_purl("npm", "", "a", "1", [("arch", "x"), (key, "https://h/?a=b")])
        assert not is_of_public_registry(purl)
    # A name or a version cannot claim one: its signs are encoded.
    assert is_of_public_registry(format_purl("npm", "", "a?vcs_url=x", "1&vcs_url=2"))


def test_undecodable_bytes_are_encoded_as_they_are() -> None:
    assert format_purl("deb", "debian", "a\udcff", "1") == "pkg:deb/debian/a%FF@1"


@pytest.mark.parametrize(
    ("identity", "version", "namespace", "distro"),
    [
        ("debian", "12", "debian", "debian-12"),
        ("rhel", "9.2", "redhat", "rhel-9.2"),
        ("amzn", "2023", "amzn", "amzn-2023"),
        ("opensuse-leap", "15.5", "opensuse", "opensuse-leap-15.5"),
        ("opensuse-tumbleweed", "20240101", "opensuse", "opensuse-tumbleweed"),
        ("debian", "", "debian", "debian"),
        ("", "", "fallback", ""),
    ],
)
def test_a_system_has_a_namespace_and_a_distro(
    identity: str, version: str, namespace: str, distro: str
) -> None:
    system = OperatingSystem(id=identity, version_id=version)
    assert namespace_of(system, "fallback") == namespace
    assert distro_of(system) == distro
