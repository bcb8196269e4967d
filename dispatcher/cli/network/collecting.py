"""The describe answers that a command of `sidelight network` reads: of a dump, or of AWS."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sidelight.aws.network import NetworkCalls
from sidelight.aws.sts import account as own_account
from sidelight.errors import UsageError
from sidelight.fleet.bootstrap import session_of
from sidelight.fleet.rate_limit.limiter import RateLimits, rate_for
from sidelight.fleet.rate_limit.slots import LocalRate
from sidelight.fleet.settings import Settings
from sidelight.reachability.answers.answers import Answers
from sidelight.report.progress import live

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.model.software import Problem

PATIENCE = 600.0  # seconds that a call waits for its slot: nobody else would retry it


def account_regions(
    settings: Settings, regions: Sequence[str]
) -> Iterator[tuple[str, str, NetworkCalls]]:
    """Yield the caller's account with each region, and its calls. Raises UsageError."""
    session = session_of(settings)
    named = list(dict.fromkeys(regions)) or [session.region]
    if not all(named):
        raise UsageError("no AWS region: use --region or set AWS_REGION")
    limits = _limits(settings)
    account = own_account(session, region=named[0])
    for region in named:
        pace = limits.pace(account, region)
        yield account, region, NetworkCalls(session, "", region, pace=pace)


def collect(settings: Settings, regions: Sequence[str]) -> Answers:
    """Read the network of the caller's account in these regions from AWS."""
    lists: dict[tuple[str, str], dict[str, list[Any]]] = {}
    problems: list[Problem] = []
    with live("reading the network") as line:
        for account, region, calls in account_regions(settings, regions):
            line.text = f"reading the network of {account}/{region}"
            lists[account, region] = calls.collect()
            problems += calls.problems
    return Answers(lists, problems)


def _limits(settings: Settings) -> RateLimits:
    patient = settings.replaced(patience_seconds=PATIENCE)
    # Without the Redis of a fleet, the limits are this process's.
    shared = settings.rates.url or settings.broker.url != Settings().broker.url
    return RateLimits(patient, rate_for(settings, logging.INFO) if shared else LocalRate())
