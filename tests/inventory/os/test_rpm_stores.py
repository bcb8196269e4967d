"""Of several rpm stores of one system, the one that rpm uses counts."""

from __future__ import annotations

import pytest

from sidelight.inventory.os.rpm import CoveredRpmFiles
from sidelight.inventory.os.rpm_stores import choose
from sidelight.inventory.protocol import Extraction
from sidelight.model import Package, Problem

OLD, NDB, SQLITE = (f"/var/lib/rpm/{name}" for name in ("Packages", "Packages.db", "rpmdb.sqlite"))
MOVED = "/usr/lib/sysimage/rpm/rpmdb.sqlite"


def _rpm(path: str, version: str = "1-1") -> Package:
    return Package("rpm", "bash", version, path, "")


def test_a_store_that_lists_nothing_hides_no_other() -> None:
    assert choose([_rpm(NDB)], [], "sles") == ([_rpm(NDB)], [])


@pytest.mark.parametrize(("older", "newer"), [(OLD, NDB), (OLD, SQLITE), (NDB, SQLITE)])
def test_the_newest_format_counts_and_a_difference_is_a_problem(older: str, newer: str) -> None:
    assert choose([_rpm(older), _rpm(newer)], [], "rhel") == ([_rpm(newer)], [])
    kept, problems = choose([_rpm(older), _rpm(newer, "2-1")], [], "rhel")
    assert kept == [_rpm(newer, "2-1")]
    assert [item.where for item in problems] == [older]


@pytest.mark.parametrize(("identity", "path"), [("rhel", SQLITE), ("fedora", MOVED), ("", MOVED)])
def test_the_directory_is_the_one_that_the_systems_rpm_has(identity: str, path: str) -> None:
    kept, problems = choose([_rpm(SQLITE), _rpm(MOVED)], [], identity)
    assert ([item.path for item in kept], problems) == ([path], [])


def test_a_damaged_store_counts_only_where_rpm_would_read_it() -> None:
    left, used = Problem(OLD, "damaged"), Problem(SQLITE, "damaged")
    other = Problem("/etc/os-release", "unreadable")
    assert choose([_rpm(SQLITE)], [left, other], "rhel")[1] == [other]
    assert choose([_rpm(OLD)], [used, other], "rhel")[1] == [used, other]


@pytest.mark.parametrize(
    ("vendors", "owned"),
    [
        (("", ""), {"0", "1"}),
        (("Red Hat, Inc.", ""), {"0"}),
        (("", "Red Hat, Inc."), {"1"}),
        (("Red Hat, Inc.", "Red Hat, Inc."), {"0", "1"}),
        ((), set()),
    ],
)
def test_where_a_package_has_a_vendor_those_without_one_own_nothing(
    vendors: tuple[str, ...], owned: set[str]
) -> None:
    found = Extraction()
    files = CoveredRpmFiles(found)
    for number, vendor in enumerate(vendors):
        files.own(SQLITE, vendor, [str(number)])
    files.settle()
    assert found.owned == owned
