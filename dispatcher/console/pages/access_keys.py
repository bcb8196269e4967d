"""The API's access keys: created with a secret that is shown once, and revoked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, RedirectAnswer, TemplateAnswer
from dispatcher.console.principals import (
    form_data,
    may_manage,
    posted_principal,
    scope_text,
    settings_tabs,
)
from dispatcher.console.web_messages import WebError, whole_number
from dispatcher.services.access_keys import AccessKeyService, Seal, required_seal, revoke
from sidelight.errors import UsageError
from sidelight.model import Role

if TYPE_CHECKING:
    from dispatcher.console.page import DownloadAnswer, PageRequest

_KEYS: Final = (
    ListColumn("key", "Key", "id"),
    ListColumn("name", "Principal", sort="name"),
    ListColumn("role", "Role", sort="role"),
    ListColumn("scope", "Scope"),
    ListColumn("status", "Status", "status", sort="status"),
    ListColumn("used", "Last used", "time", sort="used"),
    ListColumn("created", "Created", "time", sort="created", narrow=True),
    ListColumn("expires", "Expires", "time", narrow=True),
)
_MOST_DAYS: Final = 3650


def keys(request: PageRequest) -> TemplateAnswer | DownloadAnswer:
    """List access keys, with the form of a new one."""
    rows = [
        ListRow(
            {
                "key": key.id, "name": key.principal.name, "role": key.principal.role.value,
                "scope": scope_text(key.principal), "status": key.status(request.now).value,
                "used": key.last_used_at, "created": key.created_at, "expires": key.expires_at,
            },
            key=key.id, notes={"name": key.principal.account_id},
        )
        for key in request.store.access_keys.all() if may_manage(request, key.principal)
    ]  # fmt: skip
    listing = Listing(request, "Access keys", _KEYS, sort="name")
    if listing.format:
        return listing.download_items(rows, "keys")
    try:
        sealed, problem = Seal.of(request.services.settings.api.seal) is not None, ""
    except UsageError as error:
        sealed, problem = False, str(error)
    data = {
        "t": listing.in_memory(rows),
        "tabs": settings_tabs(request, "/settings/keys"),
        "sealed": sealed,
        "problem": problem,
        **form_data(request),
    }
    return TemplateAnswer("settings_keys.html", data)


def create(request: PageRequest) -> TemplateAnswer:
    """Issue a key, and show its secret: this answer alone has it."""
    who = posted_principal(request, request.posted("name"))
    text = request.posted("days")
    days = whole_number(text, _MOST_DAYS) if text else 0  # 0: it does not end
    if days is None or (text and not days):
        raise WebError(400, f"A key ends in 1 to {_MOST_DAYS} days, or never.")
    service = AccessKeyService(request.store, required_seal(request.services.settings.api.seal))
    issued = service.issue(who, days=days)
    data = {
        "facts": [("AWS_ACCESS_KEY_ID", issued.key.id), ("AWS_SECRET_ACCESS_KEY", issued.secret)],
        "what": f"An access key of {who.name}, {who.role.value}, {scope_text(who)}",
        "hint": "The store has the secret encrypted, and shows it to nobody."
                " Without it, create another key and revoke this one.",
        "back": "/settings/keys",
    }  # fmt: skip
    known = {"key": issued.key.id, "name": who.name, "role": who.role.value,
             "account": who.account_id, "scope": scope_text(who), "days": days}  # fmt: skip
    record = json.dumps(known)
    return TemplateAnswer("secret.html", data, title="The key is created", record=record)


def revoke_keys(request: PageRequest) -> RedirectAnswer:
    """Revoke the selected access keys."""
    known = {key.id: key for key in request.store.access_keys.all()}
    chosen = request.form.get("key", [])
    if not chosen or not all(
        name in known and may_manage(request, known[name].principal) for name in chosen
    ):
        raise WebError(404, "There is no such key, or you may not see it.")
    count = len(revoke(request.store, chosen))
    noun = "key is" if count == 1 else "keys are"
    return RedirectAnswer(request.link("/settings/keys"), f"{count} {noun} revoked.")


_ADMINISTRATOR: Final = Role.ADMINISTRATOR
PAGES = (
    ConsolePage("/settings/keys", "Access keys", keys, _ADMINISTRATOR, section="/settings"),
    ConsolePage("/settings/keys", "Create", create, _ADMINISTRATOR, "POST", "/settings",
                "CreateAccessKey"),
    ConsolePage("/settings/keys/revoke", "Revoke", revoke_keys, _ADMINISTRATOR, "POST",
                "/settings", "RevokeAccessKeys"),
)  # fmt: skip
