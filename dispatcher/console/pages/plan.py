"""The remediation plan: upgrades by what each closes, and the machines of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.finding_rows import instance_link
from dispatcher.console.lists import ListColumn, Listing, ListRow, wrong_position
from dispatcher.console.page import ConsolePage, TemplateAnswer
from dispatcher.console.web_messages import WebError
from sidelight.model import MOST_SEVERE_FIRST
from sidelight.store import measures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.console.lists import Position
    from dispatcher.console.page import PageAnswer, PageRequest
    from sidelight.remediation import UpgradeAction
    from sidelight.store import UpgradedMachine

_GRADES: Final = tuple(grade.value for grade in MOST_SEVERE_FIRST)
COLUMNS: Final = (
    ListColumn("package", "Upgrade", sort="package"),
    ListColumn("system", "System", sort="system", narrow=True),
    ListColumn("machines", "Machines", kind="number", sort="machines"),
    ListColumn("findings", "Closes", kind="number", sort="findings"),
    ListColumn("closes", "By severity", kind="severities"),
    ListColumn("flags", "Flags", kind="flags"),
    ListColumn("exploited", "Exploited", kind="number", sort="exploited", optional=True),
    ListColumn("exposed", "Exposed", kind="number", sort="exposed", optional=True),
    ListColumn("weight", "Weight", kind="number", sort="weight", optional=True),
    ListColumn("command", "Command", kind="code", optional=True),
)
MACHINES: Final = (
    ListColumn("name", "Name"),
    ListColumn("instance", "Instance", kind="id"),
    ListColumn("account", "Account", kind="id"),
    ListColumn("region", "Region", narrow=True),
    ListColumn("findings", "Closes here", kind="number"),
)


def plan(request: PageRequest) -> PageAnswer:
    """List the upgrades of the scope, the heaviest first; `severity` limits what counts."""
    accounts = request.scope.accounts
    found = request.store.remediations.kept(accounts)
    request.one_of("severity", _GRADES)
    wanted = [grade for grade in request.fields.get("severity", []) if grade]
    actions = [
        action for action in found.actions
        if not wanted or any(action.closes.get(grade) for grade in wanted)
    ]  # fmt: skip
    reboots = request.one_of("reboot", ("yes", "no"))
    if reboots:
        actions = [action for action in actions if action.reboot == (reboots == "yes")]
    listing = Listing(request, "Upgrades", COLUMNS, sort="-weight")
    rows = [_row(request, action) for action in actions]
    if listing.format:
        return listing.download_items(rows, "plan")
    unfixable = request.store.fleet_overview.sums([measures.UNFIXABLE], accounts)
    data = {
        "list": listing.in_memory(rows),
        "counted_at": found.counted_at,
        "is_counted": found.counted_at is not None,
        "chips": _chips(request, wanted, reboots),
        "clear": request.here(severity=None, reboot=None),
        "grades": [(grade, request.here(severity=grade)) for grade in _GRADES[:4]],
        "unfixable": int(unfixable[measures.UNFIXABLE].total),
        "no_fix": request.link("/findings", fix="NO"),
    }
    closes = sum(action.findings for action in actions)
    fact = f"{len(actions):,} upgrades close {closes:,} findings." if actions else ""
    return TemplateAnswer("plan.html", data, fact=fact)


def machines(request: PageRequest) -> PageAnswer:
    """Show one upgrade: its command, what it closes, and its machines."""
    accounts = request.scope.accounts
    key = request.value("type"), request.value("ecosystem"), request.value("package")
    if not key[2]:
        raise WebError(404, "This upgrade is not in the plan.", "Choose one in the plan.")
    action = request.store.remediations.action(key, accounts)
    listing = Listing(request, "Machines", MACHINES)

    def read(after: Position, size: int) -> tuple[Sequence[ListRow], Position]:
        try:
            found = request.store.remediations.machines(key, accounts, after, limit=size + 1)
        except ValueError as error:
            raise wrong_position() from error
        rows = [_machine(request, machine) for machine in found[:size]]
        last = found[size - 1].place if len(found) > size else None
        return rows, None if last is None else {"key": [last.account, last.instance]}

    if listing.format:
        return listing.download(read, "machines")
    rows, position = read(listing.after, listing.size)
    if action is None and not rows:
        raise WebError(404, "This upgrade is not in the plan.", "It may be done: see the plan.")
    data = {
        "list": listing.page(rows, position, action.machines if action else None),
        "action": action_view(request, action) if action else None,
        "findings": request.link("/findings", package=key[2]),
    }
    return TemplateAnswer("plan_machines.html", data, title=f"Upgrade {key[2]}")


def action_view(request: PageRequest, action: UpgradeAction) -> dict[str, object]:
    """Return an action as templates show it."""
    purl_type, ecosystem, package = action.key
    return {
        "package": package,
        "version": action.version,
        "system": ecosystem or purl_type,
        "machines": action.machines,
        "exposed": action.exposed,
        "findings": action.findings,
        "vulnerabilities": action.vulnerabilities,
        "exploited": action.exploited,
        "closes": action.closes,
        "reboot": action.reboot,
        "command": action.command,
        "href": request.link(
            "/plan/machines", type=purl_type, ecosystem=ecosystem, package=package
        ),
    }


def _row(request: PageRequest, action: UpgradeAction) -> ListRow:
    view = action_view(request, action)
    flags = [
        name
        for name, is_there in (
            ("Exploited", action.exploited),
            ("Reachable", action.exposed),
            ("Reboot", action.reboot),
        )
        if is_there
    ]
    cells = {column.name: view.get(column.name) for column in COLUMNS}
    cells |= {"flags": flags, "weight": round(action.weight, 1), "command": action.command}
    return ListRow(cells, str(view["href"]), notes={"package": f"to {action.version}"})


def _machine(request: PageRequest, machine: UpgradedMachine) -> ListRow:
    place = machine.place
    return ListRow(
        {
            "name": machine.label or place.instance,
            "instance": place.instance,
            "account": place.account,
            "region": place.region,
            "findings": machine.findings,
        },
        instance_link(request, place.account, place.instance),
    )


def _chips(
    request: PageRequest, wanted: Sequence[str], reboots: str
) -> list[tuple[str, str, str, str]]:
    chips = [
        ("Severity", "is", grade.capitalize(),
         request.here(severity=[other for other in wanted if other != grade]))
        for grade in wanted
    ]  # fmt: skip
    if reboots in {"yes", "no"}:
        chips.append(("Reboot", "is", "needed" if reboots == "yes" else "not needed",
                      request.here(reboot=None)))  # fmt: skip
    return chips


PAGES = (
    ConsolePage("/plan", "Plan", plan),
    ConsolePage("/plan/machines", "Upgrade", machines, section="/plan"),
)
