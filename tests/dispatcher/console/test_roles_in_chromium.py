"""Roles in Chromium: nobody is shown what they may not use, and a forged form changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from dispatcher.console.pages import PAGES
from dispatcher.services.console_users import ConsoleUserService
from sidelight.fleet.settings import Settings
from sidelight.model import Role
from sidelight.store import Store
from tests.fixtures.console_browser import NEEDS_CHROMIUM, PASSWORD, Visit
from tests.fixtures.console_fleet import OWN, ConsoleFleet
from tests.fixtures.console_rig import person
from tests.fixtures.http_servers import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from dispatcher.console.page import ConsolePage

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
LESSER = [Role.READER, Role.OPERATOR]
# Method and address of each form, button of a form, and link of this console on a page.
CONTROLS = """[
  ...[...document.forms].map((form) => [form.method, form.action]),
  ...[...document.querySelectorAll('[formaction]')].map((item) =>
     [item.formMethod || item.form.method, item.formAction]),
  ...[...document.querySelectorAll('a[href^="/"]')].map((item) => ['get', item.href]),
]"""
# Send a form as this page would, with its own token.
FORGED = """async ([path, fields]) => {
  const token = document.querySelector('input[name=csrf]').value;
  const body = new URLSearchParams({csrf: token, ...fields});
  return (await fetch(path, {method: 'POST', body})).status;
}"""


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ConsoleFleet, str]]:
    """A fleet on a server, with a person of each role, who are named as their roles."""
    path: Path = tmp_path_factory.mktemp("roles") / "store.db"
    with Store(f"sqlite:///{path}") as store:
        store.migrate()
        fleet = ConsoleFleet(store, "web")
        for role in Role:
            ConsoleUserService(store).create(person(role, name=role.value), PASSWORD)
        with served(store, Settings.of()) as server:
            yield fleet, server.url


def page_of(method: str, address: str) -> ConsolePage | None:
    path = urlsplit(address).path
    found = (page for page in PAGES
             if page.method == method.upper() and page.segments(path) is not None)  # fmt: skip
    return next(found, None)


@pytest.mark.parametrize("role", LESSER)
def test_no_page_has_a_control_that_its_reader_may_not_use(
    browser: Browser, roles: tuple[ConsoleFleet, str], role: Role
) -> None:
    fleet, url = roles
    context = browser.new_context()
    visit = Visit(context.new_page(), url, role.value)
    wrong, allowed = [], 0
    for path in fleet.urls(OWN):
        page = page_of("GET", path)
        if "format=" in path or page is None or page.is_live:
            continue
        answer = visit.page.goto(f"{visit.url}{path}")
        assert answer is not None
        expected = 200 if role.includes(page.role) else 403
        assert answer.status == expected, path
        for method, address in visit.page.evaluate(CONTROLS):
            leads_to = page_of(method, address)
            if leads_to is not None and not role.includes(leads_to.role):
                wrong.append(f"{path}: {method} {address}")
        allowed += expected == 200
    context.close()
    assert not wrong, "\n".join(sorted(set(wrong)))
    assert allowed > 20


@pytest.mark.parametrize("role", LESSER)
def test_a_forged_form_of_a_lesser_role_changes_nothing(
    browser: Browser, roles: tuple[ConsoleFleet, str], role: Role
) -> None:
    fleet, url = roles
    store = fleet.store
    (rule,) = store.suppression_rules.all(OWN)
    number = fleet.rows(OWN)[0].id
    values = {"account": OWN, "instance": fleet.hostile.id, "number": number, "name": fleet.user,
              "view": "1", "key": "x", "organization": f"o-{OWN}"}  # fmt: skip
    form = {"reason": "x", "name": "forged", "package": "x", "key": str(number), "days": "1",
            "mode": "EC2_HYBRID", "account": OWN, "role": "reader", "scope": "own"}  # fmt: skip
    context = browser.new_context()
    visit = Visit(context.new_page(), url, role.value)

    def changed() -> list[object]:
        configurations = store.configurations
        return [
            store.suppression_rules.all(""), store.suppression_rules.all(OWN),
            configurations.accounts(), configurations.organizations(),
            store.console_users.get(fleet.user), store.access_keys.all(), fleet.rows(OWN),
        ]  # fmt: skip

    before, refused = changed(), 0
    for page in PAGES:
        if page.method != "POST" or role.includes(page.role):
            continue
        chosen = rule.id if page.path.startswith("/rules") else number
        path = page.path.format(**{**values, "number": chosen})
        assert visit.page.evaluate(FORGED, [path, form]) == 403, path
        refused += 1
    context.close()
    assert before == changed()
    assert refused >= 5
