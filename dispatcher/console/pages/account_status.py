"""Enabling and disabling accounts: what it will do is shown first, and that page does it.

The service is the one that the command line and the API call. The dispatcher removes what was
created in a disabled account (docs/configuration.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.console.page import ConsolePage, RedirectAnswer, TemplateAnswer
from dispatcher.console.web_messages import WebError
from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.services.configuration import MOST_ACCOUNTS
from sidelight.model import AccountStatus, Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dispatcher.console.page import PageRequest
    from dispatcher.services.configuration import ConfiguredAccounts
    from sidelight.model import EffectiveConfiguration


def confirm_disable(request: PageRequest) -> TemplateAnswer:
    """Show what disabling the chosen accounts will do."""
    chosen, changing, refused = _considered(request, AccountStatus.ENABLED)
    counts = request.store.instances.counts(changing)
    instances = sum(counts.get(account, 0) for account in changing)
    live, snapshots = request.store.account_scans.counts(changing)
    effects = [
        f"{instances:,} instances are not scanned any more, and coverage says so."
        if instances != 1
        else "1 instance is not scanned any more, and coverage says so.",
        f"Scans under way end: {live:,}. Their snapshots are deleted: {snapshots:,}."
        if live or snapshots
        else "No scan is under way, and no snapshot is left.",
        "What Sidelight created in Systems Manager, and its grants of keys, are removed.",
        "Findings are deleted 24 hours from now, unless the account is enabled again before.",
        "The dispatcher does this. Until it has, the account cannot be enabled.",
    ]
    return _confirmation(chosen, changing, refused, effects if changing else [], "disable")


def confirm_enable(request: PageRequest) -> TemplateAnswer:
    """Show what enabling the chosen accounts will do."""
    chosen, changing, refused = _considered(request, AccountStatus.DISABLED)
    effects = [
        "The next discovery lists the instances, and they are scanned as the scan mode says.",
        "In the mode hybrid snapshots are created; each is deleted after its scan.",
        "Findings that are still stored stay.",
    ]
    return _confirmation(chosen, changing, refused, effects if changing else [], "enable")


def disable(request: PageRequest) -> RedirectAnswer:
    """Disable the accounts of a form."""
    service = request.services.configuration
    chosen = [item.account for item in _chosen(request, request.form)]
    staying = service.administrators_with_members(chosen)
    done = service.begin_disable(
        [account for account in chosen if account not in staying], actor=_actor(request)
    )
    return _answer(request, done, staying, "Scanning is being disabled in")


def enable(request: PageRequest) -> RedirectAnswer:
    """Enable the accounts of a form."""
    chosen = [item.account for item in _chosen(request, request.form)]
    done = request.services.configuration.enable(
        chosen, ConfigurationChange(), actor=_actor(request)
    )
    return _answer(request, done, (), "Scanning is enabled in")


def _actor(request: PageRequest) -> str:
    return "" if request.principal.accounts is None else request.principal.account_id


def chosen_accounts(request: PageRequest, fields: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the accounts of a form's boxes that the person may see. Raises WebError."""
    numbers = list(dict.fromkeys(fields.get("key", ())))
    if not numbers:
        raise WebError(404, "No account is chosen.", "Go back, and select accounts of the list.")
    if len(numbers) > MOST_ACCOUNTS:
        raise WebError(400, f"At most {MOST_ACCOUNTS} accounts are changed at once.")
    for number in numbers:
        request.check_account(number)
    return numbers


def _chosen(
    request: PageRequest, fields: Mapping[str, Sequence[str]]
) -> list[EffectiveConfiguration]:
    """Return the known accounts of a form's boxes. Raises WebError."""
    numbers, service = chosen_accounts(request, fields), request.services.configuration
    if set(numbers) - set(service.known_accounts(numbers)):
        raise WebError(404, "There is no such account, or you may not see it.")
    return service.effective(numbers)


def _considered(
    request: PageRequest, status: AccountStatus
) -> tuple[list[EffectiveConfiguration], list[str], dict[str, str]]:
    """Return the chosen accounts, those that leave this status, and why others are refused."""
    chosen = _chosen(request, request.fields)
    refused = _refused(request, chosen, disables=status is AccountStatus.ENABLED)
    changing = [
        item.account for item in chosen if item.account not in refused and item.status is status
    ]
    return chosen, changing, refused


def _refused(
    request: PageRequest, chosen: Sequence[EffectiveConfiguration], *, disables: bool
) -> dict[str, str]:
    """Return why accounts would not be changed, by account."""
    service = request.services.configuration
    accounts = [item.account for item in chosen]
    failed = service.refused(accounts, actor=_actor(request), disables=disables)
    refused = {item.account: item.message for item in failed}
    for account in service.administrators_with_members(accounts) if disables else ():
        refused.setdefault(account, _MEMBERS)
    for item in chosen:
        if item.status is AccountStatus.PENDING_DISABLE:
            refused.setdefault(item.account, "its disabling has not ended yet")
    return refused


def _confirmation(
    chosen: Sequence[EffectiveConfiguration],
    changing: Sequence[str],
    refused: Mapping[str, str],
    effects: Sequence[str],
    verb: str,
) -> TemplateAnswer:
    holds = {"disable": "is disabled already", "enable": "is enabled already"}[verb]
    data = {
        "verb": verb,
        "changing": changing,
        "effects": effects,
        "unchanged": [
            (item.account, refused.get(item.account, holds))
            for item in chosen
            if item.account not in changing
        ],
    }
    noun = "1 account" if len(changing) == 1 else f"{len(changing):,} accounts"
    return TemplateAnswer("account_status.html", data, title=f"{verb.capitalize()} {noun}")


def _answer(
    request: PageRequest, done: ConfiguredAccounts, staying: Sequence[str], what: str
) -> RedirectAnswer:
    reasons = [item.message for item in done.failed] + [_MEMBERS for _ in staying]
    if not done.accounts:
        raise WebError(409, reasons[0][:1].upper() + reasons[0][1:] + ".")
    count = len(done.accounts)
    text = f"{what} {count:,} account{'s' if count > 1 else ''}."
    if reasons:
        text += f" {len(reasons):,} were refused: {reasons[0]}."
    return RedirectAnswer(request.link("/settings"), text)


_MEMBERS: Final = "disassociate the members of its organization first"
_ADMINISTRATOR: Final = Role.ADMINISTRATOR
PAGES = (
    ConsolePage("/settings/disable", "Disable accounts", confirm_disable, _ADMINISTRATOR,
                section="/settings"),
    ConsolePage("/settings/disable", "Disable accounts", disable, _ADMINISTRATOR, "POST",
                "/settings", "DisableAccounts"),
    ConsolePage("/settings/enable", "Enable accounts", confirm_enable, _ADMINISTRATOR,
                section="/settings"),
    ConsolePage("/settings/enable", "Enable accounts", enable, _ADMINISTRATOR, "POST",
                "/settings", "EnableAccounts"),
)  # fmt: skip
