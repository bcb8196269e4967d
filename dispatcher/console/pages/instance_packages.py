"""The packages of an instance, and of one of them: what requires it, and what it requires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.services.package_relations import PackageRelations, package_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.console.page import DownloadAnswer, PageRequest
    from sidelight.model import Inventory

COLUMNS: Final = (
    ListColumn("name", "Package", sort="name"),
    ListColumn("version", "Version", "code"),
    ListColumn("type", "Type", sort="type"),
    ListColumn("required_by", "Required by", "number", sort="required_by"),
    ListColumn("requires", "Requires", "number", sort="requires", wide=True),
    ListColumn("path", "Path", "code", narrow=True),
    ListColumn("arch", "Architecture", optional=True),
    ListColumn("source", "Source", optional=True),
    ListColumn("licence", "Licence", optional=True),
    ListColumn("purl", "purl", "code", optional=True),
)
_MOST_SHOWN: Final = 200  # packages of one list of a package


def instance_packages(
    request: PageRequest, machine: Inventory | None, number: str
) -> dict[str, object] | DownloadAnswer:
    """Return the data of the tab; `machine` is None for an instance without an inventory."""
    chosen = request.value("of")
    if machine is None:
        return {"t": None, "relations": None, "is_gone": False}
    relations = PackageRelations(machine)
    listing = Listing(request, "Packages", COLUMNS, sort="name", size=100)
    wanted = request.value("q").casefold()
    rows = [
        _row(request, machine, relations, index)
        for index, item in enumerate(machine.packages)
        if wanted in item.name.casefold()
    ]
    if listing.format:
        return listing.download_items(rows, f"packages-{number}")
    index = relations.numbered(chosen) if chosen else None
    return {
        "t": listing.in_memory(rows),
        "relations": None if index is None else _relations(request, machine, relations, index),
        "is_gone": bool(chosen) and index is None,
    }


def _row(
    request: PageRequest, machine: Inventory, relations: PackageRelations, index: int
) -> ListRow:
    item = machine.packages[index]
    requires, required_by = relations.requires(index), len(relations.required_by(index))
    # With packages of unknown dependencies, none known is not none.
    is_bound = bool(relations.unknown)
    why = request.here(tab="packages", of=package_key(item))
    cells = {
        "name": item.name, "version": item.version, "type": item.type, "path": item.path,
        "arch": item.arch, "source": item.source_name, "licence": item.licence, "purl": item.purl,
        "required_by": "unknown" if is_bound and not required_by else required_by,
        "requires": "unknown" if requires is None else len(requires),
    }  # fmt: skip
    return ListRow(
        cells,
        links={"name": request.link("/packages", q=item.name), "required_by": why, "requires": why},
        notes={"required_by": "or more" if is_bound and required_by else ""},
    )


def _relations(
    request: PageRequest, machine: Inventory, relations: PackageRelations, index: int
) -> dict[str, object]:
    """Return what `package_relations.html` shows of one package."""

    def shown(indexes: Sequence[int]) -> list[tuple[str, str, str]]:
        return [
            (item.name, item.version, request.here(tab="packages", of=package_key(item)))
            for item in (machine.packages[other] for other in indexes)
        ]

    requires, required_by = relations.requires(index), relations.required_by(index)
    ways = relations.ways_to(index)
    return {
        "package": machine.packages[index],
        "requires": None if requires is None else shown(requires[:_MOST_SHOWN]),
        "more_required": max(0, len(requires or ()) - _MOST_SHOWN),
        "required_by": shown(required_by[:_MOST_SHOWN]),
        "more_requiring": max(0, len(required_by) - _MOST_SHOWN),
        "unknown": relations.unknown,
        "ways": [shown(way) for way in ways.ways],
        "has_more": ways.has_more,
        "close": request.here(tab="packages", of=None),
    }
