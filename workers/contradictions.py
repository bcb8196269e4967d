"""Settings that cannot be true together, told at start-up and not after six hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from workers.settings import Settings

# A countdown is held by a worker in memory, below the broker's visibility timeout; what is due
# later than this is left to the dispatcher's tick.
LONGEST_COUNTDOWN = 60.0
HARD_LIMIT_AFTER = 60.0  # seconds from the soft time limit, which a stage may catch, to the hard
SHARING = frozenset({"redis", "rediss", "unix", "sentinel"})  # schemes of what can keep budgets
SQS_VISIBILITY = 12 * 3600.0  # the most that SQS takes


def scheme(broker_url: str) -> str:
    """`redis`, `rediss`, `sentinel`, `sqs`, `memory` and so on."""
    return broker_url.partition("://")[0]


def refuse(settings: Settings) -> None:
    """Raise UsageError for what contradicts itself; both sides are named."""
    longest = settings.stage_seconds + HARD_LIMIT_AFTER + LONGEST_COUNTDOWN
    if settings.visibility_seconds <= longest + settings.soft_shutdown_seconds:
        raise UsageError(
            f"{settings.visibility_seconds:g} s is not above the longest stage, its countdown and "
            f"the soft shutdown ({longest + settings.soft_shutdown_seconds:g} s with "
            "SIDELIGHT_STAGE_SECONDS): the broker would hand a scan that is being read to another",
            where="SIDELIGHT_VISIBILITY_SECONDS",
        )
    if scheme(settings.broker_url) == "sqs" and settings.visibility_seconds > SQS_VISIBILITY:
        raise UsageError("SQS takes 43200 s at most", where="SIDELIGHT_VISIBILITY_SECONDS")
    _refuse_budgets(settings)
    if "sentinel" in map(scheme, (settings.broker_url, settings.budgets_url)) and not (
        settings.sentinel_master
    ):
        raise UsageError(
            "a broker behind Sentinel needs its master's name", where="SIDELIGHT_SENTINEL_MASTER"
        )
    if settings.longest_backoff_seconds < settings.backoff_seconds:
        raise UsageError(
            "is below SIDELIGHT_BACKOFF_SECONDS", where="SIDELIGHT_LONGEST_BACKOFF_SECONDS"
        )
    if settings.kms_grants and not settings.scanner_account:
        raise UsageError(
            "are for snapshots that are shared: set SIDELIGHT_SCANNER_ACCOUNT too",
            where="SIDELIGHT_KMS_GRANTS",
        )


def _refuse_budgets(settings: Settings) -> None:
    where = "SIDELIGHT_BUDGETS_URL"
    if settings.budgets_url not in ("", "process") and scheme(settings.budgets_url) not in SHARING:
        raise UsageError("is the URL of a Redis, or `process`", where=where)
    if scheme(settings.broker_url) == "sqs" and not settings.budgets_url:
        raise UsageError(
            "SQS keeps no budgets, and workers that share none would exceed AWS's together: name a "
            "Redis, or `process` where SIDELIGHT_GET_PER_SECOND and the like are a process's part",
            where=where,
        )
