"""Sign-in by an identity provider: who gets in, and what gets nobody in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.console.application import ConsoleApplication
from dispatcher.services.console_users import ConsoleUserService
from dispatcher.services.oidc.provider_documents import ASKED_AGAIN
from sidelight.download.small_answers import SmallAnswerClient
from sidelight.model import Principal, Role
from tests.fakes.identity_provider import (
    CLIENT,
    EC,
    ISSUER,
    RSA,
    STRANGER,
    FakeIdentityProvider,
    signed,
    signed_by_public_key,
    unsigned,
)
from tests.fixtures.console_rig import ConsoleRig, header, person, text_of
from tests.fixtures.oidc_browsers import ACCOUNT, OTHER, Browser, is_out, oidc_settings, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.store import Store
    from tests.fakes.clocks import Clock


@pytest.fixture
def fake(store: Store) -> FakeIdentityProvider:
    return FakeIdentityProvider(lambda: store.clock().timestamp())


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    return ConsoleRig(store, oidc_settings())


@pytest.fixture
def browser(rig: ConsoleRig, fake: FakeIdentityProvider) -> Browser:
    return Browser(ConsoleApplication(rig.services, provider_calls=fake), fake)


def test_a_person_with_a_mapped_group_gets_in(browser: Browser, store: Store) -> None:
    answer = browser.sign_in("/findings?severity=HIGH")
    assert (answer.status, header(answer, "Location")) == (303, "/findings?severity=HIGH")
    cookies = [value for name, value in answer.headers if name == "Set-Cookie"]
    (session,) = [value for value in cookies if value.startswith("__Host-sidelight=")]
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(session.split("; "))
    assert set(browser.cookies) == {"__Host-sidelight"}, "the sign-in's own cookie is gone"
    assert "alice@example.org" in text_of(browser.get("/"))
    user = store.console_users.get("alice@example.org")
    assert user is not None
    assert user.principal == Principal("alice@example.org", Role.ADMINISTRATOR, ACCOUNT, None)
    assert (user.subject, user.password) == (f"{ISSUER} 00u1", "")
    (record,) = store.audit_log.newest(1)
    assert (record.operation, record.outcome, record.principal) == (
        "SignIn",
        "OK",
        user.principal.name,
    )
    assert f"{ISSUER} 00u1" in record.detail


def test_such_a_user_has_no_password(browser: Browser, rig: ConsoleRig) -> None:
    browser.sign_in()
    service = ConsoleUserService(rig.store)
    assert service.checked("alice@example.org", "") is None


def test_the_first_pair_of_the_mapping_holds(browser: Browser, store: Store) -> None:
    browser.fake.claims = {"groups": ["cn=web,ou=x", "unknown"]}
    assert browser.sign_in().status == 303
    user = store.console_users.get("alice@example.org")
    assert user is not None
    assert user.principal == Principal("alice@example.org", Role.READER, OTHER, frozenset())


@pytest.mark.parametrize("groups", [None, [], ["sales"], "sales", {"security": 1}, [["security"]]])
def test_nobody_gets_in_without_a_mapped_group(
    browser: Browser, store: Store, groups: object
) -> None:
    browser.fake.claims = {"groups": groups}
    refused(browser, browser.sign_in(), 403, "none of your groups has a role")
    assert store.console_users.all() == []
    (record,) = store.audit_log.newest(1)
    assert (record.principal, record.outcome) == ("alice@example.org", "AccessDeniedException")


def test_another_role_at_the_provider_ends_older_sessions(
    browser: Browser, rig: ConsoleRig, store: Store
) -> None:
    browser.sign_in()
    second = Browser(browser.application, browser.fake)
    assert second.sign_in().status == 303
    assert not is_out(browser), "the same role leaves other sessions"
    browser.fake.claims = {"groups": ["cn=web,ou=x"]}
    third = Browser(browser.application, browser.fake)
    assert third.sign_in().status == 303
    assert is_out(browser)
    assert not is_out(third)
    (user,) = store.console_users.all()
    assert user.principal.role is Role.READER
    assert rig.settings.oidc.issuer == ISSUER


def test_a_person_keeps_the_name_when_the_provider_changes_it(
    browser: Browser, store: Store
) -> None:
    browser.sign_in()
    browser.fake.claims = {"email": "alice.new@example.org"}
    assert browser.sign_in().status == 303
    assert [user.principal.name for user in store.console_users.all()] == ["alice@example.org"]


def test_a_name_of_another_user_is_not_taken_over(browser: Browser, rig: ConsoleRig) -> None:
    ConsoleUserService(rig.store).create(person(name="alice@example.org"), "correct horse battery")
    refused(browser, browser.sign_in(), 403, "another user of the console has the name")


def test_a_revoked_person_stays_out(browser: Browser, rig: ConsoleRig) -> None:
    browser.sign_in()
    assert ConsoleUserService(rig.store).revoke("alice@example.org")
    assert is_out(browser)
    refused(browser, browser.sign_in(), 403, "was revoked in the console")


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "not valid"),
        ({"aud": "other"}, "another client"),
        ({"aud": ["other"]}, "another client"),
        ({"aud": {"a": CLIENT}}, "not valid"),
        ({"aud": [CLIENT, "other"]}, "issued to another client"),
        ({"azp": "other"}, "issued to another client"),
        ({"nonce": "other"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"nonce": ["x"]}, "another sign-in"),
        ({"exp": None}, "not valid"),
        ({"exp": "later"}, "not valid"),
        ({"sub": None}, "not valid"),
        ({"sub": "x" * 256}, "subject"),
        ({"email": None}, "no claim"),
        ({"email": "<b>@example.org"}, "cannot be used"),
        ({"email_verified": False}, "not verified"),
    ],
)
def test_claims_that_are_not_ours_get_nobody_in(
    browser: Browser, claims: dict[str, object], text: str
) -> None:
    browser.fake.claims = claims
    refused(browser, browser.sign_in(), 403, text)


@pytest.mark.parametrize(
    ("claim", "seconds", "gets_in"),
    [("exp", -59, True), ("exp", -61, False), ("nbf", 59, True), ("nbf", 61, False),
     ("iat", 59, True), ("iat", 61, False)],
)  # fmt: skip
def test_clocks_may_differ_by_the_setting(
    browser: Browser, store: Store, claim: str, seconds: int, *, gets_in: bool
) -> None:
    browser.fake.claims = {claim: int(store.clock().timestamp()) + seconds}
    assert (browser.sign_in().status == 303) is gets_in


@pytest.mark.parametrize(
    ("forge", "text"),
    [
        (unsigned, "not safe"),
        (signed_by_public_key, "not safe"),
        (lambda claims: signed(claims, STRANGER, "RS256"), "signature is wrong"),
        (lambda claims: signed(claims, STRANGER, "RS256", "unknown"), "does not publish"),
        (lambda claims: signed(claims, EC, "ES256", "rsa-1"), "does not publish"),
        (lambda claims: signed(claims, RSA, "RS256")[:-4] + "AAAA", "signature is wrong"),
        (lambda _: "a.b", "damaged"),
        (lambda _: "", "1 to"),
        (lambda _: "x" * 200_000, "1 to"),
    ],
)
def test_a_token_that_the_provider_did_not_sign_gets_nobody_in(
    browser: Browser, forge: Callable[[dict[str, object]], str], text: str
) -> None:
    browser.fake.forge = forge
    refused(browser, browser.sign_in(), 403, text)


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256")])
def test_keys_of_both_kinds_are_accepted(browser: Browser, key: object, algorithm: str) -> None:
    assert key in (RSA, EC)
    browser.fake.key, browser.fake.algorithm = RSA if algorithm == "RS256" else EC, algorithm
    assert browser.sign_in().status == 303


def test_a_token_without_a_key_id_needs_the_only_key_of_its_kind(browser: Browser) -> None:
    browser.fake.forge = lambda claims: signed(claims, RSA, "RS256", None)
    assert browser.sign_in().status == 303


def test_a_new_key_of_the_provider_is_found_but_not_asked_for_all_the_time(
    browser: Browser, clock: Clock
) -> None:
    assert browser.sign_in().status == 303
    assert browser.sign_in().status == 303
    keys = f"{ISSUER}/keys"
    assert browser.fake.requests.count(keys) == 1, "keys are kept"
    browser.cookies.clear()
    browser.fake.published = [EC]
    browser.fake.key, browser.fake.algorithm = EC, "ES256"
    browser.fake.forge = lambda claims: signed(claims, RSA, "RS256", "rsa-2")
    for _ in range(5):
        refused(browser, browser.sign_in(), 403, "does not publish")
    assert browser.fake.requests.count(keys) == 1
    clock.time += ASKED_AGAIN
    for _ in range(5):
        refused(browser, browser.sign_in(), 403, "does not publish")
    assert browser.fake.requests.count(keys) == 2


@pytest.mark.parametrize("state", ["", "x", "ü", "A" * 43])
def test_another_state_gets_nobody_in(browser: Browser, state: str) -> None:
    answer = browser.begin()
    refused(browser, browser.back({**answer, "state": state}), 400, "of another browser")
    assert len(browser.fake.codes) == 1, "the code was not sent"


def test_an_answer_is_for_the_browser_that_began(browser: Browser) -> None:
    answer = browser.begin()
    victim = Browser(browser.application, browser.fake)
    refused(victim, victim.back(answer), 400, "of another browser")
    victim.begin()
    refused(victim, victim.back(answer), 400, "of another browser")


def test_a_sign_in_ends_after_ten_minutes(browser: Browser, clock: Clock) -> None:
    answer = browser.begin()
    clock.advance(601)
    refused(browser, browser.back(answer), 400, "took too long")


def test_a_code_is_good_once(browser: Browser, fake: FakeIdentityProvider) -> None:
    answer = browser.begin()
    kept = dict(browser.cookies)
    assert browser.back(answer).status == 303
    again = Browser(browser.application, fake, kept)
    refused(again, again.back(answer), 403, "invalid_grant")
    later = Browser(browser.application, fake)
    refused(later, later.back(answer), 400, "of another browser")


@pytest.mark.parametrize(
    "extra", [{"error": "access_denied"}, {"iss": "https://evil.example"}, {"code": ""},
              {"code": "x" * 5000}, {"error": "<script>"}],
)  # fmt: skip
def test_an_answer_without_a_good_code_gets_nobody_in(
    browser: Browser, extra: dict[str, str]
) -> None:
    answer = browser.back({**browser.begin(), **extra})
    assert "<script>" not in text_of(answer)
    refused(browser, answer, 403, "You cannot sign in")


def test_a_provider_that_is_down_is_named(browser: Browser, store: Store) -> None:
    browser.fake.down = True
    answer = browser.get("/login/oidc")
    refused(browser, answer, 502, "does not answer")
    (record,) = store.audit_log.newest(1)
    assert record.outcome == "ServiceUnavailable"
    browser.fake.down = False
    back = browser.begin()
    browser.fake.down = True
    refused(browser, browser.back(back), 502, "cannot be reached")


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"issuer": "https://evil.example"}, "not SIDELIGHT_OIDC_ISSUER"),
        ({"authorization_endpoint": "http://id.example/authorize"}, "needs https"),
        ({"token_endpoint": "javascript:alert(1)"}, "token_endpoint"),
        ({"jwks_uri": None}, "jwks_uri"),
        ({"authorization_endpoint": "https://id.example/a\r\nX: y"}, "authorization_endpoint"),
    ],
)
def test_a_provider_document_that_is_not_safe_is_refused(
    browser: Browser, document: dict[str, object], text: str
) -> None:
    browser.fake.discovery = document
    refused(browser, browser.get("/login/oidc"), 403, text)


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nX: y", "evil"]
)
def test_sign_in_leads_to_no_other_site(browser: Browser, target: str) -> None:
    assert header(browser.sign_in(target), "Location") == "/"


def test_a_forged_cookie_leads_to_no_other_site(browser: Browser) -> None:
    answer = browser.begin("/findings")
    name = "__Host-sidelight_oidc"
    browser.cookies[name] = browser.cookies[name].replace("findings", "%2Fevil.example")
    refused(browser, browser.back(answer), 400, "of another browser")


def test_attempts_are_limited(browser: Browser) -> None:
    statuses = [browser.get("/login/oidc/callback").status for _ in range(62)]
    assert (statuses[0], statuses[-1]) == (400, 429)


def test_the_page_offers_the_provider_where_there_is_one(browser: Browser, store: Store) -> None:
    page = text_of(browser.get("/login?next=%2Ffindings"))
    assert "Sign in with id.example" in page
    assert 'href="/login/oidc?next=' in page
    plain = ConsoleRig(store)
    assert "/login/oidc" not in text_of(plain.get("/login"))
    assert plain.get("/login/oidc").status in (303, 404)


def test_a_secret_in_the_form_is_sent_where_the_provider_wants_it(browser: Browser) -> None:
    browser.fake.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert browser.sign_in().status == 303


def test_a_public_client_needs_no_secret(store: Store, fake: FakeIdentityProvider) -> None:
    fake.secret = ""
    rig = ConsoleRig(store, oidc_settings(oidc_client_secret=""))
    browser = Browser(ConsoleApplication(rig.services, provider_calls=fake), fake)
    assert browser.sign_in().status == 303


def test_groups_in_an_object_are_found_by_a_path(store: Store, fake: FakeIdentityProvider) -> None:
    fake.claims = {"realm_access": {"roles": ["security"]}, "groups": None}
    rig = ConsoleRig(store, oidc_settings(oidc_roles_claim="realm_access.roles"))
    browser = Browser(ConsoleApplication(rig.services, provider_calls=fake), fake)
    assert browser.sign_in().status == 303


@pytest.mark.services
def test_a_provider_on_loopback_signs_a_person_in(store: Store, fake: FakeIdentityProvider) -> None:
    with fake.served() as issuer:
        rig = ConsoleRig(store, oidc_settings(oidc_issuer=issuer))
        application = ConsoleApplication(rig.services, provider_calls=SmallAnswerClient())
        browser = Browser(application, fake)
        back = browser.begin()
        assert browser.back(back).status == 303
        assert not is_out(browser)
    fresh = Browser(ConsoleApplication(rig.services), fake)
    refused(fresh, fresh.get("/login/oidc"), 502, "cannot be reached")
