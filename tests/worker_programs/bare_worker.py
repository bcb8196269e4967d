"""A worker's application on a kernel without Landlock."""

from __future__ import annotations

from sidelight.fleet import disk_reading

vars(disk_reading)["missing_protections"] = lambda: {"Landlock": "Function not implemented"}

from workers.celery_main import app  # noqa: E402 - it asks the kernel when it is imported

__all__ = ["app"]
