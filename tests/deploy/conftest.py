"""A scanned machine, and stores on PostgreSQL."""

from __future__ import annotations

from tests.fixtures.debian_machine import advisories, image
from tests.fixtures.stores import make_postgresql, postgresql

__all__ = ["advisories", "image", "make_postgresql", "postgresql"]
