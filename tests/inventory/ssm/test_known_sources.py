"""Which evidence of a binary's source counts: the machine's own, the fleet's, or the feeds'."""

from __future__ import annotations

from sidelight.inventory.ssm.known_sources import (
    KnownSources,
    SourcePackage,
    of_lists,
    of_packages,
)
from sidelight.model import Package

FEEDS = of_lists({"libssl3": "openssl", "zlib1g": "zlib", "cpp": "gcc-12"}, ["libcrypto-udeb"])


def installed(name: str, source: str, version: str = "1", source_version: str = "") -> Package:
    return Package("deb", name, version, "/var/lib/dpkg/status", f"pkg:deb/ubuntu/{name}@{version}",
                   source_name=source, source_version=source_version or version)  # fmt: skip


def test_feeds_count_where_no_disk_showed_a_binary() -> None:
    known = FEEDS.with_better(of_packages([installed("bash", "bash")]))

    assert known.source_of("libssl3", "3.0.2-1") == SourcePackage("openssl", "3.0.2-1")
    assert known.source_of("bash", "5") == SourcePackage("bash", "5")


def test_a_disk_of_the_fleet_counts_before_feeds() -> None:
    known = FEEDS.with_better(of_packages([installed("libssl3", "openssl-own")]))

    assert known.source_of("libssl3", "2") == SourcePackage("openssl-own", "2")


def test_the_machines_own_database_counts_before_disks_and_feeds() -> None:
    fleet = of_packages([installed("libssl3", "of-fleet"), installed("zlib1g", "of-fleet")])
    own = of_packages([installed("libssl3", "own")])

    known = FEEDS.with_better(fleet).with_better(own)

    assert known.source_of("libssl3", "2") == SourcePackage("own", "2")
    assert known.source_of("zlib1g", "2") == SourcePackage("of-fleet", "2")
    assert known.source_of("cpp", "2") == SourcePackage("gcc-12", "2")


def test_a_binary_that_disks_show_to_be_uncertain_is_not_taken_from_feeds() -> None:
    fleet = of_packages([installed("cpp", "gcc-defaults", "4:11.2", source_version="1.193")])

    known = FEEDS.with_better(fleet)

    assert known.source_of("cpp", "4:11.2") == SourcePackage("gcc-defaults", "1.193")
    assert known.source_of("cpp", "4:12.1") is None


def test_an_exact_version_of_worse_evidence_counts_where_the_better_is_uncertain() -> None:
    fleet = of_packages([installed("cpp", "gcc-defaults", "4:12", source_version="1.194")])
    own = of_packages([installed("cpp", "gcc-defaults", "4:11", source_version="1.193")])

    known = fleet.with_better(own)

    assert known.source_of("cpp", "4:12") == SourcePackage("gcc-defaults", "1.194")


def test_a_binary_that_feeds_list_under_two_sources_has_none() -> None:
    known = FEEDS.with_better(KnownSources())

    assert known.source_of("libcrypto-udeb", "1") is None
    assert known.source_of("unheard", "1") is None


def test_removed_packages_are_only_those_of_the_machine() -> None:
    own = of_packages([], removed=[("a", "1", "amd64")])

    assert FEEDS.with_better(own).removed == {("a", "1", "amd64")}
