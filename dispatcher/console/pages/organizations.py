"""Organizations: their members, and whether accounts that join are scanned.

What a change will do is shown first, and that page does it. The service is the API's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, RedirectAnswer, TemplateAnswer
from dispatcher.console.pages.account_status import chosen_accounts
from dispatcher.console.principals import settings_tabs
from dispatcher.console.web_messages import WebError
from dispatcher.services.configuration import RefusedError
from dispatcher.services.organization_members import OrganizationMembers, is_enabled
from sidelight.errors import UsageError
from sidelight.model import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dispatcher.console.page import DownloadAnswer, PageRequest
    from sidelight.model import OrganizationConfiguration

_ORGANIZATIONS: Final = (
    ListColumn("organization", "Organization", "code", sort="organization"),
    ListColumn("administrator", "Administrator", "id"),
    ListColumn("joining", "Accounts that join"),
    ListColumn("members", "Members", "number", sort="members"),
    ListColumn("changed", "Changed", "time", sort="changed"),
)
_MEMBERS: Final = (
    ListColumn("account", "Account", "id", sort="account"),
    ListColumn("status", "Status", "status", sort="status"),
    ListColumn("membership", "Membership", sort="membership"),
    ListColumn("instances", "Instances", "number", sort="instances"),
    ListColumn("changed", "Changed", "time", sort="changed"),
)
_PATH: Final = "/settings/organizations"


def organizations(request: PageRequest) -> TemplateAnswer | DownloadAnswer:
    """List the organizations that the person may see."""
    members: dict[str, int] = {}
    for row in request.store.configurations.accounts():
        members[row.organization] = members.get(row.organization, 0) + 1
    rows = [
        ListRow(
            {
                "organization": item.id, "administrator": item.administrator,
                "joining": _joining(item), "members": members.get(item.id, 0),
                "changed": item.updated_at,
            },
            href=request.link(f"{_PATH}/{item.id}"),
        )
        for item in request.store.configurations.organizations()
        if request.scope.allows(item.administrator)
    ]  # fmt: skip
    listing = Listing(request, "Organizations", _ORGANIZATIONS, sort="organization")
    if listing.format:
        return listing.download_items(rows, "organizations")
    data = {"t": listing.in_memory(rows), "tabs": settings_tabs(request, _PATH)}
    return TemplateAnswer("settings_organizations.html", data)


def organization(request: PageRequest) -> TemplateAnswer | DownloadAnswer:
    """List an organization's members, with the forms that change them."""
    item = _organization(request)
    counts = request.store.instances.counts()
    rows = [
        ListRow(
            {
                "account": row.account, "status": row.status.value,
                "membership": _membership(item, row.account, left=not row.organization),
                "instances": counts.get(row.account, 0), "changed": row.updated_at,
            },
            href=request.link(f"/settings/accounts/{row.account}"),
            key=row.account,
        )
        for row in request.store.configurations.accounts()
        if item.id in (row.organization, row.left_organization)
        and request.scope.allows(row.account)
    ]  # fmt: skip
    listing = Listing(request, "Members", _MEMBERS, sort="account")
    if listing.format:
        return listing.download_items(rows, "members")
    data = {"t": listing.in_memory(rows), "item": item, "may_change": _may_change(request, item),
            "path": f"{_PATH}/{item.id}", "joining": _joining(item)}  # fmt: skip
    members = sum(row.cells["membership"] != _LEFT for row in rows)
    return TemplateAnswer(
        "settings_organization.html", data, title=f"Organization {item.id}",
        fact=f"{members:,} {'account is a member' if members == 1 else 'accounts are members'}.",
    )  # fmt: skip


def confirm_associate(request: PageRequest) -> TemplateAnswer:
    """Show what associating an account will do."""
    item, service = _changed(request), _service(request)
    account = request.value("account").strip()[:40]
    if not account:
        raise WebError(404, "No account is chosen.", "Go back, and name one.")
    _checked(lambda: service.check_associate(item, account, request.principal))
    joined = service.would_join(item, account)
    effects = []
    if joined is not None:
        scanned = "It is scanned, as before." if is_enabled(joined) else (
            "It is not scanned until somebody enables it: accounts that join are not enabled."
        )  # fmt: skip
        if is_enabled(joined) and item.auto_enable:
            scanned = "It is scanned from the next discovery on."
        effects = [
            f"Account {item.administrator} sees its findings, and changes how it is scanned.",
            "What is not set for the account itself is inherited from the administrator's.",
            "The administrator's suppression rules hold for its findings, from now on.",
            scanned,
        ]
    return _confirmation(request, item, "associate", [account] if effects else [], effects)


def confirm_disassociate(request: PageRequest) -> TemplateAnswer:
    """Show what disassociating the chosen members will do."""
    item, service = _changed(request), _service(request)
    accounts = chosen_accounts(request, request.fields)
    for account in accounts:
        _checked(lambda account=account: service.check_disassociate(item, account))  # type: ignore[misc]
    effects = [
        f"Account {item.administrator} no longer sees these accounts' findings.",
        "What they inherited ends: the defaults hold where nothing is set for an account itself.",
        "The administrator's suppression rules hold no longer: their findings are active again.",
        "Scanning goes on where it is enabled, and the administrator may associate them again.",
    ]
    return _confirmation(request, item, "disassociate", accounts, effects)


def confirm_auto_enable(request: PageRequest) -> TemplateAnswer:
    """Show what another auto-enable will do."""
    item = _changed(request)
    if not request.value("auto"):
        raise WebError(404, "Nothing is chosen.", "Go back, and choose what happens.")
    wanted = _choice(request.value("auto"))
    effects = []
    if wanted is not item.auto_enable:
        joining = (
            "are enabled: the next discovery lists their instances, and they are scanned."
            if wanted
            else "are not scanned until somebody enables them."
        )
        effects = [
            f"Accounts that join from now on {joining}",
            "Members that are there already stay as they are.",
        ]
    return _confirmation(request, item, "auto-enable", [], effects)


def associate(request: PageRequest) -> RedirectAnswer:
    """Associate the account of a form."""
    item, account = _changed(request), request.posted("account")[:40]
    _checked(lambda: _service(request).associate(item, account, request.principal))
    return RedirectAnswer(_back(request, item), f"Account {account} is a member.")


def disassociate(request: PageRequest) -> RedirectAnswer:
    """Disassociate the members of a form: all of them, or none where one is refused."""
    item, service = _changed(request), _service(request)
    accounts = chosen_accounts(request, request.form)
    for account in accounts:
        _checked(lambda account=account: service.check_disassociate(item, account))  # type: ignore[misc]
    for account in accounts:
        _checked(lambda account=account: service.disassociate(item, account))  # type: ignore[misc]
    noun = "account has left" if len(accounts) == 1 else "accounts have left"
    return RedirectAnswer(_back(request, item), f"{len(accounts):,} {noun} the organization.")


def auto_enable(request: PageRequest) -> RedirectAnswer:
    """Set whether accounts that join are enabled."""
    item, wanted = _changed(request), _choice(request.posted("auto"))
    request.services.configuration.configure_organization(item.id, auto_enable=wanted)
    joining = "enabled" if wanted else "not enabled"
    return RedirectAnswer(_back(request, item), f"Accounts that join are {joining}.")


_LEFT: Final = "Disassociated"


def _membership(item: OrganizationConfiguration, account: str, *, left: bool) -> str:
    if account == item.administrator:
        return "Administrator"
    return _LEFT if left else "Member"


def _joining(item: OrganizationConfiguration) -> str:
    return "are enabled" if item.auto_enable else "are not enabled"


def _service(request: PageRequest) -> OrganizationMembers:
    return OrganizationMembers(request.store, request.services.configuration)


def _organization(request: PageRequest) -> OrganizationConfiguration:
    """Return the organization of the path, if the person may see it. Raises WebError."""
    found = request.store.configurations.organization(request.segments["organization"])
    if found is None or not request.scope.allows(found.administrator):
        raise WebError(404, "There is no such organization, or you may not see it.")
    return found


def _may_change(request: PageRequest, item: OrganizationConfiguration) -> bool:
    return request.may(Role.ADMINISTRATOR) and item in _service(request).administered(
        request.principal
    )


def _changed(request: PageRequest) -> OrganizationConfiguration:
    """Return the organization of the path, if the person may change it. Raises WebError."""
    item = _organization(request)
    if not _may_change(request, item):
        raise WebError(403, f"Only account {item.administrator} changes its members.",
                       "So do administrators of the whole fleet.")  # fmt: skip
    return item


def _checked(change: Callable[[], None]) -> None:
    """Make a change, or check that it may be made. Raises WebError."""
    try:
        change()
    except RefusedError as error:
        raise WebError(409, f"{error.what[:1].upper()}{error.what[1:]}.") from error
    except UsageError as error:
        raise WebError(400, f"{error.what[:1].upper()}{error.what[1:]}.") from error


def _choice(value: str) -> bool:
    if value not in {"on", "off"}:
        raise WebError(400, "The form has a value that it does not offer.")
    return value == "on"


def _back(request: PageRequest, item: OrganizationConfiguration) -> str:
    return request.link(f"{_PATH}/{item.id}")


def _confirmation(
    request: PageRequest,
    item: OrganizationConfiguration,
    verb: str,
    accounts: Sequence[str],
    effects: Sequence[str],
) -> TemplateAnswer:
    fields = [("account" if verb == "associate" else "key", account) for account in accounts]
    if verb == "auto-enable":
        fields = [("auto", request.value("auto"))]
    data = {
        "item": item, "verb": verb, "accounts": accounts, "effects": effects, "fields": fields,
        "path": f"{_PATH}/{item.id}",
    }  # fmt: skip
    noun = "1 account" if len(accounts) == 1 else f"{len(accounts):,} accounts"
    title = "Accounts that join" if verb == "auto-enable" else f"{verb.capitalize()} {noun}"
    return TemplateAnswer("settings_members.html", data, title=title)


_ADMINISTRATOR: Final = Role.ADMINISTRATOR
_ONE: Final = f"{_PATH}/{{organization}}"
PAGES = (
    ConsolePage(_PATH, "Organizations", organizations, section="/settings"),
    ConsolePage(_ONE, "Organization", organization, section="/settings"),
    ConsolePage(f"{_ONE}/associate", "Associate an account", confirm_associate, _ADMINISTRATOR,
                section="/settings"),
    ConsolePage(f"{_ONE}/associate", "Associate an account", associate, _ADMINISTRATOR, "POST",
                "/settings", "AssociateMember"),
    ConsolePage(f"{_ONE}/disassociate", "Disassociate members", confirm_disassociate,
                _ADMINISTRATOR, section="/settings"),
    ConsolePage(f"{_ONE}/disassociate", "Disassociate members", disassociate, _ADMINISTRATOR,
                "POST", "/settings", "DisassociateMember"),
    ConsolePage(f"{_ONE}/auto-enable", "Accounts that join", confirm_auto_enable, _ADMINISTRATOR,
                section="/settings"),
    ConsolePage(f"{_ONE}/auto-enable", "Accounts that join", auto_enable, _ADMINISTRATOR, "POST",
                "/settings", "UpdateOrganizationConfiguration"),
)  # fmt: skip
