"""The default rates, and what an account's quotas change of them."""

from __future__ import annotations

from sidelight.errors import StoreError
from sidelight.fleet.rate_limit.limiter import RateLimits
from sidelight.fleet.rate_limit.slots import LocalRate
from sidelight.fleet.settings import Settings
from sidelight.localcloud.rates import RATES
from sidelight.store import AccountRegionLimits


def test_a_raised_quota_raises_the_default_rates_and_no_other() -> None:
    requests: list[tuple[str, str]] = []
    now = [0.0]

    def quotas(account: str, region: str) -> AccountRegionLimits:
        requests.append((account, region))
        return AccountRegionLimits(get_quota=5000.0, list_quota=100.0)

    def limits(settings: Settings) -> RateLimits:
        return RateLimits(
            settings, LocalRate(lambda: 9.0), lambda _: None, lambda: now[0], quotas=quotas
        )

    budget = limits(Settings())
    assert budget.ceiling("1", "r", "get") == 4500
    assert budget.ceiling("1", "r", "list") == 80
    assert budget.ceiling("1", "r", "create") == Settings().rates.create_per_second
    assert requests == [("1", "r")], "remembered for a while"
    now[0] += 3600
    budget.ceiling("1", "r", "get")
    assert len(requests) == 2
    assert limits(Settings.of(get_per_second=100.0)).ceiling("1", "r", "get") == 100
    same = Settings.of(get_per_second=float(Settings().rates.get_per_second))
    assert limits(same).ceiling("1", "r", "get") == 900, "chosen, though it is the default's number"
    chosen = Settings.from_environment({"SIDELIGHT_GET_PER_SECOND": "900"})
    assert limits(chosen).ceiling("1", "r", "get") == 900
    workers = Settings.from_environment(Settings.of(attempts=7).as_environment())
    assert limits(workers).ceiling("1", "r", "get") == 4500, "of a process that a command started"
    workers = Settings.from_environment(chosen.as_environment())
    assert limits(workers).ceiling("1", "r", "get") == 900
    assert limits(Settings.of(get_per_second=0.0)).ceiling("1", "r", "get") == 0


def test_rates_of_shared_buckets_are_at_most_half_of_what_aws_refills() -> None:
    """So that the customer's own tools always have as much as we."""
    refill = {rate.name: rate.refill for rate in RATES}
    defaults = Settings()
    assert defaults.rates.create_per_second <= refill["CreateSnapshots"] / 2
    assert defaults.rates.delete_per_second <= refill["changes"] / 2
    assert defaults.rates.describe_per_second <= refill["describes"] / 2


def test_a_store_that_does_not_answer_leaves_the_rates_of_the_settings() -> None:
    def quotas(_account: str, _region: str) -> AccountRegionLimits:
        raise StoreError("is locked")

    budget = RateLimits(Settings(), LocalRate(lambda: 9.0), quotas=quotas)
    assert budget.ceiling("1", "r", "get") == Settings().rates.get_per_second
