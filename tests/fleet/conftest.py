"""A fake fleet, and a store, for each test."""

from __future__ import annotations

from tests.fixtures.fake_fleets import fake_fleet, make_fake_fleet
from tests.fixtures.sqlite_stores import clock, store

__all__ = ["clock", "fake_fleet", "make_fake_fleet", "store"]
