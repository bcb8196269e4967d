"""Why nothing matches: which filter, state or scope leaves out what the others have."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from dispatcher.console.criteria import finding_filter
from dispatcher.console.web_messages import WebError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dispatcher.console.criteria import FindingFilter
    from dispatcher.console.page import PageRequest

    # A text, and the URL of the view that has findings.
    Alternative = tuple[str, str]

_WIDER: Final = {"account": "In all accounts", "region": "In all Regions", "tag": "With any tag"}
_MOST: Final = 4  # views that are searched, each with up to eight statements


def alternatives(request: PageRequest, wanted: FindingFilter) -> Sequence[Alternative]:
    """Return the views nearest to one that has no finding which have some.

    Each is without one filter, of every state, or without one member of the scope.
    """
    return [
        (text, href)
        for text, href, nearby in islice(_nearby(request, wanted), _MOST)
        if _has_findings(nearby)
    ]


def _nearby(request: PageRequest, wanted: FindingFilter) -> Iterator[tuple[str, str, PageRequest]]:
    # The scope first: it is chosen once and forgotten.
    for name, _ in request.scope.parameters():
        href = request.here(**{name: None})
        without = replace(_at(request, href), scope=request.scope.without(name))
        yield _WIDER[name], href, without
    for label, operator, value, href in wanted.chips:
        if label != "Status":
            yield f"Without “{label} {operator} {value[:60]}”", href, _at(request, href)
    if request.value("status") != "any":
        href = request.here(status="any")
        yield "Suppressed and closed ones, too", href, _at(request, href)


def _at(request: PageRequest, href: str) -> PageRequest:
    """Return the request of another view of this page."""
    fields = parse_qs(urlsplit(href).query, keep_blank_values=True, errors="replace")
    return replace(request, fields=fields)


def _has_findings(request: PageRequest) -> bool:
    try:
        search = finding_filter(request).search(request)
    except WebError:
        return False
    return bool(request.store.found_findings.page(search, 1).rows)
