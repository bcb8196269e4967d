"""Entries of accounts and Regions that could not be listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from sidelight.model import Coverage
from sidelight.store import UnreachedTarget, is_target

if TYPE_CHECKING:
    from sidelight.store import Store
    from tests.fakes.clocks import Clock

ONE, TWO = "111111111111", "222222222222"


def entry(
    account: str, instance: str, region: str = "", reason: str = "INTERNAL_ERROR"
) -> Coverage:
    return Coverage(account, region, instance, "", "INACTIVE", reason, f"of {instance}")


def names(found: list[UnreachedTarget]) -> list[tuple[str, str]]:
    return [(item.account, item.region) for item in found]


def filled(store: Store) -> None:
    store.instances.cover([
        entry(TWO, "*"), entry(ONE, "eu-west-1:*", "eu-west-1"), entry(ONE, "i-1", "eu-west-1"),
        entry(ONE, "us-east-1:*", "us-east-1"),
    ])  # fmt: skip


def test_targets_are_those_that_are_no_machine(store: Store) -> None:
    filled(store)
    targets = store.unreached_targets
    assert names(targets.all()) == [(ONE, "eu-west-1"), (ONE, "us-east-1"), (TWO, "")]
    assert names(targets.all([ONE])) == [(ONE, "eu-west-1"), (ONE, "us-east-1")]
    # A whole account has instances in each Region, for all that is known.
    assert names(targets.all(region="us-east-1")) == [(ONE, "us-east-1"), (TWO, "")]
    assert targets.all([]) == []
    assert [is_target(name) for name in ("*", "eu-west-1:*", "i-1")] == [True, True, False]


def test_the_same_reason_goes_on_and_another_begins(store: Store, clock: Clock) -> None:
    store.instances.cover([entry(ONE, "*")])
    (first,) = store.unreached_targets.all()
    clock.advance(60)
    store.instances.cover([entry(ONE, "*")])
    (again,) = store.unreached_targets.all()
    assert again.since == first.since
    assert again.tried_at > first.tried_at
    clock.advance(60)
    store.instances.cover([entry(ONE, "*", reason="ACCESS_DENIED")])
    (other,) = store.unreached_targets.all()
    assert other.since == other.tried_at


def test_accounts_that_are_not_the_fleet_s_any_more_are_forgotten(store: Store) -> None:
    filled(store)
    store.unreached_targets.keep_accounts([ONE])
    assert names(store.unreached_targets.all()) == [(ONE, "eu-west-1"), (ONE, "us-east-1")]
    store.unreached_targets.keep_accounts([])
    assert store.unreached_targets.all() == []
    assert [row.instance for row in store.instances.coverage()] == ["i-1"]


def test_a_failure_keeps_its_beginning_until_it_is_over(store: Store, clock: Clock) -> None:
    targets = store.unreached_targets
    assert targets.failure() is None
    targets.note_failure("first")
    begun = targets.failure()
    clock.advance(60)
    targets.note_failure("second")
    failure = targets.failure()
    assert begun is not None
    assert failure is not None
    assert (failure.error, failure.since) == ("second", begun.since)
    assert failure.tried_at > begun.tried_at
    targets.clear_failure()
    assert targets.failure() is None


def test_machines_are_not_read_to_find_targets(store: Store) -> None:
    """By SQLite's own plan; PostgreSQL would read a table as small as this one whole."""
    if not store.where.startswith("sqlite"):
        pytest.skip("the plan is SQLite's")
    filled(store)
    query = "EXPLAIN QUERY PLAN SELECT account FROM coverage WHERE instance LIKE '%*'"
    with store._database.read() as connection:
        plan = " ".join(str(row) for row in connection.execute(text(query)))
    assert "ix_coverage_targets" in plan
