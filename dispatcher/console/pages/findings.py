"""Findings: the list with facets, groups and bulk suppression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.criteria import NAMES, PACKAGE, finding_filter
from dispatcher.console.finding_groups import group_row, is_level, level_label, levels
from dispatcher.console.finding_rows import COLUMNS, SORTS, finding_reader
from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, RedirectAnswer, TemplateAnswer
from dispatcher.console.pages.no_matches import alternatives
from dispatcher.console.pages.views import FINDINGS, views_data
from dispatcher.console.signals import REMEDY, signal_feeds
from sidelight.model import Severity
from sidelight.store import TAG_GROUPING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.console.criteria import FindingFilter
    from dispatcher.console.lists import Position
    from dispatcher.console.page import DownloadAnswer, PageAnswer, PageRequest
    from sidelight.store import FindingFacets

_FACETS: Final = {
    "severity": "Severity",
    "exploit": "Exploited",
    "fix": "Fix available",
    "type": "Type",
    "account": "Account",
    "region": "Region",
}
_SHOWN: Final = 8  # values of a facet
_GROUP_COLUMNS: Final = (
    ListColumn("group", "Group"),
    ListColumn("then", "Within it"),
    ListColumn("severities", "By severity", "severities"),
    ListColumn("findings", "Findings", "number"),
    ListColumn("instances", "Instances", "number"),
)


# What the page has other fields, facets or tabs for.
_ELSEWHERE: Final = frozenset({"status", "severity", "vulnerability", "package", "path"})
_LABELS: Final = {name: label for name, (_, label) in {**NAMES, **PACKAGE}.items()}
_OFFERED: Final = {
    name: _LABELS[name] for name in sorted(_LABELS, key=lambda name: _LABELS[name])
    if name not in _ELSEWHERE
}  # fmt: skip


def findings(request: PageRequest) -> PageAnswer:
    """List findings by the filters of the URL, or groups of them."""
    added, value = request.one_of("add", _OFFERED), request.value("value").strip()
    if added or value:
        chosen = request.fields.get(added, []) if added and value else []
        more = {added: [*chosen, value]} if added and value else {}
        return RedirectAnswer(request.here(**{"add": None, "value": None, **more}))
    if key := request.value("grouptag").strip():
        return RedirectAnswer(
            request.here(grouptag=None, group=f"{TAG_GROUPING}{key}", then=None, sort=None)
        )
    if key := request.value("thentag").strip():
        return RedirectAnswer(request.here(thentag=None, then=f"{TAG_GROUPING}{key}"))
    wanted = finding_filter(request)
    by = request.value("group")
    if is_level(by):
        then = request.value("then")
        is_other = is_level(then) and then != by
        return _grouped(request, wanted, by, then if is_other else "")
    listing = Listing(request, "Findings", COLUMNS, sort="-severity")
    search = wanted.search(request, SORTS[listing.sort], descending=listing.descending)
    read = finding_reader(request, search)
    if listing.format:
        return listing.download(read, "findings")
    rows, position = read(listing.after, listing.size)
    facets = request.store.finding_counts.facets(search)
    page = listing.page(rows, position, facets.total, at_least=facets.is_part)
    return TemplateAnswer(
        "findings.html",
        {**_frame(request, wanted, ""), "t": page, **_instead(request, wanted, rows),
         "facets": _facets(request, facets), "counted": facets},
        fact=_fact(facets),
    )  # fmt: skip


def _grouped(
    request: PageRequest, wanted: FindingFilter, by: str, then: str
) -> TemplateAnswer | DownloadAnswer:
    caption = f"By {level_label(by)}"
    caption += f", then by {level_label(then)}" if then else ""
    columns = [column for column in _GROUP_COLUMNS if then or column.name != "then"]
    listing = Listing(request, caption, columns)
    search, counts = wanted.search(request), request.store.finding_counts

    def read(after: Position, size: int) -> tuple[Sequence[ListRow], Position]:
        offset = after.get("offset") if after else 0
        begin = offset if isinstance(offset, int) and 0 <= offset < 10**9 else 0
        groups, more = counts.groups(search, by, size, begin, then=then)
        rows = [group_row(request, by, then, group) for group in groups]
        return rows, {"offset": begin + size} if more else None

    if listing.format:
        return listing.download(read, f"findings-by-{by.partition(':')[0]}")
    rows, position = read(listing.after, listing.size)
    facets = counts.facets(search)
    data = {**_frame(request, wanted, by, then), "t": listing.page(rows, position),
            **_instead(request, wanted, rows),
            "facets": _facets(request, facets), "counted": facets}  # fmt: skip
    return TemplateAnswer("findings.html", data, fact=_fact(facets))


def _frame(
    request: PageRequest, wanted: FindingFilter, by: str, then: str = ""
) -> dict[str, object]:
    groups = [("List", request.here(group=None, then=None, sort=None), not by, None)]
    groups += [(label, request.here(group=name, then=None, sort=None), by == name, None)
               for name, label in levels(by)]  # fmt: skip
    thens = [("Nothing", request.here(then=None), not then, None)]
    thens += [(label, request.here(then=name), then == name, None)
              for name, label in levels(then) if name != by]  # fmt: skip
    status = request.value("status", "ACTIVE")
    states = [
        (label, request.here(status=value), status == (value or "ACTIVE"), None)
        for label, value in (("Active", None), ("Suppressed", "SUPPRESSED"), ("Closed", "CLOSED"),
                             ("All", "any"))
    ]  # fmt: skip
    return {
        "chips": [chip for chip in wanted.chips if chip[0] != "Status"],
        "clear": request.link("/findings"),
        "groups": groups,
        "thens": thens if by else [],
        **views_data(request, FINDINGS),
        "states": states,
        "offered": _OFFERED,
        "unknown": _unknown(request),
        "remedy": REMEDY,
        "by": by,
        "bulk": "" if by or status != "ACTIVE" or not request.may("operator") else "bulk",
    }


def _unknown(request: PageRequest) -> list[str]:
    """Return why a filter or the order finds nothing: there is no feed of what it asks for."""
    by_score = request.value("epss") or request.value("sort").removeprefix("-") == "epss"
    if not (by_score or request.value("exploit")):
        return []
    lacks = signal_feeds(request)
    found = []
    if lacks.epss and by_score:
        found.append(f"EPSS scores are unknown: {lacks.epss}.")
    if lacks.kev and request.value("exploit"):
        found.append(f"What is exploited is unknown: {lacks.kev}.")
    return found


def _instead(
    request: PageRequest, wanted: FindingFilter, rows: Sequence[ListRow]
) -> dict[str, object]:
    """Return what the page offers where nothing matches."""
    is_empty = not rows and not request.value("after")
    return {"alternatives": alternatives(request, wanted) if is_empty else []}


def _fact(facets: FindingFacets) -> str:
    if facets.is_part:
        return (
            f"More than {facets.total:,} findings match; counts are of the first {facets.total:,}."
        )
    severities = facets.values["severity"]
    urgent = severities.get("CRITICAL", 0) + severities.get("HIGH", 0)
    noun = "finding matches" if facets.total == 1 else "findings match"
    return f"{facets.total:,} {noun}; {urgent:,} are critical or high."


def _facets(
    request: PageRequest, facets: FindingFacets
) -> list[tuple[str, list[tuple[str, str, int, bool]]]]:
    """Return facets: their label and values with URL, count and whether each is chosen."""
    order = {grade.value: -grade.rank for grade in Severity}
    shown = []
    for name, label in _FACETS.items():
        chosen = request.fields.get(name, [])
        counts = [(value, count) for value, count in facets.values[name].items() if value]
        counts.sort(key=lambda pair: (order.get(pair[0], 0), -pair[1], pair[0]))
        if len(counts) < 2 and not chosen:
            continue
        values = []
        for value, count in counts[:_SHOWN]:
            is_chosen = value in chosen
            rest = [other for other in chosen if other != value]
            single = name in ("account", "region")
            changed = rest if is_chosen else [value] if single else [*chosen, value]
            values.append((value, request.here(**{name: changed}), count, is_chosen))
        shown.append((label, values))
    return shown


PAGES = (ConsolePage("/findings", "Findings", findings),)
