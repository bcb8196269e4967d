"""The settings of networks (docs/reachability.md)."""

from __future__ import annotations

from dataclasses import dataclass

from sidelight.fleet.settings.definition import CALLERS, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Whether and how often the network of each account-region is evaluated."""

    network_hours: float = setting(
        "SIDELIGHT_NETWORK_HOURS", 12.0, unit="hours", readers=CALLERS,
        meaning="Between two evaluations of an account-region's network; 0: networks are not"
        " evaluated",
    )  # fmt: skip
    network_seconds: float = setting(
        "SIDELIGHT_NETWORK_SECONDS", 1800.0, unit="seconds", positive=True, readers=CALLERS,
        meaning="The longest that one evaluation of an account-region's network takes",
    )  # fmt: skip

    @property
    def interval(self) -> float:
        """Return the seconds between two evaluations, 0 if there are none."""
        return self.network_hours * 3600
