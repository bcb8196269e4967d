"""The describe answers that a command of `sidelight network` reads: of a dump, or of AWS."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from dispatcher.cli.fleet.options import settings_of
from sidelight.aws.network import NetworkCalls
from sidelight.aws.sts import account as own_account
from sidelight.errors import UsageError
from sidelight.fleet.bootstrap import session_of
from sidelight.fleet.rate_limit.limiter import RateLimits, rate_for
from sidelight.fleet.rate_limit.slots import LocalRate
from sidelight.reachability.answers import Answers
from sidelight.report.progress import live

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.fleet.settings import Settings
    from sidelight.model.software import Problem

PATIENCE = 600.0  # seconds that a call waits for its slot: nobody else would retry it
# Settings that name the Redis of a fleet's rate limits: without them the limits are this process's.
SHARED = ("SIDELIGHT_BROKER_URL", "SIDELIGHT_BUDGETS_URL")


def account_regions(regions: Sequence[str]) -> Iterator[tuple[str, str, NetworkCalls]]:
    """Yield the caller's account with each region, and its calls. Raises UsageError."""
    settings = settings_of({})
    session = session_of(settings)
    named = list(dict.fromkeys(regions)) or [session.region]
    if not all(named):
        raise UsageError("no AWS region: use --region or set AWS_REGION")
    limits = _limits(settings)
    account = own_account(session, region=named[0])
    for region in named:
        pace = limits.pace(account, region)
        yield account, region, NetworkCalls(session, "", region, pace=pace)


def collect(regions: Sequence[str]) -> Answers:
    """Read the network of the caller's account in these regions from AWS."""
    lists: dict[tuple[str, str], dict[str, list[Any]]] = {}
    problems: list[Problem] = []
    with live("reading the network") as line:
        for account, region, calls in account_regions(regions):
            line.text = f"reading the network of {account}/{region}"
            lists[account, region] = calls.collect()
            problems += calls.problems
    return Answers(lists, problems)


def _limits(settings: Settings) -> RateLimits:
    patient = settings.replaced(patience_seconds=PATIENCE)
    shared = any(os.environ.get(name) for name in SHARED)
    return RateLimits(patient, rate_for(settings, logging.INFO) if shared else LocalRate())
