"""The search field of the top bar: it jumps to what a text can only be, or lists findings."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

from dispatcher.console.finding_rows import instance_link, vulnerability_link
from dispatcher.console.page import ConsolePage, RedirectAnswer
from dispatcher.console.pages.instances import coverage_search

if TYPE_CHECKING:
    from dispatcher.console.page import PageRequest

_VULNERABILITY: Final = re.compile(
    r"(?:CVE-\d{4}-\d{4,10}|GHSA(?:-[0-9a-z]{4}){3}|(?:RH|AL|DS|US|DL|EL)SA?-[\w.:-]{3,40})",
    re.IGNORECASE | re.ASCII,
)
_INSTANCE: Final = re.compile(r"i-[0-9a-f]{1,17}")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


def search(request: PageRequest) -> RedirectAnswer:
    """Go where the text leads."""
    text = request.value("q").strip()[:300]
    if not text:
        return RedirectAnswer(request.link("/findings"))
    if _VULNERABILITY.fullmatch(text):
        name = text if text[:4].upper() == "GHSA" else text.upper()
        return RedirectAnswer(vulnerability_link(request, name))
    if _INSTANCE.fullmatch(text) or _is_address(text):
        return RedirectAnswer(_of_instances(request, text))
    if _ACCOUNT.fullmatch(text):
        return RedirectAnswer(request.link("/instances", account=text))
    return RedirectAnswer(request.link("/packages", q=text))


def _of_instances(request: PageRequest, text: str) -> str:
    """Return the page of the one instance of an id or address; of several, or none, the list's.

    Private networks may have the same addresses, and an address may move to another instance.
    """
    search = coverage_search(request, text=text)
    rows = request.store.found_coverage.page(search, 2).rows
    if len(rows) == 1:
        return instance_link(request, rows[0].account, rows[0].instance)
    return request.link("/instances", q=text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


PAGES = (ConsolePage("/search", "Search", search),)
