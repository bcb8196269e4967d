"""Configurations as they were set: read back at once, changed one after the other."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from sidelight.errors import StoreError, UsageError
from sidelight.model import (
    AccountConfiguration,
    AccountStatus,
    Ec2ScanMode,
    OrganizationConfiguration,
)

if TYPE_CHECKING:
    from sidelight.store import Store
    from tests.fakes.clocks import Clock

A, B = "111111111111", "222222222222"
FULL = AccountConfiguration(
    A, "o-abc", AccountStatus.PENDING_DISABLE, Ec2ScanMode.AGENT_BASED, deep_inspection=False,
    exclusion_tag="NoScan", package_paths=("/opt/a", "/opt/b b"),
)  # fmt: skip


def test_what_was_set_reads_back_at_once_and_nothing_is_known_before(
    store: Store, clock: Clock
) -> None:
    assert store.configurations.account(A) is None
    assert store.configurations.accounts() == []
    written = store.configurations.change(A, lambda _: replace(FULL, disabled_at=clock()))
    assert written == replace(FULL, disabled_at=clock(), updated_at=clock())
    assert store.configurations.account(A) == written
    store.configurations.change(B, lambda _: AccountConfiguration(B))
    assert [row.account for row in store.configurations.accounts()] == [A, B]
    assert [row.account for row in store.configurations.accounts([B, "3"])] == [B]


def test_a_change_that_is_refused_changes_nothing(store: Store) -> None:
    store.configurations.change(A, lambda _: FULL)

    def refuse(_: object) -> AccountConfiguration:
        raise UsageError("no")

    with pytest.raises(UsageError):
        store.configurations.change(A, refuse)
    kept = store.configurations.change(A, lambda _: None)
    assert kept is not None
    assert kept == store.configurations.account(A)


def test_changes_at_the_same_time_are_applied_one_after_the_other(store: Store) -> None:
    store.configurations.change(A, lambda _: AccountConfiguration(A))

    def add(number: int) -> None:
        def apply(own: AccountConfiguration | None) -> AccountConfiguration:
            assert own is not None
            return replace(own, package_paths=(*own.package_paths, f"/{number}"))

        store.configurations.change(A, apply)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = store.configurations.account(A)
    assert written is not None
    assert sorted(written.package_paths) == [f"/{number}" for number in range(8)]


def test_an_organization_that_is_removed_leaves_its_members_their_own(store: Store) -> None:
    organization = OrganizationConfiguration("o-abc", B, auto_enable=True, package_paths=("/x",))
    written = store.configurations.change_organization("o-abc", lambda _: organization)
    assert store.configurations.organization("o-abc") == written
    assert [row.administrator for row in store.configurations.organizations()] == [B]
    store.configurations.change(A, lambda _: FULL)
    assert store.configurations.remove_organization("o-abc")
    assert not store.configurations.remove_organization("o-abc")
    left = store.configurations.account(A)
    assert left is not None
    assert (left.organization, left.mode) == ("", Ec2ScanMode.AGENT_BASED)


@pytest.mark.parametrize(
    ("column", "value"), [("mode", "EC2_NONE"), ("status", "?"), ("package_paths", "{")]
)
def test_a_damaged_row_is_a_store_error(store: Store, column: str, value: str) -> None:
    store.configurations.change(A, lambda _: FULL)
    with store._database.write() as connection:
        statement = f"UPDATE account_configurations SET {column} = :v"
        connection.execute(text(statement), {"v": value})
    with pytest.raises(StoreError, match="not a stored"):
        store.configurations.account(A)
