"""Bills of materials: valid by the schemas, read by their own libraries, inert, the same twice."""

from __future__ import annotations

import io
import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cyclonedx.model.bom import Bom
from defusedxml import ElementTree
from hypothesis import given
from packageurl import PackageURL

from sidelight.model import Inventory, OperatingSystem, Status
from sidelight.report.sbom import documents
from sidelight.report.sbom.format_names import SBOM_FORMATS, SPDX_JSON
from sidelight.report.sbom.machine_boms import valid_purl
from tests.fixtures.boms import CHRONY, FLASK, HOSTILE, NOW, SSL, TOOL, machine_bom
from tests.fixtures.published_schemas import bill_faults, spdx_faults

if TYPE_CHECKING:
    from sidelight.report.sbom.machine_boms import MachineBom

CYCLONEDX = [form for form in SBOM_FORMATS if form != SPDX_JSON]


def written(form: str, bom: MachineBom | None = None) -> str:
    file = io.StringIO()
    documents.write(form, bom or machine_bom(), file)
    return file.getvalue()


def is_inert_document(text: str) -> bool:
    return all(character == "\n" or " " <= character <= "~" for character in text)


@pytest.mark.parametrize("form", CYCLONEDX)
def test_a_cyclonedx_document_is_valid_by_its_schema(form: str) -> None:
    text = written(form)
    assert bill_faults(form, text) == []
    assert is_inert_document(text)


@pytest.mark.parametrize("form", CYCLONEDX)
@given(bom=HOSTILE)
def test_a_hostile_machine_gives_a_valid_and_inert_cyclonedx_document(
    form: str, bom: MachineBom
) -> None:
    text = written(form, bom)
    assert bill_faults(form, text) == []
    assert is_inert_document(text)


def test_an_spdx_document_is_valid_by_its_own_tools() -> None:
    assert spdx_faults(written(SPDX_JSON)) == []


@given(bom=HOSTILE)
def test_a_hostile_machine_gives_a_valid_and_inert_spdx_document(bom: MachineBom) -> None:
    text = written(SPDX_JSON, bom)
    assert is_inert_document(text)
    assert spdx_faults(text) == []


@given(bom=HOSTILE)
def test_every_purl_of_a_document_is_valid(bom: MachineBom) -> None:
    document = json.loads(written("cyclonedx-json", bom))
    for component in document["components"]:
        if "purl" in component:
            assert PackageURL.from_string(component["purl"]).name


@pytest.mark.parametrize("name", ["%0D", "%20%09", "%2F", "%C2%A0", "%E2%80%83%2F"])
def test_a_name_that_is_blank_once_decoded_makes_no_purl(name: str) -> None:
    for purl in (f"pkg:deb/{name}", f"pkg:deb/debian/{name}@1?arch=amd64"):
        with pytest.raises(ValueError, match="Invalid purl"):
            PackageURL.from_string(purl)
        assert not valid_purl(purl)


@pytest.mark.parametrize("form", SBOM_FORMATS)
def test_a_document_written_twice_is_the_same(form: str) -> None:
    assert written(form) == written(form)


def test_the_serial_number_changes_with_machine_and_time_and_may_be_given() -> None:
    bom = machine_bom()
    later = replace(bom, created_at=NOW.replace(year=2027))
    other = replace(bom, instance="i-2")
    given_one = replace(bom, serial=uuid.UUID(int=7))
    numbers = {item.serial_number for item in (bom, later, other, given_one)}
    assert len(numbers) == 4
    assert "urn:uuid:00000000-0000-0000-0000-000000000007" in written("cyclonedx-json", given_one)


@pytest.mark.filterwarnings("ignore:.@.tools. is deprecated")  # of 1.4, which has no other
@pytest.mark.parametrize("form", ["cyclonedx-json", "cyclonedx-json@1.5", "cyclonedx-json@1.4"])
def test_the_library_reads_all_packages_and_their_vulnerabilities(form: str) -> None:
    bom = Bom.from_json(json.loads(written(form)))  # type: ignore[attr-defined] # made by a decorator
    purls = {str(item.purl) for item in bom.components if item.purl}
    assert {
        PackageURL.from_string(item.purl).to_string() for item in (SSL, FLASK, CHRONY, TOOL)
    } == purls
    affected = {item.id: len(item.affects) for item in bom.vulnerabilities}
    assert affected == {"CVE-2024-5535": 2, "GHSA-m2qf-hxjv-5gpq": 1}


def test_xml_and_json_have_the_same_packages() -> None:
    root = ElementTree.fromstring(written("cyclonedx-xml"))
    space = {"b": "http://cyclonedx.org/schema/bom/1.6"}
    of_xml = [item.text for item in root.findall("b:components/b:component/b:purl", space)]
    of_json = json.loads(written("cyclonedx-json"))["components"]
    assert of_xml == [item["purl"] for item in of_json if "purl" in item]


def test_components_have_evidence_licence_and_properties() -> None:
    document = json.loads(written("cyclonedx-json"))
    by_name = {item["name"]: item for item in document["components"]}
    assert by_name["debian"]["type"] == "operating-system"
    ssl = by_name["libssl3"]
    assert ssl["evidence"]["occurrences"] == [{"location": "/var/lib/dpkg/status"}]
    assert ssl["evidence"]["identity"]["methods"][0]["technique"] == "manifest-analysis"
    tool = by_name["github.com/a/b"]
    assert tool["evidence"]["identity"]["methods"][0]["technique"] == "binary-analysis"
    assert by_name["flask"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert by_name["chrony"]["licenses"] == [{"license": {"name": "GPLv2 and see COPYING"}}]
    assert tool["licenses"] == [
        {"expression": "MIT OR (Apache-2.0 AND GPL-2.0-only WITH Classpath-exception-2.0)"}
    ]
    properties = {item["name"]: item["value"] for item in ssl["properties"]}
    assert properties["sidelight:source_name"] == "openssl"
    properties = {item["name"]: item["value"] for item in document["metadata"]["properties"]}
    assert properties["accountId"] == "111122223333"
    assert properties["imageId"] == "ami-0abc"
    assert properties["sidelight:platform"] == "DEBIAN_12"
    assert properties["sidelight:problem"] == "snap-1/p1/ext4: inode 12: a damaged directory"


def test_system_packages_depend_from_the_system_and_others_from_the_machine() -> None:
    document = json.loads(written("cyclonedx-json"))
    names = {item["bom-ref"]: item["name"] for item in document["components"]}
    edges = {
        item["ref"]: [names[reference] for reference in item["dependsOn"]]
        for item in document["dependencies"]
        if item["ref"] in {"machine", "operating-system"}
    }
    assert edges == {
        "machine": ["debian", "flask", "chrony", "github.com/a/b"],  # chrony is in a container
        "operating-system": ["libssl3"],
    }


def test_packages_depend_on_packages_where_that_is_known() -> None:
    document = json.loads(written("cyclonedx-json"))
    names = {item["bom-ref"]: item["name"] for item in document["components"]}
    edges = {
        names[item["ref"]]: [names[reference] for reference in item["dependsOn"]]
        for item in document["dependencies"]
        if item["ref"] in names and item["ref"] != "operating-system"
    }
    assert edges == {
        "libssl3": [],  # it is known that it requires nothing
        "flask": ["libssl3", "github.com/a/b"],
        "github.com/a/b": ["flask"],
    }
    listed = {
        item["aggregate"]: [names[reference] for reference in item["dependencies"]]
        for item in document["compositions"]
        if "dependencies" in item
    }
    # The machine is partial, so nothing of it is complete.
    assert listed == {
        "incomplete": ["libssl3", "flask", "github.com/a/b"],
        "unknown": ["chrony"],
    }


def test_dependencies_that_were_not_read_are_unknown_and_not_none() -> None:
    bom = machine_bom()
    bom = replace(bom, inventory=replace(bom.inventory, dependencies=()))
    document = json.loads(written("cyclonedx-json", bom))
    packages = [item["bom-ref"] for item in document["components"]][1:]
    assert {item["ref"] for item in document["dependencies"]} == {"machine", "operating-system"}
    assert document["compositions"][1:] == [{"aggregate": "unknown", "dependencies": packages}]
    relations = json.loads(written(SPDX_JSON, bom))["relationships"]
    assert {
        item["relatedSpdxElement"] for item in relations if item["relationshipType"] == "DEPENDS_ON"
    } == {"NOASSERTION"}


def test_spdx_has_dependencies_none_and_no_assertion() -> None:
    document = json.loads(written(SPDX_JSON))
    names = {item["SPDXID"]: item["name"] for item in document["packages"]}
    names |= {"NONE": "NONE", "NOASSERTION": "NOASSERTION"}
    assert [
        (names[item["spdxElementId"]], names[item["relatedSpdxElement"]])
        for item in document["relationships"]
        if item["relationshipType"] == "DEPENDS_ON"
    ] == [
        ("libssl3", "NONE"),
        ("flask", "libssl3"),
        ("flask", "github.com/a/b"),
        ("chrony", "NOASSERTION"),
        ("github.com/a/b", "flask"),
    ]


@pytest.mark.parametrize(
    ("status", "aggregate"), [(Status.COMPLETE, "complete"), (Status.FAILED, "incomplete")]
)
def test_a_machine_that_was_not_read_does_not_look_complete(status: Status, aggregate: str) -> None:
    bom = replace(machine_bom(), inventory=Inventory(status, OperatingSystem()), findings=None)
    document = json.loads(written("cyclonedx-json", bom))
    assert document["compositions"][0]["aggregate"] == aggregate
    assert "vulnerabilities" not in document  # it was not matched
    assert {"name": "sidelight:matched", "value": "no"} in document["metadata"]["properties"]


def test_spdx_has_purls_advisories_and_the_text_of_licences() -> None:
    document = json.loads(written(SPDX_JSON))
    assert document["name"] == "111122223333/EC2/i-0123456789abcdef0/ami-0abc"
    by_name = {item["name"]: item for item in document["packages"]}
    references = by_name["libssl3"]["externalRefs"]
    assert [item["referenceType"] for item in references] == ["purl", "advisory"]
    assert references[1]["comment"] == "CVE-2024-5535 CRITICAL"
    assert by_name["chrony"]["licenseDeclared"] == "LicenseRef-1"
    assert document["hasExtractedLicensingInfos"][0]["extractedText"] == "GPLv2 and see COPYING"
    assert by_name["libssl3"]["sourceInfo"] == "manifest-analysis: /var/lib/dpkg/status"


def test_the_suffix_of_a_file_names_its_format() -> None:
    forms = ("cyclonedx-json@1.4", "cyclonedx-xml", SPDX_JSON)
    suffixes = [documents.suffix_of(form) for form in forms]
    assert suffixes == [".cdx.json", ".cdx.xml", ".spdx.json"]
