"""The stage times that metrics and console show."""

from __future__ import annotations

from datetime import timedelta

RECENT = timedelta(hours=1)
PARTS = ("took", "waited", "ran", "paced")  # of a stage's time: sidelight.store.StageTimes
