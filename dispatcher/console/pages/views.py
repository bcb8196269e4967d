"""Saved views: a person's own names for filters of findings and instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from dispatcher.console.page import ConsolePage, RedirectAnswer
from dispatcher.console.web_messages import MOST_FIELDS, MOST_ID, WebError, whole_number

if TYPE_CHECKING:
    from dispatcher.console.page import PageRequest

FINDINGS, INSTANCES = "/findings", "/instances"
_LONGEST_NAME: Final = 80  # characters
_LONGEST_QUERY: Final = 4000
# Where one is in a list, and files of it, are not part of a view.
_LEFT_OUT: Final = frozenset({"after", "from", "format"})


def views_data(request: PageRequest, page: str) -> dict[str, object]:
    """Return what `saved_views.html` shows of a page: its saved views, and the present query."""
    query = "&".join(
        urlencode({name: value}, errors="replace")
        for name, values in request.fields.items() if name not in _LEFT_OUT for value in values
    )  # fmt: skip
    views = [
        (view.id, view.name, f"{page}?{view.query}" if view.query else page, view.query == query)
        for view in request.store.saved_views.of(request.principal.name, page)
    ]
    return {"views": views, "view_page": page, "view_query": query}


def save(request: PageRequest) -> RedirectAnswer:
    """Save the present filters under a name."""
    page, name = request.posted("page"), request.posted("name")
    if page not in {FINDINGS, INSTANCES}:
        raise WebError(400, "Views are of findings and instances.")
    if not 0 < len(name) <= _LONGEST_NAME:
        raise WebError(400, f"A view's name has 1 to {_LONGEST_NAME} characters.")
    try:
        pairs = parse_qsl(request.posted("query"), max_num_fields=MOST_FIELDS, errors="replace")
    except ValueError as error:
        raise WebError(400, "The view has too many fields.") from error
    # Written again, so that nothing but a query is stored.
    query = urlencode([(key, value.replace("\x00", "")) for key, value in pairs
                       if key not in _LEFT_OUT], errors="replace")  # fmt: skip
    if len(query) > _LONGEST_QUERY:
        raise WebError(400, "The view has too many filters to be saved.")
    if not request.store.saved_views.put(request.principal.name, page, name, query):
        raise WebError(409, "You have as many views as there can be.", "Remove one first.")
    return RedirectAnswer(f"{page}?{query}" if query else page, "The view is saved.")


def remove(request: PageRequest) -> RedirectAnswer:
    """Remove one of the person's views."""
    number = whole_number(request.segments["view"], MOST_ID)
    own = request.store.saved_views
    view = None if number is None else own.remove(request.principal.name, number)
    if view is None:
        raise WebError(404, "You have no such view.")
    return RedirectAnswer(view.page, "The view is removed.")


PAGES = (
    ConsolePage("/views", "Save a view", save, method="POST", action="SaveView"),
    ConsolePage("/views/{view}/remove", "Remove a view", remove, method="POST",
                action="RemoveView"),
)  # fmt: skip
