"""Members of organizations, and whether accounts that join are scanned, on the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.model import AccountStatus, Instance, Principal, Role
from tests.fixtures.console_rig import ACCOUNT, ConsoleRig, header, person, text_of

if TYPE_CHECKING:
    from sidelight.model import OrganizationConfiguration
    from sidelight.store import Store

MEMBER, NEW, OTHER = "222222222222", "333333333333", "444444444444"
ORGANIZATION = "o-exampleorgid"
PATH = f"/settings/organizations/{ORGANIZATION}"
CHANGES = [
    ("associate", {"account": NEW}, "AssociateMember"),
    ("disassociate", {"key": MEMBER}, "DisassociateMember"),
    ("auto-enable", {"auto": "on"}, "UpdateOrganizationConfiguration"),
]


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    """An organization with an administrator and a member, which has an instance."""
    machine = Instance("i-1", MEMBER, "eu-west-1", "running", ())
    store.instances.discovered(MEMBER, "eu-west-1", [machine])
    rig = ConsoleRig(store)
    service = rig.services.configuration
    written = service.configure_organization(ORGANIZATION, administrator=ACCOUNT)
    service.associate(written, MEMBER)
    return rig


def members(rig: ConsoleRig) -> list[str]:
    return rig.services.configuration.members(ORGANIZATION)


def administrator() -> Principal:
    """Somebody of the delegated administrator's account, who sees its members alone."""
    return person(Role.ADMINISTRATOR, frozenset(), ACCOUNT, "delegate")


def state(rig: ConsoleRig) -> tuple[list[str], bool]:
    """What the changes change."""
    (organization,) = rig.store.configurations.organizations()
    return members(rig), organization.auto_enable


def test_an_organization_has_its_members_and_their_status(rig: ConsoleRig) -> None:
    listed = text_of(rig.get("/settings/organizations", person(Role.READER)))
    assert ORGANIZATION in listed
    assert "are not enabled" in listed
    page = text_of(rig.get(PATH, person(Role.READER)))
    assert "2 accounts are members." in page
    assert MEMBER in page
    assert "Administrator" in page


@pytest.mark.parametrize(("verb", "form", "operation"), CHANGES)
@pytest.mark.parametrize("who", [person(), administrator()])
def test_a_change_is_shown_and_then_made_and_is_in_the_audit_log(
    rig: ConsoleRig, verb: str, form: dict[str, str], operation: str, who: Principal
) -> None:
    if verb == "associate":  # an account that the delegated administrator may choose
        rig.services.configuration.associate(_organization(rig), NEW)
        rig.services.configuration.disassociate(_organization(rig), NEW)
    before = state(rig)
    query = "&".join(f"{name}={value}" for name, value in form.items())
    page = text_of(rig.get(f"{PATH}/{verb}?{query}", who))
    assert "What this will do" in page
    assert state(rig) == before
    answer = rig.post(f"{PATH}/{verb}", form, who)
    assert (answer.status, header(answer, "Location")) == (303, PATH)
    assert state(rig) != before
    (record,) = rig.store.audit_log.newest(1)
    assert (record.operation, record.outcome, record.principal) == (operation, "OK", who.name)
    # And it is so already.
    if verb != "disassociate":
        assert "Nothing changes" in text_of(rig.get(f"{PATH}/{verb}?{query}", who))


def _organization(rig: ConsoleRig) -> OrganizationConfiguration:
    (organization,) = rig.store.configurations.organizations()
    return organization


@pytest.mark.parametrize(("verb", "form", "_operation"), CHANGES)
@pytest.mark.parametrize(
    "who",
    [person(Role.READER, name="r"), person(Role.OPERATOR, name="o"),
     person(Role.ADMINISTRATOR, frozenset(), MEMBER, "m"),
     person(Role.ADMINISTRATOR, frozenset(), OTHER, "x")],
)  # fmt: skip
def test_nobody_else_changes_members(
    rig: ConsoleRig, verb: str, form: dict[str, str], _operation: str, who: Principal
) -> None:
    before = state(rig)
    query = "&".join(f"{name}={value}" for name, value in form.items())
    assert rig.get(f"{PATH}/{verb}?{query}", who).status in {403, 404}
    assert rig.post(f"{PATH}/{verb}", form, who).status in {403, 404}
    assert state(rig) == before
    page = rig.get(PATH, who)
    assert page.status == (404 if who.accounts is not None else 200)
    assert "Associate…" not in text_of(page)


@pytest.mark.parametrize(("verb", "form", "_operation"), CHANGES)
def test_a_form_of_another_session_or_site_changes_nothing(
    rig: ConsoleRig, verb: str, form: dict[str, str], _operation: str
) -> None:
    before = state(rig)
    assert rig.post(f"{PATH}/{verb}", form, person(), token="").status == 403
    answer = rig.post(f"{PATH}/{verb}", form, person(), origin="https://other.example")
    assert answer.status == 403
    assert state(rig) == before


@pytest.mark.parametrize(
    ("verb", "form", "status"),
    [
        ("associate", {"account": "12"}, 400),
        ("associate", {"account": '"><script>\u202e'}, 400),
        ("associate", {"account": OTHER}, 409),  # of another organization
        ("disassociate", {"key": ACCOUNT}, 409),  # the administrator itself
        ("disassociate", {"key": NEW}, 409),
        ("disassociate", {"key": [MEMBER, NEW]}, 409),  # none of them, then
        ("disassociate", {}, 404),
        ("disassociate", {"key": [f"{number:012}" for number in range(101)]}, 400),
        ("auto-enable", {"auto": "perhaps"}, 400),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(
    rig: ConsoleRig, verb: str, form: dict[str, str], status: int
) -> None:
    service = rig.services.configuration
    service.configure_organization("o-anotherone1", administrator=OTHER)
    before = members(rig)
    answer = rig.post(f"{PATH}/{verb}", form, person())
    assert answer.status == status
    assert "<script>\u202e" not in text_of(answer)
    assert members(rig) == before


def test_a_delegated_administrator_does_not_choose_any_account(rig: ConsoleRig) -> None:
    assert rig.get(f"{PATH}/associate?account={NEW}", administrator()).status == 409
    assert rig.post(f"{PATH}/associate", {"account": NEW}, administrator()).status == 409
    assert NEW not in members(rig)


@pytest.mark.parametrize(("auto", "status"), [(True, AccountStatus.ENABLED),
                                              (False, AccountStatus.DISABLED)])  # fmt: skip
def test_what_is_said_of_a_new_account_s_scanning_is_what_happens(
    rig: ConsoleRig, *, auto: bool, status: AccountStatus
) -> None:
    rig.services.configuration.configure_organization(ORGANIZATION, auto_enable=auto)
    page = text_of(rig.get(f"{PATH}/associate?account={NEW}", person()))
    assert ("It is not scanned until somebody enables it" in page) is not auto
    assert rig.post(f"{PATH}/associate", {"account": NEW}, person()).status == 303
    assert rig.services.configuration.effective([NEW])[0].status is status
