"""The commands of `sidelight access`; their options are in commands.py."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dispatcher.cli.access.principals import iso_time, shown_scope, shown_time
from dispatcher.cli.fleet.options import opened_store
from dispatcher.services.access_keys import AccessKeyService, required_seal, revoke
from sidelight.model import Principal, Role
from sidelight.report.as_json import dumps
from sidelight.report.as_table import counted
from sidelight.report.output import complain, say, write_json
from sidelight.report.tables import Column, Report, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sidelight.documents import access
    from sidelight.fleet.settings import Settings
    from sidelight.model import AccessKey, AuditRecord


def create(  # noqa: PLR0913 - all but four by keyword
    name: str,
    account: str,
    role: str,
    scope: frozenset[str] | None,
    *,
    days: int,
    form: str,
    settings: Settings,
) -> None:
    """`sidelight access create`."""
    seal = required_seal(settings.api.seal)
    with opened_store(settings, create=True) as store:
        principal = Principal(name, Role(role), account, scope)
        issued = AccessKeyService(store, seal).issue(principal, days=days)
    if form == "json":
        document: access.IssuedKeyDocument = {
            "AccessKeyId": issued.key.id,
            "SecretAccessKey": issued.secret,
            "principal": name,
            "role": principal.role,
            "account": account,
            "expiresAt": iso_time(issued.key.expires_at),
        }
        write_json(dumps(document))
        return
    say(f"AWS_ACCESS_KEY_ID={issued.key.id}")
    say(f"AWS_SECRET_ACCESS_KEY={issued.secret}")
    complain("sidelight: the secret is not shown again")


def show(form: str, settings: Settings) -> None:
    """`sidelight access list`."""
    with opened_store(settings) as store:
        keys, now = store.access_keys.all(), store.clock()
    if form == "json":
        write_json(dumps([_key_document(key, now) for key in keys]))
        return
    rows = Table(
        "Key", "Principal", "Role", "Account", Column("Scope", rank=3), "Status",
        Column("Last used", rank=1), Column("Created", rank=2), Column("Expires", rank=2),
    )  # fmt: skip
    for key in keys:
        who = key.principal
        rows.add_row(
            key.id, who.name, who.role.value, who.account_id, shown_scope(who), key.status(now),
            shown_time(key.last_used_at), shown_time(key.created_at), shown_time(key.expires_at),
        )  # fmt: skip
    Report(sys.stdout).table(rows)


def revoke_keys(ids: Sequence[str], settings: Settings) -> None:
    """`sidelight access revoke`."""
    with opened_store(settings) as store:
        done = revoke(store, ids)
    say(f"{counted(len(done), 'key')} revoked")


def audit(principal: str, last: int, form: str, settings: Settings) -> None:
    """`sidelight access audit`."""
    with opened_store(settings) as store:
        records = store.audit_log.newest(last, principal=principal)
    if form == "json":
        write_json(dumps([_record_document(record) for record in records]))
        return
    rows = Table(
        "Time", "Principal", Column("Key", rank=3), "Operation", Column("Account", rank=1),
        Column("Region", rank=2), Column("From", rank=4), "Outcome",
        Column("Detail", rank=5, prose=True),
    )  # fmt: skip
    for record in records:
        rows.add_row(
            shown_time(record.at), record.principal, record.key, record.operation, record.account,
            record.region, record.source, record.outcome, record.detail,
        )  # fmt: skip
    Report(sys.stdout).table(rows)


def _key_document(key: AccessKey, now: datetime) -> access.AccessKeyDocument:
    who = key.principal
    return {
        "id": key.id,
        "principal": who.name,
        "role": who.role,
        "account": who.account_id,
        "accounts": None if who.accounts is None else sorted(who.accounts),
        "status": key.status(now),
        "createdAt": key.created_at.isoformat(),
        "expiresAt": iso_time(key.expires_at),
        "revokedAt": iso_time(key.revoked_at),
        "lastUsedAt": iso_time(key.last_used_at),
    }


def _record_document(record: AuditRecord) -> access.AuditRecordDocument:
    return {
        "at": record.at.isoformat(),
        "principal": record.principal,
        "key": record.key,
        "account": record.account,
        "region": record.region,
        "operation": record.operation,
        "requestId": record.request_id,
        "source": record.source,
        "outcome": record.outcome,
        "detail": record.detail,
    }
