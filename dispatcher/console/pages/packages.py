"""Where is a package? Names over the whole fleet, versions of one, and the instances with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.charts import Bar, horizontal_bars
from dispatcher.console.finding_rows import instance_link
from dispatcher.console.lists import ListColumn, Listing, ListRow, wrong_position
from dispatcher.console.page import ConsolePage, TemplateAnswer
from dispatcher.console.web_messages import MOST_ID, WebError, whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.console.lists import Position
    from dispatcher.console.page import PageAnswer, PageRequest
    from sidelight.store import InstalledName, InstalledVersion

MOST_BARS: Final = 12
NAMES: Final = (
    ListColumn("name", "Package", sort="name"),
    ListColumn("type", "Type", sort="type"),
    ListColumn("instances", "Instances", kind="number", sort="instances"),
)
INSTALLATIONS: Final = (
    ListColumn("label", "Name"),
    ListColumn("version", "Version", kind="code"),
    ListColumn("instance", "Instance", kind="id"),
    ListColumn("account", "Account", kind="id", narrow=True),
    ListColumn("region", "Region", narrow=True),
)


def packages(request: PageRequest) -> PageAnswer:
    """Search packages by name, beginning or part of it."""
    text = request.value("q").strip()[:200]
    installed = request.store.installed_packages
    found = installed.search(text, request.scope.accounts) if text else []
    listing = Listing(request, "Packages", NAMES)
    rows = [_name(request, item) for item in found]
    if listing.format:
        return listing.download_items(rows, "packages")
    fact = ""
    if text:
        fact = f"{len(found):,} packages have “{text}” in their name." if found else ""
    data = {
        "q": text,
        "list": listing.in_memory(rows) if text else None,
        "unindexed": installed.unindexed(),
        "findings": request.link("/findings", package=text),
    }
    return TemplateAnswer("packages.html", data, fact=fact)


def package(request: PageRequest) -> PageAnswer:
    """Show a package: its versions, and the instances that have it."""
    accounts = request.scope.accounts
    installed = request.store.installed_packages
    number = whole_number(request.segments["package"], MOST_ID)
    known = None if number is None else installed.name(number, accounts)
    if known is None:
        raise WebError(404, "No instance has this package.", "Search for it by name.")
    version = whole_number(request.value("version"), MOST_ID)
    if version is None and request.value("version"):
        raise WebError(404, "No instance has this version.", "Choose one of the package.")
    versions = installed.versions(known.id, accounts)
    listing = Listing(request, "Instances", INSTALLATIONS)

    def read(after: Position, size: int) -> tuple[Sequence[ListRow], Position]:
        try:
            page = installed.installations(
                known.id, accounts, version=version, after=after, limit=size
            )
        except ValueError as error:
            raise wrong_position() from error
        rows = [
            ListRow(
                {
                    "label": row.label or row.instance,
                    "version": row.version,
                    "instance": row.instance,
                    "account": row.account,
                    "region": row.region,
                },
                instance_link(request, row.account, row.instance, "packages"),
            )
            for row in page.rows
        ]
        return rows, page.position

    if listing.format:
        return listing.download(read, "installations")
    rows, position = read(listing.after, listing.size)
    total = sum(item.instances for item in versions if version in {None, item.id})
    shown = next((item.version for item in versions if item.id == version), "")
    chips = [("Version", "is", shown, request.here(version=None))] if version is not None else []
    data = {
        "package": known,
        "bars": horizontal_bars(_bars(request, versions), "Instances by version"),
        "version_count": len(versions),
        "list": listing.page(rows, position, total),
        "chips": chips,
        "findings": request.link("/findings", package=known.name),
        "back": request.link("/packages", q=known.name),
    }
    return TemplateAnswer(
        "package.html", data, title=known.name,
        fact=f"On {_counted(known.instances, 'instance')}, "
             f"in {_counted(len(versions), 'version')}.",
    )  # fmt: skip


def _bars(request: PageRequest, versions: Sequence[InstalledVersion]) -> list[Bar]:
    """Return the most frequent versions, and the others as one bar."""
    bars = [
        Bar(item.version or "(no version)", item.instances, request.here(version=item.id))
        for item in versions[:MOST_BARS]
    ]
    others = versions[MOST_BARS:]
    if others:
        total = sum(item.instances for item in others)
        bars.append(Bar(f"{len(others):,} other versions", total))
    return bars


def _name(request: PageRequest, item: InstalledName) -> ListRow:
    cells = {"name": item.name, "type": item.type, "instances": item.instances}
    return ListRow(cells, request.link(f"/packages/{item.id}"))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


PAGES = (
    ConsolePage("/packages", "Packages", packages),
    ConsolePage("/packages/{package}", "Package", package, section="/packages"),
)
