"""Stores, a scanned machine, a fake fleet, and an organization in the local cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.fake_fleet import FakeFleet
from tests.fixtures.debian_machine import advisories, image
from tests.fixtures.local_clouds import cloud
from tests.fixtures.organizations import hub_settings, make_control, organization
from tests.fixtures.store_urls import quick_directory, sqlite_url
from tests.fixtures.stores import clock, make_postgresql, postgresql, store, url

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "advisories",
    "clock",
    "cloud",
    "hub_settings",
    "image",
    "make_control",
    "make_postgresql",
    "organization",
    "postgresql",
    "store",
    "url",
]


@pytest.fixture
def fake_fleet() -> Iterator[FakeFleet]:
    """Three machines of two disks."""
    with quick_directory() as directory:
        fake_fleet = FakeFleet(sqlite_url(directory), machines=3)
        yield fake_fleet
        fake_fleet.close()
