"""Stores on SQLite and on PostgreSQL."""

from __future__ import annotations

from tests.fixtures.stores import clock, make_postgresql, postgresql, store, url

__all__ = ["clock", "make_postgresql", "postgresql", "store", "url"]
