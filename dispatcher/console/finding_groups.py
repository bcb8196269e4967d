"""Groups of findings: by what, how a group is named, and which filters have its findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.finding_rows import vulnerability_link
from dispatcher.console.lists import ListRow
from sidelight.store import grouped_tag, is_grouping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dispatcher.console.page import PageRequest
    from sidelight.store import SearchGroup

# By: label, what a group's key filters by.
_GROUPS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "vulnerability": ("Vulnerability", ("vulnerability",)),
    "package": ("Package", ("package",)),
    "fix": ("Fix", ("package", "")),
    "instance": ("Instance", ("", "instance")),
    "account": ("Account", ("account",)),
    "region": ("Region", ("account", "region")),
}


def is_level(by: str) -> bool:
    """Whether the page groups by this: one of its groupings, or `tag:` and a tag's key."""
    return (by in _GROUPS or bool(grouped_tag(by))) and is_grouping(by)


def level_label(by: str) -> str:
    """Return the words of a grouping within a sentence."""
    tag = grouped_tag(by)
    return f"the tag {tag}" if tag else _GROUPS[by][0].lower()


def levels(chosen: str) -> list[tuple[str, str]]:
    """Return the groupings to offer and their labels, and the chosen tag."""
    tag = grouped_tag(chosen)
    own = [(chosen, f"Tag {tag}")] if tag else []
    return [*((name, label) for name, (label, _) in _GROUPS.items()), *own]


def group_row(request: PageRequest, by: str, then: str, group: SearchGroup) -> ListRow:
    """Return the row of a group, which leads to its findings where filters can choose these."""
    width = 1 if grouped_tag(by) else len(_GROUPS[by][1])
    first, second = group.key[:width], group.key[width:]
    title, note = _named(by, first)
    cells: dict[str, object] = {
        "group": title, "severities": group.severities, "findings": group.findings,
        "instances": group.instances,
    }  # fmt: skip
    notes, parts = {"group": note}, _filters(request, by, first)
    if then:
        cells["then"], notes["then"] = _named(then, second)
        inner = _filters(request, then, second)
        # A link must not show more than the group has.
        parts = (
            None
            if parts is None or inner is None or parts.keys() & inner.keys() == {"tag"}
            else {**parts, **inner}
        )
    changes = {"group": None, "then": None, "sort": None, "columns": None, **(parts or {})}
    href = request.here(**changes) if parts else ""
    if by == "vulnerability" and group.key[0] and not then:
        href = vulnerability_link(request, group.key[0])
    return ListRow(cells, href=href, notes=notes)


def _named(by: str, key: Sequence[str]) -> tuple[str, str]:
    """Return a group's name and the small text below it."""
    if name := grouped_tag(by):
        if not key[0]:
            return f"without {name}", "no such tag, or not discovered"
        return key[0][1:] or "empty", f"{name}{key[0]}"
    if by in {"instance", "region"}:
        return key[1], key[0]
    if by == "fix":
        return key[0] or "none", f"upgrade to {key[1]}" if key[1] else "no fixed version"
    return key[0] or "none", ""


def _filters(request: PageRequest, by: str, key: Sequence[str]) -> dict[str, object] | None:
    """Return the fields of the URL that choose a group's findings; None where none do."""
    name = grouped_tag(by)
    if not name:
        fields = _GROUPS[by][1]
        return {field: value for field, value in zip(fields, key, strict=True) if field and value}
    # The scope has one tag, of a value: without the chosen one the list would be longer.
    chosen = request.scope.tag.partition("=")[0]
    if len(key[0]) < 2 or "=" in name or chosen not in ("", name):
        return None
    return {"tag": f"{name}{key[0]}"}
