"""A fleet of which only a part is known says so on each page of what machines have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.fleet_counter import FleetCounter
from sidelight.model import Coverage, Role
from tests.fakes.clocks import START
from tests.fixtures.console_rig import ConsoleRig, person, text_of
from tests.fixtures.searched_findings import ACCOUNTS

if TYPE_CHECKING:
    from sidelight.store import Store

PAGES = ("/findings", "/findings?group=package", "/packages?q=ssl", "/plan", "/network")
BEGINNING = "Of the instances "


def covered(store: Store, *reasons: tuple[str, str, str]) -> ConsoleRig:
    """A fleet of instances with these accounts, status codes and reasons."""
    store.instances.cover(
        [Coverage(account, "eu-west-1", f"i-{number}", "", code, reason, scanned_at=START)
         for number, (account, code, reason) in enumerate(reasons)]
    )  # fmt: skip
    FleetCounter(store).run()
    return ConsoleRig(store)


@pytest.mark.parametrize("page", PAGES)
def test_each_page_says_what_is_missing(store: Store, page: str) -> None:
    rig = covered(
        store,
        (ACCOUNTS[0], "ACTIVE", "PARTIAL"),
        (ACCOUNTS[0], "ACTIVE", "SUCCESSFUL"),
        (ACCOUNTS[1], "INACTIVE", "ACCESS_DENIED"),
        (ACCOUNTS[1], "INACTIVE", "UNSUPPORTED_OS"),
        (ACCOUNTS[1], "INACTIVE", "RESOURCE_TERMINATED"),
        (ACCOUNTS[1], "ACTIVE", "PENDING_INITIAL_SCAN"),
    )
    text = text_of(rig.get(page, person()))
    assert (
        f"{BEGINNING}1 is read in part, 2 are not scanned, 1 is in accounts that do not answer:"
        in text
    )
    own = text_of(rig.get(page, person(Role.READER, frozenset(), ACCOUNTS[0], "bob")))
    assert f"{BEGINNING}1 is read in part: what" in own


@pytest.mark.parametrize("page", PAGES)
def test_a_whole_fleet_lacks_nothing(store: Store, page: str) -> None:
    rig = covered(store, (ACCOUNTS[0], "ACTIVE", "SUCCESSFUL"),
                  (ACCOUNTS[0], "INACTIVE", "RESOURCE_TERMINATED"))  # fmt: skip
    assert BEGINNING not in text_of(rig.get(page, person()))
