"""SOFA's feed of macOS: a Mac has what later releases of its own major version fix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.feeds.formats import sofa
from sidelight.errors import DamagedError
from sidelight.matching import match, unmatched_ecosystems
from sidelight.model import Advisory, VulnerabilityFact
from sidelight.versions import sort_key
from tests.advisories.mac_documents import FEED, database, feed, mac, release

if TYPE_CHECKING:
    from pathlib import Path


def test_a_mac_has_what_later_releases_of_its_major_version_fix(tmp_path: Path) -> None:
    found = match(mac("14.5"), database(tmp_path, FEED))

    assert [(item.vulnerability, item.fixed_version) for item in found] == [
        ("CVE-2024-0001", "14.5 (a)"),
        ("CVE-2024-0002", "14.6"),
    ]
    assert found[1].exploited_since == "2024-07-29"


def test_a_rapid_response_is_above_its_version(tmp_path: Path) -> None:
    found = match(mac("14.5 (a)"), database(tmp_path, FEED))

    assert [item.vulnerability for item in found] == ["CVE-2024-0002"]


def test_a_major_version_without_releases_is_reported_and_not_clean(tmp_path: Path) -> None:
    known = database(tmp_path, FEED)

    assert not match(mac("11.7.10"), known)
    assert any(
        item.why == "the database has no advisories for it" and item.coverable
        for item in unmatched_ecosystems(mac("11.7.10"), known)
    )


@pytest.mark.parametrize(
    ("lower", "higher"),
    [("14.5", "14.5.1"), ("14.9", "14.10"), ("13.4.1", "13.4.1 (a)"), ("13.4.1 (c)", "13.4.2"),
     ("15.7.9", "26.0")],
)  # fmt: skip
def test_versions_of_apple_are_ordered_by_number_and_letter(lower: str, higher: str) -> None:
    assert sort_key("macOS", lower) < sort_key("macOS", higher)


def test_a_missing_number_is_zero() -> None:
    assert sort_key("macOS", "14") == sort_key("macOS", "14.0")


@pytest.mark.parametrize(
    "document",
    [feed(), feed(release("latest", "CVE-2024-0001")), feed({"ProductVersion": 14})],
    ids=["no release", "a word as version", "a number as version"],
)
def test_a_damaged_feed_is_refused(document: dict[str, Any]) -> None:
    assert sofa.recognises(document)
    with pytest.raises(DamagedError):
        list(sofa.parse(document))


@pytest.mark.conformance
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_release_of_the_real_feed_has_the_cves_of_later_ones(
    version: str, shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / f"control-plane/macos/sofa/macos_data_feed.{version}.json"
    document = json.loads(path.read_text())
    build([path], tmp_path / "advisories.db")
    known = AdvisoryDatabase.open(tmp_path / "advisories.db")
    count = 0
    for system in document["OSVersions"]:
        releases = system["SecurityReleases"]
        for item in releases:
            own = [int(part) for part in item["ProductVersion"].split(".")]
            expected: set[str] = set()
            for other in releases:
                if [int(part) for part in other["ProductVersion"].split(".")] > own:
                    expected |= other["CVEs"].keys()
            found = {finding.vulnerability for finding in match(mac(item["ProductVersion"]), known)}
            assert found == expected, item["ProductVersion"]
            count += 1
    assert count > 100


@pytest.mark.conformance
def test_both_versions_of_the_real_feed_agree(shared_data: Path) -> None:
    def parsed(version: str) -> dict[str, tuple[str, ...]]:
        path = shared_data / f"control-plane/macos/sofa/macos_data_feed.{version}.json"
        items = list(sofa.parse(json.loads(path.read_text())))
        assert any(isinstance(item, VulnerabilityFact) for item in items)
        return {item.id: item.vulnerabilities for item in items if isinstance(item, Advisory)}

    assert parsed("v1") == parsed("v2")
