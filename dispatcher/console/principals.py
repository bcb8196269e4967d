"""Who may do what, as forms and lists of the settings have it: role, own account, scope."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dispatcher.console.web_messages import WebError
from sidelight.model import Principal, Role

if TYPE_CHECKING:
    from dispatcher.console.page import PageRequest

ROLES: Final = {
    Role.READER: "sees",
    Role.OPERATOR: "also suppresses, writes rules and starts scans",
    Role.ADMINISTRATOR: "also changes settings, people and keys",
}
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_MOST_TEXT: Final = 20_000  # characters: a thousand accounts


def scope_text(who: Principal) -> str:
    """Return a principal's accounts for people."""
    return "whole fleet" if who.accounts is None else ", ".join(sorted(who.accounts)) or "own"


def may_manage(request: PageRequest, who: Principal) -> bool:
    """Whether the person sees all that a key or user sees: nobody gives more than they have."""
    visible = request.scope.visible
    if visible is None:
        return True
    return who.accounts is not None and {who.account_id, *who.accounts} <= visible


def posted_principal(request: PageRequest, name: str) -> Principal:
    """Return the role and scope of a form, for this name. Raises WebError."""
    role, scope = request.posted("role"), request.posted("scope")
    if role not in set(Role) or scope not in {"own", "some", "fleet"}:
        raise WebError(400, "The form has a value that it does not offer.")
    account = request.posted("account")
    others = request.posted("others")[:_MOST_TEXT].replace(",", " ").split()
    for number in [account, *others]:
        if not _ACCOUNT.fullmatch(number):
            raise WebError(400, f"{number[:40]!r} is not an account: an account has 12 digits.")
    if scope == "some" and not others:
        raise WebError(400, "Name the further accounts, or choose the own account alone.")
    accounts = None if scope == "fleet" else frozenset(others if scope == "some" else ())
    who = Principal(name, Role(role), account, accounts)
    if not may_manage(request, who):
        raise WebError(404, "There is no such account, or you may not see it.",
                       "Nobody can give access to more than they see.")  # fmt: skip
    return who


def form_data(request: PageRequest, who: Principal | None = None) -> dict[str, object]:
    """Return what the fields of role and scope show: those of a principal, or of a new one."""
    accounts = who.accounts if who is not None else frozenset[str]()
    scope = "fleet" if accounts is None else "some" if accounts else "own"
    return {
        "roles": [(role.value, f"{role.value.capitalize()}: {text}",
                   role is (who.role if who else Role.READER)) for role, text in ROLES.items()],
        "account": who.account_id if who else request.principal.account_id,
        "chosen": scope,
        "others": " ".join(sorted(accounts or ())),
        "has_fleet": request.scope.visible is None,
    }  # fmt: skip


def settings_tabs(request: PageRequest, current: str) -> list[tuple[str, str, bool, None]]:
    """Return the tabs of the settings that the person may open."""
    paths = (("Accounts", "/settings"), ("Organizations", "/settings/organizations"),
             ("Access keys", "/settings/keys"),
             ("People", "/settings/people"))  # fmt: skip
    return [
        (label, request.link(path), path == current, None)
        for label, path in paths
        if path in {"/settings", "/settings/organizations"} or request.may(Role.ADMINISTRATOR)
    ]
