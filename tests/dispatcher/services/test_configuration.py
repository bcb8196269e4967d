"""The configuration service: what may be set, by whom, and that it reads back at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.services.configuration import ConfigurationService
from sidelight.errors import UsageError
from sidelight.model import AccountStatus, Ec2ScanMode, Instance
from sidelight.store import Store
from tests.fixtures.store_templates import lay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMINISTRATOR, WEB, DATA = "111111111111", "222222222222", "333333333333"
ORGANIZATION = "o-exampleorgid"
NOTHING = ConfigurationChange()
BY_AGENT = ConfigurationChange(mode=Ec2ScanMode.AGENT_BASED)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/store.db"
    lay(url)
    with Store(url) as store:
        yield store


@pytest.fixture
def service(store: Store) -> ConfigurationService:
    return ConfigurationService(store, agent_based=True)


def mode_of(service: ConfigurationService, account: str) -> tuple[Ec2ScanMode, bool]:
    (held,) = service.effective([account])
    return held.mode, "mode" in held.inherited


def test_what_is_set_is_what_reads_back(service: ConfigurationService) -> None:
    (before,) = service.effective([WEB])
    assert (before.status, before.configured) == (AccountStatus.ENABLED, False)
    change = ConfigurationChange(
        mode=Ec2ScanMode.AGENT_BASED, deep_inspection=False, exclusion_tag="NoScan",
        package_paths=("/opt/app",),
    )  # fmt: skip
    (written,) = service.enable([WEB], change).accounts
    assert service.effective([WEB]) == [written]
    assert (written.mode, written.deep_inspection) == (Ec2ScanMode.AGENT_BASED, False)
    assert (written.exclusion_tag, written.package_paths) == ("NoScan", ("/opt/app",))
    (cleared,) = service.configure([WEB], ConfigurationChange(package_paths=())).accounts
    assert (cleared.package_paths, cleared.mode) == ((), Ec2ScanMode.AGENT_BASED)


def test_members_follow_their_administrator_until_they_are_set_and_after_a_reset(
    service: ConfigurationService,
) -> None:
    written = service.configure_organization(
        ORGANIZATION, administrator=ADMINISTRATOR, auto_enable=True, package_paths=("/org",)
    )
    assert service.join(written, [WEB, DATA, WEB]) == [WEB, DATA]
    assert service.members(ORGANIZATION) == [ADMINISTRATOR, WEB, DATA]
    service.configure([ADMINISTRATOR], BY_AGENT)
    assert mode_of(service, WEB) == (Ec2ScanMode.AGENT_BASED, True)
    assert mode_of(service, ADMINISTRATOR) == (Ec2ScanMode.AGENT_BASED, False)
    service.configure([WEB], ConfigurationChange(mode=Ec2ScanMode.HYBRID))
    assert mode_of(service, WEB) == (Ec2ScanMode.HYBRID, False)
    assert mode_of(service, DATA) == (Ec2ScanMode.AGENT_BASED, True)
    service.reset([WEB])
    assert mode_of(service, WEB) == (Ec2ScanMode.AGENT_BASED, True)
    assert service.effective([WEB])[0].package_paths == ("/org",)
    service.remove_organization(ORGANIZATION)
    assert mode_of(service, WEB) == (Ec2ScanMode.HYBRID, False)
    with pytest.raises(UsageError, match="no such organization"):
        service.members(ORGANIZATION)


def test_members_follow_the_delegated_administrator_that_takes_over(
    service: ConfigurationService,
) -> None:
    written = service.configure_organization(
        ORGANIZATION, administrator=ADMINISTRATOR, auto_enable=True
    )
    service.join(written, [WEB, DATA])
    service.configure([ADMINISTRATOR], BY_AGENT)
    service.configure([DATA], ConfigurationChange(deep_inspection=False))
    assert mode_of(service, WEB) == (Ec2ScanMode.AGENT_BASED, True)

    service.configure_organization(ORGANIZATION, administrator=DATA)

    assert mode_of(service, WEB) == (Ec2ScanMode.HYBRID, False)
    (web,) = service.effective([WEB])
    assert not web.deep_inspection
    assert web.inherited == {"deep_inspection"}
    assert mode_of(service, ADMINISTRATOR) == (Ec2ScanMode.AGENT_BASED, False), "set for itself"
    assert service.members(ORGANIZATION) == [ADMINISTRATOR, WEB, DATA]
    refused = service.configure([WEB], BY_AGENT, actor=ADMINISTRATOR)
    assert [item.code for item in refused.failed] == ["ACCESS_DENIED"]
    assert service.configure([WEB], BY_AGENT, actor=DATA).failed == ()


def test_a_new_account_is_enabled_by_auto_enable_or_as_it_was_scanned_already(
    service: ConfigurationService, store: Store
) -> None:
    store.instances.discovered(WEB, "eu-west-1", [Instance("i-1", WEB, "eu-west-1", "running", ())])
    written = service.configure_organization(ORGANIZATION, administrator=ADMINISTRATOR)
    service.join(written, [WEB, DATA])
    assert {
        held.account: held.status for held in service.effective([ADMINISTRATOR, WEB, DATA])
    } == {
        ADMINISTRATOR: AccountStatus.ENABLED,
        WEB: AccountStatus.ENABLED,
        DATA: AccountStatus.DISABLED,
    }
    assert service.known_accounts() == [ADMINISTRATOR, WEB, DATA]


def test_only_the_administrator_changes_another_account_and_no_member_disables_itself(
    service: ConfigurationService,
) -> None:
    written = service.configure_organization(
        ORGANIZATION, administrator=ADMINISTRATOR, auto_enable=True
    )
    service.join(written, [WEB])
    for actor, accounts in ((WEB, [DATA]), (DATA, [WEB])):
        (refused,) = service.configure(accounts, BY_AGENT, actor=actor).failed
        assert refused.code == "ACCESS_DENIED"
        assert "not the delegated administrator" in refused.message
    (refused,) = service.begin_disable([WEB], actor=WEB).failed
    assert "not authorized to disable itself" in refused.message
    assert service.configure([WEB], BY_AGENT, actor=WEB).failed == ()
    done = service.begin_disable([WEB], actor=ADMINISTRATOR)
    assert [held.status for held in done.accounts] == [AccountStatus.PENDING_DISABLE]
    assert service.begin_disable([DATA], actor=DATA).failed == (), "an account of its own may"


def test_one_account_s_refusal_stops_no_other(service: ConfigurationService) -> None:
    service.begin_disable([WEB])
    done = service.enable([WEB, DATA, DATA], NOTHING)
    assert [held.account for held in done.accounts] == [DATA]
    assert [(item.account, item.code) for item in done.failed] == [(WEB, "DISABLE_IN_PROGRESS")]


@pytest.mark.parametrize("accounts", [["12"], [WEB, "x" * 12], [f"{n:012}" for n in range(101)]])
def test_a_request_that_is_not_valid_changes_no_account(
    service: ConfigurationService, accounts: list[str]
) -> None:
    with pytest.raises(UsageError):
        service.enable(accounts, BY_AGENT)
    assert service.known_accounts() == []


def test_agent_based_mode_is_refused_where_no_agent_s_inventory_is_collected(store: Store) -> None:
    service = ConfigurationService(store, agent_based=False)
    with pytest.raises(UsageError, match="no instance would be scanned"):
        service.configure([WEB], BY_AGENT)
    service.enable([WEB], ConfigurationChange(mode=Ec2ScanMode.HYBRID))
    assert mode_of(service, WEB) == (Ec2ScanMode.HYBRID, False)


@pytest.mark.parametrize(
    "name", ["", "o-", "exampleorgid", "o-short", "o-EXAMPLEORGID", "o-a b" * 5]
)
def test_an_organization_s_id_is_checked(service: ConfigurationService, name: str) -> None:
    with pytest.raises(UsageError, match="o-exampleorgid"):
        service.configure_organization(name, administrator=ADMINISTRATOR)


def test_an_organization_needs_an_administrator_first(service: ConfigurationService) -> None:
    with pytest.raises(UsageError, match="administrator"):
        service.configure_organization(ORGANIZATION, auto_enable=True)


def test_an_organization_has_more_paths_where_the_deployment_allows_it(store: Store) -> None:
    paths = tuple(f"/opt/{number}" for number in range(10))
    with pytest.raises(UsageError, match="10 paths, and at most 5"):
        ConfigurationService(store, agent_based=True).configure_organization(
            ORGANIZATION, administrator=ADMINISTRATOR, package_paths=paths
        )
    service = ConfigurationService(store, agent_based=True, organization_paths=10)
    written = service.configure_organization(
        ORGANIZATION, administrator=ADMINISTRATOR, package_paths=paths
    )
    assert written.package_paths == paths
