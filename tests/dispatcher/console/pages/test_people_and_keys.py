"""People and access keys on the console: created, changed, revoked and reactivated."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dispatcher.services.access_keys import Seal
from dispatcher.services.console_users import ConsoleUserService
from sidelight.fleet.settings import Settings
from sidelight.model import ConsoleUser, Principal, Role
from tests.fixtures.console_rig import ACCOUNT, ConsoleRig, header, person, text_of

if TYPE_CHECKING:
    from sidelight.store import Store

SEAL = "A" * 43 + "="
OTHER = "222222222222"
NEW = {"name": "bob", "role": "operator", "account": ACCOUNT, "scope": "own"}
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    return ConsoleRig(store, Settings.of(access_seal=SEAL))


def shown_once(html: str, label: str) -> str:
    found = re.search(rf'<dt>{label}</dt><dd><code class="wrap">([^<]{{1,100}})</code>', html)
    assert found is not None, html
    return found[1]


def test_a_new_key_has_its_secret_on_one_page_alone(rig: ConsoleRig, store: Store) -> None:
    answer = rig.post("/settings/keys", {**NEW, "scope": "some", "others": OTHER}, person())
    assert answer.status == 200
    assert header(answer, "Cache-Control") == "no-store"
    number = shown_once(text_of(answer), "AWS_ACCESS_KEY_ID")
    secret = shown_once(text_of(answer), "AWS_SECRET_ACCESS_KEY")
    key = store.access_keys.get(number)
    seal = Seal.of(SEAL)
    assert key is not None
    assert seal is not None
    assert seal.decrypt(key) == secret
    assert key.principal == Principal("bob", Role.OPERATOR, ACCOUNT, frozenset({OTHER}))
    assert secret not in text_of(rig.get("/settings/keys", person()))
    (record, *_) = store.audit_log.newest(1)
    assert (record.operation, record.outcome) == ("CreateAccessKey", "OK")
    assert secret not in record.detail
    assert "bob" in record.detail
    assert number in record.detail


def test_a_key_ends_after_its_days_and_is_revoked(rig: ConsoleRig, store: Store) -> None:
    rig.post("/settings/keys", {**NEW, "days": "30"}, person())
    (key,) = store.access_keys.all()
    assert key.expires_at is not None
    assert (key.expires_at - key.created_at).days == 30
    assert rig.post("/settings/keys/revoke", {"key": key.id}, person()).status == 303
    (key,) = store.access_keys.all()
    assert key.revoked_at is not None


def test_a_server_without_a_seal_says_so_and_creates_no_key(store: Store) -> None:
    rig = ConsoleRig(store)
    assert "SIDELIGHT_ACCESS_SEAL" in text_of(rig.get("/settings/keys", person()))
    assert rig.post("/settings/keys", NEW, person()).status == 400
    assert not store.access_keys.all()


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""}, {"name": "<b>"}, {"name": "x" * 65}, {"role": "root"}, {"role": ""},
        {"account": "1"}, {"account": "\u0661" * 12}, {"scope": "all"}, {"scope": ""},
        {"scope": "some"}, {"scope": "some", "others": "12"},
        {"scope": "some", "others": " ".join(f"{number:012}" for number in range(1200))},
    ],
    ids=range(12),
)  # fmt: skip
@pytest.mark.parametrize("path", ["/settings/keys", "/settings/people"])
def test_a_form_that_cannot_be_creates_nothing(
    rig: ConsoleRig, store: Store, path: str, change: dict[str, str]
) -> None:
    before = len(store.console_users.all())
    assert rig.post(path, {**NEW, **change}, person()).status == 400
    assert not store.access_keys.all()
    assert len(store.console_users.all()) <= before + 1  # alice, who asks


@pytest.mark.parametrize("days", ["0", "-1", "99999", "x", "²"])
def test_unusual_days_of_a_key_are_refused(rig: ConsoleRig, store: Store, days: str) -> None:
    assert rig.post("/settings/keys", {**NEW, "days": days}, person()).status == 400
    assert not store.access_keys.all()


@pytest.mark.parametrize("path", ["/settings/keys", "/settings/people"])
@pytest.mark.parametrize(
    "wider", [{"scope": "fleet"}, {"account": OTHER}, {"scope": "some", "others": OTHER}]
)
def test_nobody_gives_more_than_they_have(
    rig: ConsoleRig, store: Store, path: str, wider: dict[str, str]
) -> None:
    who = person(accounts=frozenset(), name="own-administrator")
    assert rig.post(path, {**NEW, **wider}, who).status == 404
    assert rig.post(path, NEW, who).status == 200
    assert not [key for key in store.access_keys.all() if key.principal.accounts is None]


def test_a_new_user_signs_in_with_the_password_that_was_shown(
    rig: ConsoleRig, store: Store
) -> None:
    answer = rig.post("/settings/people", {**NEW, "scope": "fleet"}, person())
    password = shown_once(text_of(answer), "Password")
    user = ConsoleUserService(store).checked("bob", password)
    assert user is not None
    assert user.principal == Principal("bob", Role.OPERATOR, ACCOUNT, None)
    assert rig.post("/settings/people", NEW, person()).status == 400  # the name is taken
    assert password not in " ".join(record.detail for record in store.audit_log.newest(5))


def test_role_and_scope_of_a_user_are_changed(rig: ConsoleRig, store: Store) -> None:
    rig.session(person(Role.READER, name="bob"))
    form = {"role": "administrator", "account": OTHER, "scope": "own"}
    assert rig.post("/settings/people/bob/rights", form, person()).status == 303
    user = store.console_users.get("bob")
    assert user is not None
    assert user.principal == Principal("bob", Role.ADMINISTRATOR, OTHER, frozenset())
    assert rig.get("/", person(Role.READER, name="bob")).status == 303  # the session ended


def test_a_reset_password_is_shown_once_and_ends_sessions(rig: ConsoleRig, store: Store) -> None:
    who = person(Role.READER, name="bob")
    rig.session(who)
    answer = rig.post("/settings/people/bob/password", {}, person())
    password = shown_once(text_of(answer), "Password")
    assert ConsoleUserService(store).checked("bob", password) is not None
    assert header(rig.get("/", who), "Location").startswith("/login")


def test_a_revoked_person_of_a_provider_is_reactivated(rig: ConsoleRig, store: Store) -> None:
    user = ConsoleUser(person(Role.READER, name="carol"), "", store.clock(), "https://id.example 7")
    store.console_users.put(user)
    assert rig.post("/settings/people/carol/revoke", {}, person()).status == 303
    assert "Reactivate" in text_of(rig.get("/settings/people/carol", person()))
    assert rig.post("/settings/people/carol/reactivate", {}, person()).status == 303
    assert store.console_users.get("carol") == user
    operations = [record.operation for record in store.audit_log.newest(2)]
    assert operations == ["ReactivateUser", "RevokeUser"]


def test_a_person_of_a_provider_gets_no_password_and_no_role_here(
    rig: ConsoleRig, store: Store
) -> None:
    user = ConsoleUser(person(Role.READER, name="carol"), "", store.clock(), "https://id.example 7")
    store.console_users.put(user)
    assert rig.post("/settings/people/carol/password", {}, person()).status == 400
    form = {"role": "administrator", "account": OTHER, "scope": "fleet"}
    assert rig.post("/settings/people/carol/rights", form, person()).status == 400
    assert store.console_users.get("carol") == user


@pytest.mark.parametrize("action", ["revoke", "password", "rights", "reactivate"])
def test_nobody_changes_themselves(rig: ConsoleRig, store: Store, action: str) -> None:
    form = {"role": "reader", "account": ACCOUNT, "scope": "own"}
    assert rig.post(f"/settings/people/alice/{action}", form, person()).status == 409
    user = store.console_users.get("alice")
    assert user is not None
    assert user.revoked_at is None
    assert user.principal == person()


def test_a_user_of_a_wider_scope_is_not_managed(rig: ConsoleRig) -> None:
    rig.session(person(Role.READER, name="fleet-reader"))
    who = person(accounts=frozenset(), name="own-administrator")
    for action in ("", "/revoke", "/password", "/rights", "/reactivate"):
        path = f"/settings/people/fleet-reader{action}"
        answer = rig.post(path, {}, who) if action else rig.get(path, who)
        assert answer.status == 404, action
    assert "fleet-reader" not in text_of(rig.get("/settings/people", who))


def test_a_person_changes_their_own_password(rig: ConsoleRig, store: Store) -> None:
    who = person(Role.READER, name="bob")
    service = ConsoleUserService(store)
    service.create(who, PASSWORD)
    user = store.console_users.get("bob")
    assert user is not None
    rig.sessions[who] = service.begin_session(user, "192.0.2.1")
    new = "another horse battery "
    form = {"old_password": PASSWORD, "new_password": new, "again_password": new}
    assert rig.post("/password", {**form, "old_password": "wrong"}, who).status == 400
    assert rig.post("/password", {**form, "again_password": "x"}, who).status == 400
    short = {**form, "new_password": "x", "again_password": "x"}
    assert rig.post("/password", short, who).status == 400
    assert service.checked("bob", PASSWORD) is not None
    answer = rig.post("/password", form, who)
    assert header(answer, "Location") == "/login"
    assert service.checked("bob", new) is not None
    assert service.checked("bob", PASSWORD) is None
    details = " ".join(record.detail for record in store.audit_log.newest(10))
    assert "horse" not in details


def test_a_reactivated_user_has_the_password_of_before(store: Store) -> None:
    service = ConsoleUserService(store)
    user = service.create(person(Role.READER, name="bob"), PASSWORD)
    service.revoke("bob")
    assert service.checked("bob", PASSWORD) is None
    assert service.reactivate("bob")
    assert not service.reactivate("bob")
    assert service.checked("bob", PASSWORD) == replace(user, revoked_at=None)
