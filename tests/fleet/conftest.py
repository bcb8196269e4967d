"""A fake fleet for each test."""

from __future__ import annotations

from tests.fixtures.fake_fleets import fake_fleet, make_fake_fleet

__all__ = ["fake_fleet", "make_fake_fleet"]
