"""Cross-field validation of Settings, at start-up instead of after six hours."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidelight.errors import UsageError
from sidelight.url_masks import masked

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings

# A worker holds a countdown in memory, below the broker's visibility timeout. The dispatcher's tick
# publishes messages that are due later than this.
LONGEST_COUNTDOWN = 60.0
HARD_LIMIT_AFTER = 60.0  # seconds from the soft time limit, which a stage may catch, to the hard
SHARING = frozenset({"redis", "rediss", "unix", "sentinel"})  # schemes that can share rate limits
SQS_VISIBILITY = 12 * 3600.0  # the most that SQS accepts
# `memory` is for a command that has no workers.
BROKERS = frozenset({"redis", "rediss", "sentinel", "sqs", "memory"})
HOW_BROKER = (
    "write redis://HOST:6379/0, rediss://USER:PASSWORD@HOST:6379/0, sentinel://HOST:26379/0 or "
    "sqs:// (docs/brokers.md)"
)

ENCODED = "in a password write / as %2F, # as %23, ? as %3F, @ as %40, % as %25, [ as %5B"
UNREADABLE = f"its host or its port cannot be read ({ENCODED})"
UNREADABLE_PATH = f"is not a number ({ENCODED})"


def scheme(broker_url: str) -> str:
    """Return the scheme: `redis`, `rediss`, `sentinel`, `sqs`, `memory` and so on."""
    return broker_url.partition("://")[0]


def check_url(url: str, schemes: frozenset[str], where: str) -> None:
    """Raise UsageError for a text that cannot be the URL of a Redis, a Sentinel or SQS."""
    for part in url.split(";"):
        why = _why_not(part, schemes)
        if why:
            raise UsageError(f"{masked(url)!r} is not a broker's URL: {why}; {HOW_BROKER}",
                             where=where)  # fmt: skip


def _why_not(url: str, schemes: frozenset[str]) -> str:
    """Return the fault of one URL; empty if it is valid."""
    kind, mark, _rest = url.partition("://")
    if not mark or kind not in schemes:
        return f"the scheme {kind!r} is unknown" if mark else "it has no scheme"
    if kind in ("memory", "sqs", "unix"):
        return ""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # whose text may hold a part of the password
        return UNREADABLE
    if port == 0 or any(character.isspace() for character in url):
        return "port 0" if port == 0 else "it has a blank in it"
    database = parts.path.strip("/")
    return "" if database.isdecimal() or not database else f"its database {UNREADABLE_PATH}"


def validate(settings: Settings) -> None:
    """Raise UsageError for settings that contradict each other; the error names both."""
    _ = settings.reading.skipped_globs  # raises for a text that has none
    check_url(settings.broker.url, BROKERS, "SIDELIGHT_BROKER_URL")
    visibility, workers = settings.broker.visibility_seconds, settings.workers
    longest = workers.stage_seconds + HARD_LIMIT_AFTER + LONGEST_COUNTDOWN
    if visibility <= longest + workers.soft_shutdown_seconds:
        raise UsageError(
            f"{visibility:g} s is not above the longest stage, its countdown and the soft shutdown "
            f"({longest + workers.soft_shutdown_seconds:g} s with SIDELIGHT_STAGE_SECONDS): the "
            "broker would hand a scan that is being read to another",
            where="SIDELIGHT_VISIBILITY_SECONDS",
        )
    if scheme(settings.broker.url) == "sqs" and visibility > SQS_VISIBILITY:
        raise UsageError("SQS takes 43200 s at most", where="SIDELIGHT_VISIBILITY_SECONDS")
    _validate_rates(settings)
    if "sentinel" in map(scheme, (settings.broker.url, settings.rates.url)) and not (
        settings.broker.sentinel_master
    ):
        raise UsageError(
            "a broker behind Sentinel needs its master's name", where="SIDELIGHT_SENTINEL_MASTER"
        )
    if settings.retries.longest_backoff_seconds < settings.retries.backoff_seconds:
        raise UsageError(
            "is below SIDELIGHT_BACKOFF_SECONDS", where="SIDELIGHT_LONGEST_BACKOFF_SECONDS"
        )
    validate_cage(settings)
    validate_sources(settings)
    if settings.updates.bundle and not settings.updates.keys:
        raise UsageError(
            "needs the public key of its signer: set SIDELIGHT_ADVISORY_KEYS too",
            where="SIDELIGHT_ADVISORY_BUNDLE",
        )
    if settings.aws.kms_grants and not settings.aws.scanner_account:
        raise UsageError(
            "are for snapshots that are shared: set SIDELIGHT_SCANNER_ACCOUNT too",
            where="SIDELIGHT_KMS_GRANTS",
        )


def validate_sources(settings: Settings) -> None:
    """Raise UsageError for settings of existing snapshots that contradict others."""
    if settings.sources.existing_hours and settings.aws.scanner_account:
        raise UsageError(
            "existing snapshots are read in place and never shared: unset"
            " SIDELIGHT_SCANNER_ACCOUNT, or this",
            where="SIDELIGHT_EXISTING_SNAPSHOTS_HOURS",
        )
    if settings.sources.existing_only and not settings.sources.existing_hours:
        raise UsageError(
            "nothing would be scanned: set SIDELIGHT_EXISTING_SNAPSHOTS_HOURS too",
            where="SIDELIGHT_EXISTING_SNAPSHOTS_ONLY",
        )


def validate_cage(settings: Settings) -> None:
    """Raise UsageError where the cage is required and off."""
    if settings.reading.cage_required and not settings.reading.cage:
        raise UsageError("is set, and SIDELIGHT_CAGE is off", where="SIDELIGHT_CAGE_REQUIRED")


def _validate_rates(settings: Settings) -> None:
    where = "SIDELIGHT_BUDGETS_URL"
    if settings.rates.url not in ("", "process"):
        if scheme(settings.rates.url) not in SHARING:
            raise UsageError("is not the URL of a Redis, nor `process`", where=where)
        check_url(settings.rates.url, SHARING, where)
    if scheme(settings.broker.url) == "sqs" and not settings.rates.url:
        raise UsageError(
            "SQS keeps no budgets, and workers that share none would exceed AWS's together: name a "
            "Redis, or `process` where SIDELIGHT_GET_PER_SECOND and the like are a process's part",
            where=where,
        )
