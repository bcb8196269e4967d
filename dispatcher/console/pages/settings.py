"""Settings: accounts and how they are scanned.

A change is shown before it is made: the form leads to what it will do, and that page applies it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.auditing import KEY
from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, RedirectAnswer, TemplateAnswer
from dispatcher.console.pages.instances import sentence
from dispatcher.console.principals import settings_tabs
from dispatcher.console.unlisted import Unlisted
from dispatcher.console.web_messages import WebError
from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.services.unreached_accounts import unreached_accounts, unreached_by_account
from sidelight.errors import UsageError
from sidelight.model import CALL_OK, AccountStatus, Ec2ScanMode, Role

if TYPE_CHECKING:
    from dispatcher.console.page import DownloadAnswer, PageRequest
    from sidelight.model import AuditRecord, EffectiveConfiguration

_ACCOUNTS: Final = (
    ListColumn("account", "Account", "id", sort="account"),
    ListColumn("status", "Status", "status", sort="status"),
    ListColumn("mode", "Scan mode", sort="mode"),
    ListColumn("deep", "Deep inspection"),
    ListColumn("tag", "Exclusion tag", "code", narrow=True),
    ListColumn("paths", "Custom paths", "number", narrow=True),
    ListColumn("instances", "Instances", "number", sort="instances"),
    ListColumn("organization", "Organization", "code", wide=True),
    ListColumn("changed", "Changed", "time", sort="changed", optional=True),
)
_RECORDS: Final = 500  # of the audit log, the newest, that are searched
# On the console, and by the API.
_CHANGES: Final = frozenset({
    "ConfigureAccount", "DisableAccounts", "EnableAccounts",
    "BatchUpdateMemberEc2DeepInspectionStatus", "Disable", "Enable", "UpdateConfiguration",
    "UpdateEc2DeepInspectionConfiguration", "AssociateMember", "DisassociateMember",
})  # fmt: skip
MODES: Final = {
    Ec2ScanMode.HYBRID: "Hybrid: by Systems Manager, else by snapshots",
    Ec2ScanMode.AGENT_BASED: "Agent-based: by Systems Manager alone",
}


def _configured(request: PageRequest) -> list[EffectiveConfiguration]:
    service, accounts = request.services.configuration, request.scope.accounts
    known = service.known_accounts()
    shown = known if accounts is None else sorted(accounts)
    return service.effective(shown)


def accounts(request: PageRequest) -> TemplateAnswer | DownloadAnswer:
    """List accounts and how they are scanned."""
    counts = request.store.instances.counts()
    own = {row.account: row for row in request.store.configurations.accounts()}
    scope = request.scope
    unreached = unreached_by_account(request.store, scope.accounts, scope.region)
    rows = []
    for item in _configured(request):
        row = own.get(item.account)
        cells = {
            "account": item.account,
            "status": item.status.value,
            "mode": "Hybrid" if item.mode is Ec2ScanMode.HYBRID else "Agent-based",
            "deep": "on" if item.deep_inspection else "off",
            "tag": item.exclusion_tag,
            "paths": len(item.package_paths),
            "instances": counts.get(item.account, 0),
            "organization": row.organization if row else "",
            "changed": row.updated_at if row else None,
        }
        notes = {"mode": "inherited" if "mode" in item.inherited else ""}
        tones = {}
        if missing := unreached.get(item.account):
            # Enabled, and yet nothing is scanned, or not in each Region.
            region = f"{missing[0].target.region} " if missing[0].target.region else ""
            reason = sentence(missing[0].target.reason).lower()
            more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
            notes["status"] = f"{region}could not be listed: {reason}{more}"
            tones = {"status": "warn" if region else "bad"}
        href = request.link(f"/settings/accounts/{item.account}")
        rows.append(ListRow(cells, href=href, key=item.account, notes=notes, tones=tones))
    listing = Listing(request, "Accounts", _ACCOUNTS, sort="account")
    if listing.format:
        return listing.download_items(rows, "accounts")
    data = {"t": listing.in_memory(rows), "tabs": settings_tabs(request, "/settings")}  # fmt: skip
    enabled = sum(
        row.cells["status"] == AccountStatus.ENABLED.value and row.tones.get("status") != "bad"
        for row in rows
    )
    return TemplateAnswer("settings.html", data, fact=f"{enabled:,} of {len(rows):,} accounts"
                          " are scanned.")  # fmt: skip


def account(request: PageRequest) -> TemplateAnswer:
    """Show an account's settings; with fields in the URL, what a change will do."""
    item = _account(request)
    own = request.store.configurations.account(item.account)
    change, problem = None, ""
    if request.value("review"):
        try:
            change = _change(request.fields)
            request.services.configuration.check([item.account], change)
        except UsageError as error:
            change, problem = None, str(error)
    count = request.store.instances.counts([item.account]).get(item.account, 0)
    organizations = request.store.configurations.organizations()
    found = unreached_accounts(request.store, [item.account])
    data = {
        "unlisted": Unlisted(found, len(found), None),
        "sentence": sentence,
        "cap": request.services.settings.budget.usd_per_day,
        "administers": [org.id for org in organizations if org.administrator == item.account],
        "administrator": next(
            (org.administrator for org in organizations if own and org.id == own.organization), ""
        ),
        "last_change": last_change(request, item.account),
        "item": item,
        "own": own,
        "modes": [(mode.value, label, mode is item.mode) for mode, label in MODES.items()],
        "effects": _effects(item, change, count) if change is not None else [],
        "reviewed": change is not None,
        "problem": problem,
        "fields": [(name, request.value(name)) for name in ("mode", "deep", "tag", "paths")],
        "instances": count,
    }
    return TemplateAnswer("settings_account.html", data, title=f"Account {item.account}")


def last_change(request: PageRequest, account: str) -> AuditRecord | None:
    """Return the newest record of a change of an account's settings, for those who may read it.

    None where it is not one of the newest records, or of a principal that the person may not see.
    """
    if not request.may(Role.ADMINISTRATOR):
        return None
    for record in request.store.audit_log.newest(_RECORDS):
        if record.operation in _CHANGES and record.outcome == CALL_OK:
            is_own = record.key != KEY and record.account == account
            if is_own or f'"{account}"' in record.detail:
                return record if request.scope.allows(record.account) else None
    return None


def change_account(request: PageRequest) -> RedirectAnswer:
    """Apply a change that was shown."""
    item = _account(request)
    actor = "" if request.principal.accounts is None else request.principal.account_id
    change = _change(request.form)
    result = request.services.configuration.configure([item.account], change, actor=actor)
    if result.failed:
        raise WebError(409, result.failed[0].message)
    return RedirectAnswer(
        request.link(f"/settings/accounts/{item.account}"), "The change is saved."
    )


def _account(request: PageRequest) -> EffectiveConfiguration:
    number = request.segments["account"]
    request.check_account(number)
    if number not in request.services.configuration.known_accounts([number]):
        raise WebError(404, "There is no such account, or you may not see it.")
    return request.services.configuration.effective([number])[0]


def _change(fields: dict[str, list[str]]) -> ConfigurationChange:
    def value(name: str) -> str:
        return fields.get(name, [""])[0].strip()

    mode, deep = value("mode"), value("deep")
    if mode not in ("", *Ec2ScanMode) or deep not in ("", "on", "off"):
        raise WebError(400, "The form has a value that it does not offer.")
    paths = tuple(filter(None, (line.strip() for line in value("paths").splitlines())))
    change = ConfigurationChange(
        mode=Ec2ScanMode(mode) if mode else None,
        deep_inspection=None if not deep else deep == "on",
        exclusion_tag=value("tag") or None,
        package_paths=paths if "paths" in fields else None,
    )
    change.check()
    return change


def _effects(
    item: EffectiveConfiguration, change: ConfigurationChange, instances: int
) -> list[str]:
    """Return what a change will do, in sentences."""
    effects = []
    if change.mode is not None and change.mode is not item.mode:
        effects.append(
            f"The scan mode of {instances:,} instances becomes {MODES[change.mode].lower()}."
            + (" Instances that Systems Manager does not manage are not scanned any more, and"
               " coverage says so." if change.mode is Ec2ScanMode.AGENT_BASED else
               " Instances that Systems Manager does not manage get snapshots from the next round"
               " on; each is deleted after its scan.")
        )  # fmt: skip
    if change.deep_inspection is not None and change.deep_inspection is not item.deep_inspection:
        effects.append(
            "Deep inspection is switched on: the next round creates a document and an association"
            " in Systems Manager." if change.deep_inspection else
            "Deep inspection is switched off: findings of language packages of instances with an"
            " agent are closed by the next evaluation."
        )  # fmt: skip
    if change.exclusion_tag is not None and change.exclusion_tag != item.exclusion_tag:
        effects.append(
            f"Instances with the tag {change.exclusion_tag} are not scanned;"
            f" the tag {item.exclusion_tag} excludes none any more."
        )
    if change.package_paths is not None and set(change.package_paths) != set(item.package_paths):
        effects.append(f"Deep inspection looks below {len(change.package_paths)} custom paths.")
    return effects or ["Nothing changes: these values hold already."]


_ADMINISTRATOR: Final = Role.ADMINISTRATOR
PAGES = (
    ConsolePage("/settings", "Settings", accounts),
    ConsolePage("/settings/accounts/{account}", "Account", account, section="/settings"),
    ConsolePage("/settings/accounts/{account}", "Change", change_account, _ADMINISTRATOR, "POST",
                "/settings", "ConfigureAccount"),
)  # fmt: skip
