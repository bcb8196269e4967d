"""`sidelight access user`: what its commands do; their options are in user_commands.py."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dispatcher.cli.access.principals import iso_time, shown_scope, shown_time
from dispatcher.cli.fleet.options import opened_store
from dispatcher.services.console_users import ConsoleUserService
from sidelight.errors import UsageError
from sidelight.model import Principal, Role
from sidelight.report.as_json import dumps
from sidelight.report.output import complain, say, write_json
from sidelight.report.tables import Column, Report, Table

if TYPE_CHECKING:
    from sidelight.documents import access
    from sidelight.fleet.settings import Settings
    from sidelight.model import ConsoleUser

_LINE = 1024  # characters of a password's line


def create(
    name: str, account: str, role: str, scope: frozenset[str] | None, *, settings: Settings
) -> None:
    """`sidelight access user create`."""
    password = read_password()
    with opened_store(settings, create=True) as store:
        ConsoleUserService(store).create(Principal(name, Role(role), account, scope), password)
    say(f"{name} may sign in")


def show(form: str, settings: Settings) -> None:
    """`sidelight access user list`."""
    with opened_store(settings) as store:
        users = store.console_users.all()
    if form == "json":
        write_json(dumps([_document(user) for user in users]))
        return
    rows = Table(
        "Name", "Role", "Account", Column("Scope", rank=3), "Status", Column("Sign-in", rank=4),
        Column("Signed in", rank=1), Column("Created", rank=2),
    )  # fmt: skip
    for user in users:
        who = user.principal
        rows.add_row(
            who.name, who.role.value, who.account_id, shown_scope(who),
            "REVOKED" if user.revoked_at else "ACTIVE", "OIDC" if user.subject else "password",
            shown_time(user.signed_in_at), shown_time(user.created_at),
        )  # fmt: skip
    Report(sys.stdout).table(rows)


def set_password(name: str, settings: Settings) -> None:
    """`sidelight access user password`."""
    password = read_password()
    with opened_store(settings) as store:
        ConsoleUserService(store).set_password(name, password)
    say(f"{name} has a new password; all sessions ended")


def revoke(name: str, settings: Settings) -> None:
    """`sidelight access user revoke`."""
    with opened_store(settings) as store:
        is_done = ConsoleUserService(store).revoke(name)
    say(f"{name} is revoked; all sessions ended" if is_done else f"{name} was revoked before")


def reactivate(name: str, settings: Settings) -> None:
    """`sidelight access user reactivate`."""
    with opened_store(settings) as store:
        is_done = ConsoleUserService(store).reactivate(name)
    say(f"{name} may sign in again" if is_done else f"{name} was not revoked")


def read_password() -> str:
    """Return a password: asked for twice on a terminal, else a line of standard input.

    Raises UsageError. It is never an argument: other users of the machine see arguments.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline(_LINE).rstrip("\n")
        if not line:
            raise UsageError("no password on standard input")
        return line
    import getpass

    complain("12 characters at least; what is typed is not shown")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise UsageError("the two passwords differ")
    return password


def _document(user: ConsoleUser) -> access.ConsoleUserDocument:
    who = user.principal
    return {
        "name": who.name,
        "role": who.role,
        "account": who.account_id,
        "accounts": None if who.accounts is None else sorted(who.accounts),
        "subject": user.subject,
        "createdAt": user.created_at.isoformat(),
        "revokedAt": iso_time(user.revoked_at),
        "signedInAt": iso_time(user.signed_in_at),
    }
