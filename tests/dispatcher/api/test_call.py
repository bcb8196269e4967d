"""Whose data a call sees."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dispatcher.api.call import ApiServices, Call
from dispatcher.api.errors import AccessRefusedError
from dispatcher.api.pagination import Pages
from dispatcher.services.configuration import ConfigurationService
from sidelight.fleet.settings import Settings
from sidelight.model import Principal, Role

if TYPE_CHECKING:
    from sidelight.store import Store

ADMIN, MEMBER, OTHER = "111111111111", "222222222222", "333333333333"


@pytest.fixture
def services(store: Store) -> ApiServices:
    configuration = ConfigurationService(store, agent_based=True)
    organization = configuration.configure_organization("o-exampleorgid", administrator=ADMIN)
    configuration.join(organization, [MEMBER])
    return ApiServices(store, Settings.of(), configuration)


def _call(services: ApiServices, account: str, accounts: frozenset[str] | None) -> Call:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    principal = Principal("alice", Role.READER, account, accounts)
    return Call(principal, "eu-west-1", "id", now, services, Pages(bytes(32), b"", now))


def test_an_administrator_sees_its_members_and_a_member_itself(services: ApiServices) -> None:
    assert _call(services, ADMIN, frozenset()).visible_accounts() == frozenset({ADMIN, MEMBER})
    assert _call(services, MEMBER, frozenset()).visible_accounts() == frozenset({MEMBER})
    assert _call(services, OTHER, frozenset({MEMBER})).visible_accounts() == frozenset(
        {OTHER, MEMBER}
    )


def test_a_principal_without_account_scope_sees_every_account(services: ApiServices) -> None:
    call = _call(services, OTHER, None)
    assert call.visible_accounts() is None
    call.check_visible("999999999999")


def test_an_account_beyond_the_scope_is_refused(services: ApiServices) -> None:
    with pytest.raises(AccessRefusedError, match=OTHER):
        _call(services, MEMBER, frozenset()).check_visible(OTHER)
