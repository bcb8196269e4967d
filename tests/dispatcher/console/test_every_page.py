"""Every page: hostile text is inert, roles are kept, and no account sees another's data."""

from __future__ import annotations

import base64
import csv
import io
import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from dispatcher.console.pages import PAGES
from sidelight.model import (
    Coverage,
    FindingStatus,
    Role,
)
from tests.fixtures.console_fleet import HOSTILE, MARKS, MARKUP, OTHER, OWN, THIRD, ConsoleFleet
from tests.fixtures.console_rig import header, person, text_of

if TYPE_CHECKING:
    from sidelight.store import Store


@pytest.fixture
def fleet(store: Store) -> ConsoleFleet:
    return ConsoleFleet(store, HOSTILE)


class Tags(HTMLParser):
    """Elements and attributes of a page, and what no page may have."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.scripts: list[str] = []
        self.external: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            assert name != "style", tag
            if name in ("src", "href", "action") and value and "://" in value:
                self.external.append(value)
        if tag == "script":
            self.scripts.append(dict(attrs).get("src") or "inline")
        assert tag not in {"img", "iframe", "object", "embed", "base", "style"}, tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_text_is_inert_on_every_page(fleet: ConsoleFleet) -> None:
    seen = 0
    for url in fleet.urls(OWN):
        answer = fleet.rig.get(url, person())
        assert answer.status in {200, 303}, (url, text_of(answer)[:500])
        if not header(answer, "Content-Type").startswith("text/html"):
            continue
        body = text_of(answer)
        page = Tags()
        page.feed(body)
        assert all(source.startswith("/assets/") for source in page.scripts), url
        assert all(link.startswith("https://example.org/") for link in page.external), url
        bad = {character for character in page.text
               if not character.isprintable() and character != "\n"}  # fmt: skip
        assert not bad, (url, bad)
        assert "{{7*7}}" in page.text or "49" not in page.text or MARKUP not in page.text
        assert len(body) < 400_000, url
        seen += MARKUP[:20] in page.text
    assert seen >= 5, "the hostile name is shown, as text"


def test_hostile_parameters_are_inert_on_every_page(fleet: ConsoleFleet) -> None:
    names = ("q", "severity", "status", "package", "vulnerability", "sort", "after", "columns",
             "account", "region", "tag", "group", "tab", "from", "reason", "mode", "who", "what",
             "review", "epss", "first", "port")  # fmt: skip
    markup = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%E2%80%AE"
    for value in (markup, "%00%FF", "A" * 3000, "=", ".."):
        query = "&".join(f"{name}={value}" for name in names)
        for url in fleet.urls(OWN):
            answer = fleet.rig.get(f"{url.partition('?')[0]}?{query}", person())
            assert answer.status in {200, 303, 400, 404}, (url, value, text_of(answer)[-300:])
            page = Tags()
            page.feed(text_of(answer))
            assert all(source.startswith("/assets/") for source in page.scripts), url


def test_a_reader_of_an_account_sees_no_other_account_on_any_page(fleet: ConsoleFleet) -> None:
    who = person(Role.ADMINISTRATOR, frozenset(), OWN)
    others = {MARKS[OTHER], MARKS[THIRD], OTHER, THIRD}
    others |= {row.instance for account in (OTHER, THIRD) for row in fleet.rows(account)}
    others -= {row.instance for row in fleet.rows(OWN)}
    for url in fleet.urls(OWN):
        for page_url in (url, f"{url}{'&' if '?' in url else '?'}account={OTHER}"):
            answer = fleet.rig.get(page_url, who)
            # What a person typed comes back in the scope, and is not data.
            body = text_of(answer).replace(f"account={OTHER}", "").replace(f'value="{OTHER}"', "")
            body = body.replace(f"<bdi>{OTHER}</bdi>", "")
            assert not [mark for mark in others if mark in body], (page_url, answer.status)


def test_pages_of_another_account_are_as_if_they_were_not(fleet: ConsoleFleet) -> None:
    who = person(Role.ADMINISTRATOR, frozenset(), OWN)
    for url in fleet.urls(OTHER):
        if OTHER in url or url.startswith(("/findings/", "/rules/", "/network/")):
            assert fleet.rig.get(url, who).status == 404, url


def test_changes_of_another_account_are_refused(fleet: ConsoleFleet) -> None:
    who = person(Role.ADMINISTRATOR, frozenset(), OWN)
    number = str(fleet.rows(OTHER)[0].id)
    (rule,) = fleet.store.suppression_rules.all(OTHER)
    values = {"account": OTHER, "instance": "i-00000000000000001f", "number": number,
              "name": "theirs", "view": number, "organization": f"o-{OTHER}"}  # fmt: skip
    fleet.rig.session(person(Role.READER, frozenset(), OTHER, "theirs"))
    form = {"reason": "x", "name": "x", "package": "x", "key": number, "mode": "EC2_HYBRID",
            "account": OTHER, "role": "reader", "scope": "own"}  # fmt: skip
    rules, settings = fleet.store.suppression_rules, fleet.store.configurations
    before = [rules.all(OTHER), settings.accounts()]
    user = fleet.store.console_users.get("theirs")
    for page in PAGES:
        if page.method == "POST" and page.path not in {"/rules", "/password", "/views"}:
            chosen = rule.id if page.path.startswith("/rules") else number
            path = page.path.format(**{**values, "number": chosen})
            assert fleet.rig.post(path, form, who).status == 404, path
    assert before == [rules.all(OTHER), settings.accounts()]
    assert user == fleet.store.console_users.get("theirs")
    assert not fleet.store.access_keys.all()


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR])
def test_roles_are_kept_on_every_page(fleet: ConsoleFleet, role: Role) -> None:
    who = person(role, name=f"only-{role}")
    for page in PAGES:
        if role.includes(page.role):
            continue
        path = page.path.format(account=OWN, instance=fleet.hostile.id, number="1", name="x",
                                organization=f"o-{OWN}")  # fmt: skip
        send = fleet.rig.get if page.method == "GET" else None
        answer = send(path, who) if send else fleet.rig.post(path, {}, who)
        assert answer.status == 403, path


def test_every_change_is_in_the_audit_log(fleet: ConsoleFleet) -> None:
    who = person()
    number = fleet.rows(OWN)[0].id
    answer = fleet.rig.post(f"/findings/{number}/suppress", {"reason": "known", "days": "30"}, who)
    assert (answer.status, header(answer, "Location")) == (303, f"/findings/{number}")
    (record, *_) = fleet.store.audit_log.newest(1)
    assert (record.operation, record.outcome) == ("SuppressFinding", "OK")
    assert record.principal == who.name
    row = fleet.store.found_findings.by_id([number], None)[number]
    assert row.status is FindingStatus.SUPPRESSED


def test_forms_without_a_token_change_nothing(fleet: ConsoleFleet) -> None:
    number = fleet.rows(OWN)[0].id
    answer = fleet.rig.post(f"/findings/{number}/suppress", {"reason": "x"}, person(), token="")
    assert answer.status == 403
    row = fleet.store.found_findings.by_id([number], None)[number]
    assert row.status is FindingStatus.ACTIVE


def test_a_rule_ends_at_its_time(fleet: ConsoleFleet) -> None:
    number = fleet.rows(OWN)[0].id
    fleet.rig.post(f"/findings/{number}/suppress", {"reason": "x", "days": "1"}, person())
    clock = fleet.store.clock
    clock.advance(3 * 86_400)  # type: ignore[attr-defined]
    fleet.store.suppression_rules.judge()
    row = fleet.store.found_findings.by_id([number], None)[number]
    assert row.status is FindingStatus.ACTIVE


def test_pages_of_a_list_have_each_row_once(fleet: ConsoleFleet) -> None:
    url, keys = "/findings?status=any&columns=arn&format=json", []
    everything = json.loads(text_of(fleet.rig.get(url, person())))
    keys = [row["arn"] for row in everything]
    expected = [row.arn for row in fleet.store.findings.rows(status=None)]
    assert sorted(keys) == sorted(expected)


@pytest.mark.parametrize("sign", ["=", "\n=", "\uff1d"])
def test_a_cell_that_a_spreadsheet_would_compute_is_text(fleet: ConsoleFleet, sign: str) -> None:
    name = f"{sign}cmd|' /C calc'!A0"
    fleet.store.instances.cover([Coverage(OWN, "eu-west-1", "i-1", name, "ACTIVE", "SUCCESSFUL")])
    body = text_of(fleet.rig.get("/instances?format=csv", person()))
    cells = [cell for row in csv.reader(io.StringIO(body)) for cell in row]
    assert f"'{name}" in cells
    assert name not in cells


def test_a_list_in_a_cell_is_its_words(fleet: ConsoleFleet) -> None:
    body = text_of(fleet.rig.get("/findings?status=any&format=csv", person()))
    flags = {row["Flags"] for row in csv.DictReader(io.StringIO(body))}
    assert {"", "Exploited"} <= flags
    assert not [flag for flag in flags if "[" in flag]


# A fleet takes a second to make, and what is refused changes none of it: one for all values.
@pytest.mark.slow
def test_a_suppression_of_unusual_days_is_refused(fleet: ConsoleFleet) -> None:
    number = fleet.rows(OWN)[0].id
    for days in ("0", "-1", "²", "99999", "00001999999999", "9" * 5000, "1e3"):
        form = {"reason": "x", "days": days}
        answer = fleet.rig.post(f"/findings/{number}/suppress", form, person())
        assert answer.status == 400, days[:20]
        row = fleet.store.found_findings.by_id([number], None)[number]
        assert row.status is FindingStatus.ACTIVE, days[:20]


@pytest.mark.slow
def test_numbers_that_are_none_fail_no_page(fleet: ConsoleFleet) -> None:
    for value in ("²", "9" * 5000, "nan", "1e999"):
        for url in fleet.urls(OWN):
            for name in ("from", "epss", "port", "first"):
                query = f"{url.partition('?')[0]}?{name}={quote(value)}"
                answer = fleet.rig.get(query, person())
                assert answer.status in {200, 303, 400, 404}, (query, text_of(answer)[-300:])


FORGED = [[1], ["\0", "\0", "\0"], ["a", "b", 1 << 63], [None] * 3, "abc"]


@pytest.mark.slow
def test_a_forged_position_of_a_list_is_refused(fleet: ConsoleFleet) -> None:
    plan = next(url for url in fleet.urls(OWN) if url.startswith("/plan/machines?"))
    for key in FORGED:
        text = base64.urlsafe_b64encode(json.dumps({"key": key}).encode()).decode().rstrip("=")
        for url in ("/findings?", "/instances?", "/network?", "/packages/1?", f"{plan}&"):
            answer = fleet.rig.get(f"{url}after={text}", person())
            assert answer.status == 400, (url, key, text_of(answer)[-300:])


@pytest.mark.slow
def test_other_methods_are_refused(fleet: ConsoleFleet) -> None:
    for method in ("OPTIONS", "PUT", "DELETE", "PATCH", "get", ""):
        for path in ("/", "/login", "/logout", "/csp-report", "/findings"):
            answer = fleet.rig.send(method, path, "", b"", person(), [])
            allowed = header(answer, "Allow")
            assert (answer.status, allowed) == (405, "GET, HEAD, POST"), (method, path)
