"""A scanned machine, a local cloud, and PostgreSQL."""

from __future__ import annotations

from tests.fixtures.debian_machine import advisories, image
from tests.fixtures.local_clouds import cloud
from tests.fixtures.stores import make_postgresql, postgresql

__all__ = ["advisories", "cloud", "image", "make_postgresql", "postgresql"]
