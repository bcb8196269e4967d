"""Enabling and disabling accounts on the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.services.configuration import MOST_ACCOUNTS
from sidelight.model import AccountStatus, Instance, Role
from tests.fixtures.console_rig import ACCOUNT, ConsoleRig, header, person, text_of

if TYPE_CHECKING:
    from sidelight.store import Store

MEMBER, UNKNOWN = "222222222222", "999999999999"
ORGANIZATION = "o-exampleorgid"


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    """Two accounts with an instance each."""
    for account in (ACCOUNT, MEMBER):
        machine = Instance(f"i-{account:0>17}", account, "eu-west-1", "running", ())
        store.instances.discovered(account, "eu-west-1", [machine])
    return ConsoleRig(store)


def status(rig: ConsoleRig, account: str = ACCOUNT) -> AccountStatus:
    return rig.services.configuration.effective([account])[0].status


def disabled(rig: ConsoleRig, account: str = ACCOUNT) -> None:
    from dispatcher.planning.configuration_rules import disabled as ended

    rig.services.configuration.begin_disable([account])
    rig.store.configurations.change(account, ended)


def organization(rig: ConsoleRig) -> None:
    service = rig.services.configuration
    written = service.configure_organization(ORGANIZATION, administrator=ACCOUNT)
    service.associate(written, MEMBER)


def test_disabling_says_what_it_will_do_and_changes_nothing(rig: ConsoleRig) -> None:
    page = text_of(rig.get(f"/settings/disable?key={ACCOUNT}&key={MEMBER}", person()))
    assert "2 instances are not scanned any more" in page
    assert "deleted 24 hours from now" in page
    assert "Disable 2 accounts" in page
    assert status(rig) is AccountStatus.ENABLED


def test_a_confirmed_disabling_begins_and_is_in_the_audit_log(rig: ConsoleRig) -> None:
    answer = rig.post("/settings/disable", {"key": [ACCOUNT]}, person())
    assert (answer.status, header(answer, "Location")) == (303, "/settings")
    assert status(rig) is AccountStatus.PENDING_DISABLE
    assert status(rig, MEMBER) is AccountStatus.ENABLED
    (record,) = rig.store.audit_log.newest(10)
    assert (record.operation, record.outcome) == ("DisableAccounts", "OK")
    assert ACCOUNT in record.detail


def test_a_disabled_account_is_enabled(rig: ConsoleRig) -> None:
    disabled(rig)
    assert "Enable 1 account" in text_of(rig.get(f"/settings/enable?key={ACCOUNT}", person()))
    assert rig.post("/settings/enable", {"key": ACCOUNT}, person()).status == 303
    assert status(rig) is AccountStatus.ENABLED


def test_an_account_whose_disabling_has_not_ended_is_not_enabled(rig: ConsoleRig) -> None:
    rig.services.configuration.begin_disable([ACCOUNT])
    page = text_of(rig.get(f"/settings/enable?key={ACCOUNT}", person()))
    assert "Nothing changes." in page
    assert "its disabling has not ended yet" in page
    assert rig.post("/settings/enable", {"key": ACCOUNT}, person()).status == 409
    assert status(rig) is AccountStatus.PENDING_DISABLE


def test_a_member_does_not_disable_itself(rig: ConsoleRig) -> None:
    organization(rig)
    who = person(Role.ADMINISTRATOR, frozenset(), MEMBER, "member")
    page = text_of(rig.get(f"/settings/disable?key={MEMBER}", who))
    assert "not authorized to disable itself" in page
    assert '<button class="danger"' not in page
    assert rig.post("/settings/disable", {"key": MEMBER}, who).status == 409
    assert status(rig, MEMBER) is AccountStatus.ENABLED


def test_an_administrator_with_members_stays_enabled(rig: ConsoleRig) -> None:
    organization(rig)
    page = text_of(rig.get(f"/settings/disable?key={ACCOUNT}", person()))
    assert "disassociate the members" in page
    answer = rig.post("/settings/disable", {"key": [ACCOUNT, MEMBER]}, person())
    assert answer.status == 303
    assert status(rig) is AccountStatus.ENABLED
    assert status(rig, MEMBER) is AccountStatus.PENDING_DISABLE


@pytest.mark.parametrize("verb", ["enable", "disable"])
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], 404),
        ([UNKNOWN], 404),
        ([ACCOUNT, UNKNOWN], 404),
        (['"><script>', "\u202e", "\0", "\udcff"], 404),
        ([f"{number:012}" for number in range(MOST_ACCOUNTS + 1)], 400),
    ],
)
def test_other_accounts_are_refused(
    rig: ConsoleRig, verb: str, keys: list[str], expected: int
) -> None:
    assert rig.post(f"/settings/{verb}", {"key": keys}, person()).status == expected
    assert status(rig) is AccountStatus.ENABLED


def test_an_account_out_of_sight_is_as_if_there_were_none(rig: ConsoleRig) -> None:
    who = person(Role.ADMINISTRATOR, frozenset(), MEMBER, "member")
    assert rig.get(f"/settings/disable?key={ACCOUNT}", who).status == 404
    assert rig.post("/settings/disable", {"key": ACCOUNT}, who).status == 404
    assert status(rig) is AccountStatus.ENABLED


def test_a_form_of_another_session_or_site_changes_nothing(rig: ConsoleRig) -> None:
    form = {"key": ACCOUNT}
    assert rig.post("/settings/disable", form, person(), token="").status == 403
    answer = rig.post("/settings/disable", form, person(), origin="https://other.example")
    assert answer.status == 403
    assert status(rig) is AccountStatus.ENABLED


def test_only_administrators_have_the_choice(rig: ConsoleRig) -> None:
    for path in ("/settings", f"/settings/accounts/{ACCOUNT}"):
        assert "isable…" in text_of(rig.get(path, person()))
        assert "isable…" not in text_of(rig.get(path, person(Role.OPERATOR, name="bob")))


def test_an_accounts_page_names_who_changed_it_last(rig: ConsoleRig) -> None:
    path = f"/settings/accounts/{MEMBER}"
    form = {"mode": "EC2_HYBRID", "deep": "on", "tag": "NoScan", "paths": ""}
    assert "(ConfigureAccount, " not in text_of(rig.get(path, person()))
    bob = person(name="bob", account=UNKNOWN)
    assert rig.post(path, form, bob).status == 303
    assert rig.post(f"/settings/accounts/{ACCOUNT}", form, person()).status == 303
    assert '<bdi class="clip">bob</bdi> (ConfigureAccount, ' in text_of(rig.get(path, person()))
    # Who may not read the audit log, or sees no one of bob's account, is not shown him.
    for who in (
        person(Role.OPERATOR, name="eve"),
        person(accounts=frozenset(), account=MEMBER, name="dave"),
    ):
        page = text_of(rig.get(path, who))
        assert "NoScan" in page
        assert "bob" not in page


def test_an_accounts_page_has_its_cap_and_its_organization(rig: ConsoleRig) -> None:
    organization(rig)
    page = text_of(rig.get(f"/settings/accounts/{ACCOUNT}", person()))
    assert "$25.00 a day" in page
    assert f'<dt>Administers</dt><dd><bdi class="wrap">{ORGANIZATION}</bdi>' in page
    page = text_of(rig.get(f"/settings/accounts/{MEMBER}", person()))
    assert "administered by" in page
    assert ACCOUNT in page
