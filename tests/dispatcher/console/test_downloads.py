"""Each list can be downloaded as it is shown: its columns, and all rows of its view."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.console_fleet import OWN, ConsoleFleet
from tests.fixtures.console_rig import header, person, text_of

if TYPE_CHECKING:
    from sidelight.store import Store

LINK = re.compile(r'href="([^"]*format=(csv|json)[^"]*)" download')
LABELS = re.compile(
    r'<th scope="col" role="columnheader" class="(?!select)[^>]*>(?:<a[^>]*>)?([^<]*)'
)
LIST = r'<section class="card list".*?<h2>.*?'
TOTAL = re.compile(rf'{LIST}<span class="quiet">([0-9,]*)(\+?)', re.DOTALL)
ROW = re.compile(r'<tr role="row".*?</tr>', re.DOTALL)


@pytest.fixture
def fleet(store: Store) -> ConsoleFleet:
    return ConsoleFleet(store, "web")


def plain_page(fleet: ConsoleFleet, url: str) -> str:
    answer = fleet.rig.get(url, person())
    is_page = answer.status == 200 and header(answer, "Content-Type").startswith("text/html")
    return text_of(answer) if is_page else ""


def test_each_list_is_a_file_of_exactly_its_view(fleet: ConsoleFleet) -> None:
    lists = 0
    for url in dict.fromkeys(fleet.urls(OWN)):
        page = plain_page(fleet, url)
        links = {kind: html.unescape(href) for href, kind in LINK.findall(page)}
        if not links:
            continue
        assert links.keys() == {"csv", "json"}, url
        items = json.loads(text_of(fleet.rig.get(links["json"], person())))
        table = list(csv.reader(io.StringIO(text_of(fleet.rig.get(links["csv"], person())))))
        shown = len(ROW.findall(page)) - 1
        assert len(table) == len(items) + 1, url
        if not items:
            assert shown <= 0, url
            continue
        lists += 1
        assert [html.unescape(label).strip() for label in LABELS.findall(page)] == table[0], url
        assert len(items[0]) == len(table[0]), url
        total = TOTAL.search(page)
        assert total is not None, url
        if total[1] and not total[2]:
            assert int(total[1].replace(",", "")) == len(items), url
        assert shown == len(items) or "Next page" in page, url
    assert lists >= 15


@pytest.mark.parametrize(
    "query", ["severity=HIGH&columns=severity&columns=vulnerability&sort=-epss",
              "group=package&then=instance", "account=222222222222&status=any"]
)  # fmt: skip
def test_a_files_link_keeps_filters_columns_order_and_scope(
    fleet: ConsoleFleet, query: str
) -> None:
    page = plain_page(fleet, f"/findings?{query}")
    for href, kind in LINK.findall(page):
        kept = html.unescape(href)
        assert all(part in kept for part in query.split("&")), kept
        assert f"format={kind}" in kept
