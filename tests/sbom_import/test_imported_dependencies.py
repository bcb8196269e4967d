"""Dependencies of a document are those of the machine that it was written of."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.model import Inventory, OperatingSystem, Package, Problem, Status
from sidelight.report.sbom import documents
from sidelight.report.sbom.format_names import SBOM_FORMATS
from sidelight.report.sbom.machine_boms import MachineBom
from sidelight.sbom_import.sbom_files import inventory_of
from tests.fixtures.boms import HOSTILE, NOW, dependencies_of

COUNT = 6
PACKAGES = tuple(
    Package("npm", f"p{number}", "1.0.0", "/app/package-lock.json", f"pkg:npm/p{number}@1.0.0")
    for number in range(COUNT)
)


def written(form: str, bom: MachineBom) -> bytes:
    file = io.StringIO()
    documents.write(form, bom, file)
    return file.getvalue().encode()


@pytest.mark.parametrize("form", SBOM_FORMATS)
@given(found=dependencies_of(COUNT), is_partial=st.booleans())
def test_an_own_document_gives_the_same_dependencies(
    form: str, found: tuple[tuple[int, ...] | None, ...], is_partial: bool
) -> None:
    problems = (Problem("/x", "damaged"),) if is_partial else ()
    status = Status.PARTIAL if is_partial else Status.COMPLETE
    system = OperatingSystem("debian", "12")
    inventory = Inventory(status, system, PACKAGES, problems, dependencies=found)
    read = inventory_of(written(form, MachineBom("i-1", inventory, NOW)))
    assert read.packages == PACKAGES
    assert read.dependencies == found
    assert read.status is status


@pytest.mark.parametrize("form", SBOM_FORMATS)
@given(bom=HOSTILE)
def test_a_hostile_machine_s_document_gives_valid_indexes(form: str, bom: MachineBom) -> None:
    read = inventory_of(written(form, bom))
    assert len(read.dependencies) in {0, len(read.packages)}
    for own, indexes in enumerate(read.dependencies):
        assert list(indexes or ()) == sorted(set(indexes or ()) - {own})
        assert all(0 <= index < len(read.packages) for index in indexes or ())


def cyclonedx(**members: object) -> Inventory:
    components = [
        {"type": "library", "bom-ref": name, "name": name, "version": "1",
         "purl": f"pkg:npm/{name}@1"}
        for name in ("a", "b", "c")
    ]  # fmt: skip
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}
    return inventory_of(json.dumps(head | members).encode())


def test_an_empty_list_of_another_tool_says_nothing_unless_it_is_complete() -> None:
    edges = [
        {"ref": "a", "dependsOn": ["b", "b", "a", "nobody"]},
        {"ref": "b", "dependsOn": []},
        {"ref": "c"},
        {"ref": "nobody", "dependsOn": ["a"]},
    ]
    assert cyclonedx(dependencies=edges).dependencies == ((1,), None, None)
    whole = [{"aggregate": "complete", "dependencies": ["b"]}]
    read = cyclonedx(dependencies=edges, compositions=whole)
    assert read.dependencies == ((1,), (), None)
    assert cyclonedx().dependencies == ()


def test_incomplete_dependencies_are_no_incomplete_list_of_packages() -> None:
    unknown = [
        {"aggregate": "incomplete", "dependencies": ["b"]},
        {"aggregate": "unknown", "dependencies": ["c"]},
    ]
    read = cyclonedx(compositions=unknown, dependencies=[{"ref": "b", "dependsOn": []}])
    assert read.status is Status.COMPLETE
    assert read.dependencies == ()
    partial = [{"aggregate": "incomplete", "assemblies": ["m"], "dependencies": ["b"]}]
    assert cyclonedx(compositions=partial).status is Status.PARTIAL


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["a", "b", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ref", "dependsOn", "aggregate", "dependencies"]), inner)
    ),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_members_of_any_type_are_no_error(dependencies: object, compositions: object) -> None:
    read = cyclonedx(dependencies=dependencies, compositions=compositions)
    assert len(read.packages) == 3


def test_both_directions_of_spdx_are_read() -> None:
    document = {
        "spdxVersion": "SPDX-2.3",
        "packages": [
            {"SPDXID": f"SPDXRef-{name}", "name": name, "versionInfo": "1",
             "externalRefs": [{"referenceType": "purl",
                               "referenceLocator": f"pkg:npm/{name}@1"}]}
            for name in "abcd"
        ],
        "relationships": [
            {"spdxElementId": f"SPDXRef-{one}", "relationshipType": kind,
             "relatedSpdxElement": other}
            for one, kind, other in (
                ("a", "DEPENDS_ON", "SPDXRef-b"), ("c", "DEPENDENCY_OF", "SPDXRef-a"),
                ("b", "DEPENDS_ON", "NONE"), ("c", "DEPENDS_ON", "NOASSERTION"),
                ("a", "CONTAINS", "SPDXRef-d"),
            )
        ],
    }  # fmt: skip
    assert inventory_of(json.dumps(document).encode()).dependencies == ((1, 2), (), None, None)
