"""Whose files count as covered by the distribution's advisories."""

from __future__ import annotations

import pytest

from sidelight.inventory.os.dpkg import parse_status
from sidelight.inventory.ownership import Ownership
from sidelight.inventory.protocol import Extraction
from sidelight.model import OperatingSystem

BOOKWORM = OperatingSystem(id="debian", version_id="12")


@pytest.mark.parametrize("is_list_first", [True, False])
def test_another_vendors_paths_are_not_owned_in_whatever_order(is_list_first: bool) -> None:
    jar, shared, libc = "usr/share/es/lib/log4j.jar", "usr/share/es/shared", "usr/lib/libc.so.6"
    owned = Ownership([("usr/lib/", "lib/")], [jar, shared, libc])
    # `installed` has the distribution's own packages alone: Elasticsearch is not among them.
    steps = [
        Extraction(owned={jar, shared}, owner="info/elasticsearch"),
        Extraction(installed={"info/libc6"}),
        Extraction(owned={"lib/libc.so.6", shared}, owner="info/libc6"),
    ]
    for step in steps if is_list_first else steps[::-1]:
        owned.take(step)
    owned.settle()
    assert jar not in owned
    assert libc in owned
    assert shared in owned


@pytest.mark.parametrize(
    ("fields", "is_other"),
    [
        (b"Maintainer: Elasticsearch Team <info@elastic.co>", True),
        (b"Maintainer: Jane Doe <jane@acme.example>\nVendor: Acme", True),
        (b"Maintainer: Jane Doe <jane@acme.example>\nVendor: none\nLicense: MIT", True),
        (b"Maintainer: Jane Doe <jane@acme.example>\nOrigin: Acme", True),
        (b"Maintainer: Jane Doe <jane@acme.example>\nOrigin: Debian", False),
        (b"Maintainer: Jane Doe <jane@acme.example>", True),  # in doubt its files are read
        (b"Maintainer: Jane Doe <jane@debian.org>", False),
        (b"Maintainer: Docker <support@docker.com>\nOrigin: Debian", True),
        (b"", False),
    ],
)
def test_a_debs_fields_say_whether_the_distribution_ships_it(fields: bytes, is_other: bool) -> None:
    data = b"Package: x\nStatus: install ok installed\nVersion: 1\n" + fields + b"\n"
    found = parse_status(data, "/var/lib/dpkg/status", BOOKWORM, owners="info/")
    assert found.installed == (set() if is_other else {"info/x", "info/x:"})
