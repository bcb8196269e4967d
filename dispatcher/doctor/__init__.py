"""Checks of what a user has set up: settings, store, broker, advisories, AWS permissions."""

from __future__ import annotations

from dispatcher.doctor.examination import examine
from dispatcher.doctor.results import Check, CheckStatus

__all__ = ["Check", "CheckStatus", "examine"]
