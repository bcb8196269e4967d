"""The upper bound of a probe's cost, reported before it creates anything."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sidelight.aws.ebs import USD_PER_GET, USD_PER_LIST

MOST_DOLLARS = 1.0  # a probe that may cost this much is not started
# Prices of the most expensive Regions, rounded up (EBS pricing): dollars per GiB and month.
VOLUME_USD = 0.16
SNAPSHOT_USD = 0.10
HOURS_OF_MONTH = 730
CALLS_A_SECOND = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """Dollars at most; `kept_usd` of them for snapshots that a Recycle Bin rule keeps."""

    usd: float
    kept_usd: float
    volumes: int
    snapshot_gib: int


def estimate(*, volumes: int, snapshot_gib: int, minutes: float, recycle_days: float) -> Estimate:
    """Return the upper bound for volumes of 1 GiB and snapshots of these GiB in total, all full."""
    hours = max(1.0, minutes / 60)
    alive = (volumes * VOLUME_USD + snapshot_gib * SNAPSHOT_USD) * hours / HOURS_OF_MONTH
    calls = minutes * 60 * CALLS_A_SECOND * (USD_PER_LIST + USD_PER_GET)
    kept = snapshot_gib * SNAPSHOT_USD * recycle_days / 30
    usd = math.ceil(100 * (alive + calls + kept)) / 100
    return Estimate(usd, kept, volumes, snapshot_gib)
