"""Stores, a scanned machine, and an organization in the local cloud."""

from __future__ import annotations

from tests.fixtures.debian_machine import advisories, image
from tests.fixtures.local_clouds import cloud
from tests.fixtures.organizations import hub_settings, make_control, organization
from tests.fixtures.stores import clock, make_postgresql, postgresql, store, url

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
