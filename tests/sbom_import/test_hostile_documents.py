"""Whatever a document has: bounded, never clean by mistake, and an error with the file's name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.errors import DamagedError, FormatError, LimitError, NotRecognisedError
from sidelight.model import Status
from sidelight.sbom_import import bill_contents, sbom_files
from sidelight.sbom_import.sbom_files import inventory_of, read_sbom
from sidelight.sbom_import.sniffing import is_sbom

if TYPE_CHECKING:
    from pathlib import Path

HEAD = {"bomFormat": "CycloneDX", "specVersion": "1.6"}
SSL = {
    "type": "library", "name": "libssl3", "version": "3.0.11-1",
    "purl": "pkg:deb/debian/libssl3@3.0.11-1?distro=debian-12&upstream=openssl",
}  # fmt: skip


def cyclonedx(*components: object, **members: object) -> bytes:
    return json.dumps({**HEAD, "components": components, **members}).encode()


@pytest.mark.parametrize(
    ("component", "why"),
    [
        ({"type": "library", "name": "a"}, "without a package URL"),
        ({"type": "library", "name": "a", "purl": "pkg:npm/a"}, "without a version"),
        ({"type": "library", "name": "a", "purl": "npm/a@1"}, "is not a package URL"),
        ({"type": "library", "purl": "pkg:npm/%20@1"}, "is not a package URL"),
        ({"name": "a", "purl": "pkg:npm/a@1?x=1&x=2"}, "occurs twice"),
        ({"name": "a", "purl": "pkg:npm/" + "a" * 9000 + "@1"}, "the limit is 8192"),
        ({"name": "a", "purl": "pkg:npm/" + "a" * 2000 + "@1"}, "a name of 2000 characters"),
    ],
)
def test_a_component_that_cannot_be_judged_makes_the_result_partial(
    component: dict[str, str], why: str
) -> None:
    read = inventory_of(cyclonedx(SSL, component))
    assert [item.name for item in read.packages] == ["libssl3"]
    assert read.status is Status.PARTIAL
    assert why in read.problems[0].what


@pytest.mark.parametrize("kind", ["file", "data", "platform"])
def test_a_component_that_is_no_package_is_no_problem(kind: str) -> None:
    read = inventory_of(cyclonedx(SSL, {"type": kind, "name": "/etc/passwd"}))
    assert (read.status, read.problems) == (Status.COMPLETE, ())


def test_a_document_without_packages_is_failed() -> None:
    for document in (cyclonedx(), json.dumps(HEAD).encode()):
        read = inventory_of(document)
        assert read.status is Status.FAILED
        assert "lists no package" in read.problems[-1].what


def test_a_document_that_says_that_it_is_incomplete_is_partial() -> None:
    read = inventory_of(cyclonedx(SSL, compositions=[{"aggregate": "incomplete"}]))
    assert read.status is Status.PARTIAL
    assert "incomplete" in read.problems[0].what


def test_packages_of_a_second_system_are_judged_by_their_own() -> None:
    other = SSL | {"purl": "pkg:deb/debian/libssl3@3.0.11-1?distro=debian-11&upstream=openssl"}
    system = {"type": "operating-system", "name": "debian", "version": "12.5"}
    read = inventory_of(cyclonedx(system, SSL, other))
    assert {item.layer for item in read.packages} == {"", "debian-11"}


def test_a_release_whose_number_begins_as_another_s_is_not_that_one() -> None:
    system = {"type": "operating-system", "name": "debian", "version": "12"}
    releases = ("3.1", "3.18", "3.1", "edge")
    purls = [f"pkg:apk/alpine/p{n}@1?distro=alpine-{name}" for n, name in enumerate(releases)]
    read = inventory_of(cyclonedx(system, *({"name": "p", "purl": purl} for purl in purls)))
    found = [item.layer for item in read.packages]
    assert found == ["alpine-3.1", "alpine-3.18", "alpine-3.1", "alpine-edge-"]


def test_a_package_is_compared_with_no_other_s_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a document of very many systems costs does not grow with their square."""
    compared: list[object] = []

    def is_same(one: object, other: object) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr(sbom_files, "_is_same", is_same)
    purls = [f"pkg:deb/debian/p{n}@1?distro=foo-{n % 40}.1" for n in range(200)]
    read = inventory_of(cyclonedx(*({"name": "p", "purl": purl} for purl in purls)))
    assert len(compared) == 40
    assert len({item.layer for item in read.packages}) == 40


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_document_that_powershell_redirected_is_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "sbom.json"
    mark = "" if encoding == "utf-16" else "\ufeff"
    path.write_bytes((mark + cyclonedx(SSL).decode()).encode(encoding))
    assert is_sbom(path)
    assert read_sbom(path) == inventory_of(cyclonedx(SSL))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedError, match="UTF-16"):
        read_sbom(path)
    path.write_bytes(b"\xff\xfe" + bytes(4096))
    assert not is_sbom(path)


def test_two_systems_are_a_problem() -> None:
    systems = [{"type": "operating-system", "name": "debian", "version": str(n)} for n in (11, 12)]
    read = inventory_of(cyclonedx(*systems, SSL))
    assert read.os.version_id == "11"
    assert "names 2 operating systems" in read.problems[0].what


def test_a_document_without_sources_is_partial() -> None:
    bare = {
        "type": "library",
        "name": "libssl3",
        "purl": "pkg:deb/debian/libssl3@3?distro=debian-12",
    }
    read = inventory_of(cyclonedx(bare))
    assert "no package names its source" in read.problems[0].what


def test_equal_components_count_once_and_nested_ones_too() -> None:
    nested = SSL | {"components": [{"name": "b", "purl": "pkg:npm/b@1", "components": [SSL]}]}
    read = inventory_of(cyclonedx(SSL, SSL, nested))
    assert [item.name for item in read.packages] == ["libssl3", "b"]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b"{", DamagedError),
        (b"\xff{}", DamagedError),
        (b"[]", NotRecognisedError),
        (b'{"a": 1}', NotRecognisedError),
        (b'{"@context": "x", "@graph": []}', NotRecognisedError),
        (b'{"bomFormat": "CycloneDX", "components": {}}', DamagedError),
        (b'{"bomFormat": "CycloneDX", "bomFormat": "CycloneDX"}', DamagedError),
        (b'{"spdxVersion": "SPDX-3.0"}', FormatError),
        (b'{"spdxVersion": "SPDX-2.3", "packages": 1}', DamagedError),
        (b'{"a":' * 100_000, LimitError),
        (b"<html/>", NotRecognisedError),
        (b"<bom", DamagedError),
        (b'<!DOCTYPE bom [<!ENTITY a "b">]><bom>&a;</bom>', LimitError),
        (b'<!DOCTYPE bom [<!ENTITY a SYSTEM "file:///etc/passwd">]><bom>&a;</bom>', LimitError),
        (b'<bom xmlns="http://cyclonedx.org/schema/bom/1.5">'
         + b"<component>" * 100 + b"</component>" * 100 + b"</bom>", LimitError),
    ],
)  # fmt: skip
def test_what_is_not_a_document_is_an_error(document: bytes, error: type[FormatError]) -> None:
    with pytest.raises(error):
        inventory_of(document)


def test_size_nodes_and_components_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bill_contents, "MAX_COMPONENTS", 3)
    with pytest.raises(LimitError, match="components"):
        inventory_of(cyclonedx(SSL, SSL, SSL, SSL))
    monkeypatch.setattr(sbom_files, "MAX_NODES", 5)
    with pytest.raises(LimitError, match="nodes"):
        inventory_of(cyclonedx(SSL))
    monkeypatch.setattr(sbom_files, "MAX_BYTES", 5)
    with pytest.raises(LimitError, match="MiB"):
        inventory_of(cyclonedx(SSL))


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text("{")
    with pytest.raises(DamagedError, match=r"bad\.json: no JSON"):
        read_sbom(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
NAMES = ("purl", "name", "version", "type", "properties", "components", "licenses", "evidence",
         "supplier", "SPDXID", "externalRefs", "annotations", "versionInfo")  # fmt: skip
COMPONENTS = st.dictionaries(st.sampled_from(NAMES), VALUES)


@given(
    st.lists(COMPONENTS, max_size=4),
    st.dictionaries(st.sampled_from(("metadata", "compositions", "relationships")), VALUES),
    st.booleans(),
)
def test_members_of_any_type_give_an_inventory_or_a_format_error(
    components: list[dict[str, object]], members: dict[str, object], is_spdx: bool
) -> None:
    kind = {"spdxVersion": "SPDX-2.3", "packages": components}
    document = kind if is_spdx else {**HEAD, "components": components}
    try:
        read = inventory_of(json.dumps({**document, **members}).encode())
    except FormatError:
        return
    assert read.packages or read.status is Status.FAILED


def test_disks_are_no_documents(tmp_path: Path) -> None:
    disk, text, xml = tmp_path / "disk", tmp_path / "a.json", tmp_path / "a.xml"
    disk.write_bytes(b"{" + bytes(4096))
    text.write_bytes(b"\xef\xbb\xbf \n{}")
    xml.write_bytes(b"<?xml?>")
    assert [is_sbom(path) for path in (disk, text, xml, tmp_path, tmp_path / "none")] == [
        False, True, True, False, False,
    ]  # fmt: skip
