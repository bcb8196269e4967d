"""Who gets in, for how long, and what a form must bring."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from dispatcher.console.guards import form_token, local_path
from dispatcher.console.sign_in import OF_NAME_AND_SOURCE
from dispatcher.console.web_messages import WebRequest
from dispatcher.services.console_users import (
    ABSOLUTE,
    IDLE,
    ConsoleUserService,
    hashed,
    is_password,
)
from sidelight.errors import UsageError
from sidelight.model import Principal, Role
from tests.fixtures.console_rig import HOST, ConsoleRig, header, person, text_of

if TYPE_CHECKING:
    from datetime import timedelta

    from dispatcher.console.web_messages import WebAnswer
    from sidelight.store import Store
    from tests.fakes.clocks import Clock

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
NAME = "alice"


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    return ConsoleRig(store)


@pytest.fixture
def alice(rig: ConsoleRig) -> Principal:
    who = person()
    ConsoleUserService(rig.store).create(who, PASSWORD)
    return who


def sign_in(rig: ConsoleRig, password: str, *, name: str = NAME, target: str = "/") -> WebAnswer:
    body = "&".join([f"name={name}", f"password={password.replace(' ', '+')}",
                     f"csrf={form_token('browser')}", f"next={target}"])  # fmt: skip
    headers = [
        ("host", HOST), ("origin", f"https://{HOST}"), ("cookie", "sidelight_sign_in=browser"),
        ("content-type", "application/x-www-form-urlencoded"),
    ]  # fmt: skip
    request = WebRequest("POST", "/login", "", headers, body.encode(), "192.0.2.7")
    return rig.application.answer(request)


def session_cookie(answer: WebAnswer) -> str:
    values = (value for name, value in answer.headers if name == "Set-Cookie")
    return next(value for value in values if "sidelight=" in value)


def test_the_right_password_begins_a_session_with_a_guarded_cookie(
    rig: ConsoleRig, alice: Principal
) -> None:
    answer = sign_in(rig, PASSWORD, target="/findings")
    assert (answer.status, header(answer, "Location")) == (303, "/findings")
    cookie = session_cookie(answer)
    assert cookie.startswith("__Host-sidelight=")
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    page = rig.get("/", headers=[("cookie", cookie.partition(";")[0])])
    assert (page.status, alice.name in text_of(page)) == (200, True)
    number = cookie.partition("=")[2].partition(";")[0]
    assert rig.store.console_sessions.get(number) is None, "the id itself is not stored"


@pytest.mark.parametrize(("name", "password"), [(NAME, "wrong horse battery"), ("bob", PASSWORD)])
def test_a_wrong_name_or_password_gets_the_same_answer(
    rig: ConsoleRig, alice: Principal, name: str, password: str
) -> None:
    answer = sign_in(rig, password, name=name)
    assert answer.status == 401
    assert "Name or password is wrong." in text_of(answer)
    records = list(rig.store.audit_log.newest(5))
    assert [(r.principal, r.operation, r.outcome) for r in records] == [
        (name, "SignIn", "AccessDeniedException")
    ]
    assert alice.name == NAME


@pytest.mark.slow
def test_attempts_are_limited(rig: ConsoleRig, alice: Principal) -> None:
    for _ in range(OF_NAME_AND_SOURCE):
        assert sign_in(rig, "wrong horse battery").status == 401
    assert sign_in(rig, PASSWORD).status == 429
    assert sign_in(rig, PASSWORD, name="bob").status == 401
    assert alice.role is Role.ADMINISTRATOR


def test_without_a_session_every_page_leads_to_sign_in(rig: ConsoleRig) -> None:
    answer = rig.get("/styleguide?a=1")
    assert (answer.status, header(answer, "Location")) == (303, "/login?next=%2Fstyleguide%3Fa%3D1")


@pytest.mark.parametrize(("step", "is_open"), [(IDLE / 2, True), (IDLE * 1.01, False)])
def test_an_idle_session_ends(
    rig: ConsoleRig, clock: Clock, step: timedelta, *, is_open: bool
) -> None:
    rig.session(person())
    clock.time += step
    assert (rig.get("/", person()).status == 200) is is_open


def test_a_used_session_ends_in_the_end(rig: ConsoleRig, clock: Clock) -> None:
    begin = clock.time
    while clock.time - begin <= ABSOLUTE:
        assert rig.get("/", person()).status == 200
        clock.time += IDLE / 2
    assert rig.get("/", person()).status == 303


def test_a_page_that_is_left_open_keeps_no_session_from_ending(
    rig: ConsoleRig, clock: Clock
) -> None:
    begin, last = clock.time, None
    while clock.time - begin <= IDLE:
        poll = rig.get("/scans/events", person()).poll
        assert poll is not None
        assert poll.read() is not None
        clock.time, last = clock.time + IDLE / 3, poll
    assert last is not None
    assert last.read() is None
    assert rig.get("/scans/events", person()).status == 303


def test_a_live_view_ends_with_its_session(rig: ConsoleRig) -> None:
    answer = rig.get("/scans/events", person())
    assert answer.poll is not None
    assert answer.poll.read() is not None
    assert ConsoleUserService(rig.store).revoke(person().name)
    assert answer.poll.read() is None


def test_a_revoked_user_is_out_at_once(rig: ConsoleRig) -> None:
    who = person()
    assert rig.get("/", who).status == 200
    assert ConsoleUserService(rig.store).revoke(who.name)
    assert rig.get("/", who).status == 303


def test_a_new_password_ends_all_sessions(rig: ConsoleRig) -> None:
    who = person()
    assert rig.get("/", who).status == 200
    ConsoleUserService(rig.store).set_password(who.name, "another horse battery")
    assert rig.get("/", who).status == 303


def test_sign_out_ends_the_session(rig: ConsoleRig) -> None:
    who = person()
    answer = rig.post("/logout", {}, who)
    assert (answer.status, header(answer, "Location")) == (303, "/login")
    assert rig.get("/", who).status == 303


@pytest.mark.parametrize(
    ("token", "origin"),
    [
        ("", f"https://{HOST}"),
        ("0" * 80, f"https://{HOST}"),
        (None, "https://evil.example"),
        (None, "null"),
        (None, ""),
        (None, "http://["),
        (None, f"https://{HOST}.evil.example"),
    ],
)
def test_a_form_of_another_site_or_session_is_refused(
    rig: ConsoleRig, token: str | None, origin: str
) -> None:
    who = person()
    assert rig.post("/logout", {}, who, token=token, origin=origin).status == 403
    assert rig.get("/", who).status == 200


@pytest.mark.parametrize(
    ("referer", "target"),
    [
        (f"https://{HOST}/rules?severity=HIGH", "/rules?severity=HIGH"),
        ("http://[", "/"),
        ("https://evil.example//evil.example/", "/"),
        ("", "/"),
    ],
)
def test_a_form_after_the_session_ended_leads_to_sign_in_and_back(
    rig: ConsoleRig, referer: str, target: str
) -> None:
    headers = [("origin", f"https://{HOST}"), ("referer", referer)]
    answer = rig.send("POST", "/rules", "", b"", None, headers)
    assert answer.status == 401
    assert "Nothing was changed" in text_of(answer)
    assert f'href="/login?{urlencode({"next": target})}"' in text_of(answer)


def test_a_token_differs_each_time() -> None:
    assert form_token("session") != form_token("session")


@pytest.mark.usefixtures("real_hashes")
def test_passwords_are_hashed_with_a_salt_and_compared() -> None:
    first, second = hashed(PASSWORD), hashed(PASSWORD)
    assert first.startswith("scrypt$65536$8$1$"), "the cost that OWASP recommends"
    assert first != second
    assert is_password(first, PASSWORD)
    assert not is_password(first, PASSWORD + "x")
    assert not is_password("", PASSWORD)
    assert not is_password("scrypt$1$1$1$!$!", PASSWORD)
    with pytest.raises(UsageError, match="12 to 256"):
        hashed("short")


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nX: y", "x", ""]
)
def test_sign_in_leads_to_no_other_site(target: str) -> None:
    assert local_path(target) == "/"


def test_every_answer_has_the_headers_of_the_policy(rig: ConsoleRig) -> None:
    for answer in (rig.get("/login"), rig.get("/", person()), rig.get("/nothing", person())):
        policy = header(answer, "Content-Security-Policy")
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert "unsafe" not in policy
        assert header(answer, "X-Content-Type-Options") == "nosniff"
        assert header(answer, "Cache-Control") == "no-store"


def test_static_files_are_kept_for_ever_by_their_content(rig: ConsoleRig) -> None:
    url = text_of(rig.get("/login")).partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = rig.get(url)
    assert (answer.status, header(answer, "Cache-Control")) == (
        200, "public, max-age=31536000, immutable",
    )  # fmt: skip
    assert rig.get("/assets/0000000000000000/console.css").status == 404


def test_reports_of_the_policy_are_logged_bounded(
    rig: ConsoleRig, caplog: pytest.LogCaptureFixture
) -> None:
    answer = rig.send("POST", "/csp-report", "", b"x\n" * 9000, None, ())
    assert answer.status == 204
    (record,) = caplog.records
    assert len(record.getMessage()) < 2000
    assert "\n" not in record.getMessage()


def test_script_and_style_are_small() -> None:
    from dispatcher.console.assets import files

    assert sum(len(file.compressed) for file in files().values()) < 40_000
