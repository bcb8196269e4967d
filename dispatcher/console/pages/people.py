"""The people of the console: created, changed, revoked and reactivated; one's own password."""

from __future__ import annotations

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
from dispatcher.console.web_messages import WebError
from dispatcher.services.console_users import ConsoleUserService, generated_password
from sidelight.model import Role

if TYPE_CHECKING:
    from dispatcher.console.page import DownloadAnswer, PageRequest
    from sidelight.model import ConsoleUser

_PEOPLE: Final = (
    ListColumn("name", "Name", sort="name"),
    ListColumn("role", "Role", sort="role"),
    ListColumn("scope", "Scope"),
    ListColumn("status", "Status", "status", sort="status"),
    ListColumn("sign_in", "Signs in by", narrow=True),
    ListColumn("used", "Signed in", "time", sort="used"),
    ListColumn("created", "Created", "time", sort="created", narrow=True),
)
_UNSEEN: Final = "There is no such user, or you may not see it."
_HINT: Final = "The store has its hash alone. The person changes it under their name, Password."


def people(request: PageRequest) -> TemplateAnswer | DownloadAnswer:
    """List the users of the console, with the form of a new one."""
    rows = [
        ListRow(
            {
                "name": user.principal.name, "role": user.principal.role.value,
                "scope": scope_text(user.principal),
                "status": "REVOKED" if user.revoked_at else "ACTIVE",
                "sign_in": "Identity provider" if user.subject else "Password",
                "used": user.signed_in_at, "created": user.created_at,
            },
            request.link(f"/settings/people/{user.principal.name}"),
            key=user.principal.name, notes={"name": user.principal.account_id},
        )
        for user in request.store.console_users.all() if may_manage(request, user.principal)
    ]  # fmt: skip
    listing = Listing(request, "People", _PEOPLE, sort="name")
    if listing.format:
        return listing.download_items(rows, "people")
    data = {
        "t": listing.in_memory(rows),
        "tabs": settings_tabs(request, "/settings/people"),
        **form_data(request),
    }
    return TemplateAnswer("settings_people.html", data)


def create(request: PageRequest) -> TemplateAnswer:
    """Create a user with a generated password: this answer alone has it."""
    who = posted_principal(request, request.posted("name"))
    known = request.store.console_users.get(who.name)
    if known is not None and known.revoked_at is not None:
        raise WebError(409, "A user of this name was revoked.", "Reactivate that user instead.")
    password = generated_password()
    ConsoleUserService(request.store).create(who, password)
    what = f"{who.name}, {who.role.value}, {scope_text(who)}, may sign in"
    return _password_answer(who.name, password, what, "The user is created")


def user_page(request: PageRequest) -> TemplateAnswer:
    """Show a user, and what may be changed."""
    user = _user(request)
    data = {
        "user": user,
        "scope_text": scope_text(user.principal),
        "is_self": user.principal.name == request.principal.name,
        **form_data(request, user.principal),
    }
    return TemplateAnswer("settings_user.html", data, title=user.principal.name)


def change(request: PageRequest) -> RedirectAnswer:
    """Give a user another role or scope."""
    user = _other(request)
    who = posted_principal(request, user.principal.name)
    ConsoleUserService(request.store).change(who)
    return _done(request, user, "Role and scope are changed; the person signs in again.")


def reset_password(request: PageRequest) -> TemplateAnswer:
    """Replace a user's password by a generated one."""
    user = _other(request)
    password = generated_password()
    ConsoleUserService(request.store).set_password(user.principal.name, password)
    what = f"A new password of {user.principal.name}; all sessions ended"
    return _password_answer(user.principal.name, password, what, "The password is reset")


def revoke_one(request: PageRequest) -> RedirectAnswer:
    """Revoke a user."""
    user = _other(request)
    ConsoleUserService(request.store).revoke(user.principal.name)
    undo = f"/settings/people/{user.principal.name}/reactivate"
    return _done(request, user, f"{user.principal.name} is revoked; all sessions ended.", undo)


def reactivate(request: PageRequest) -> RedirectAnswer:
    """Take back a revocation."""
    user = _other(request)
    ConsoleUserService(request.store).reactivate(user.principal.name)
    return _done(request, user, f"{user.principal.name} may sign in again.")


def revoke_people(request: PageRequest) -> RedirectAnswer:
    """Revoke the selected users."""
    chosen = request.form.get("key", [])
    users = [request.store.console_users.get(name) for name in chosen]
    if not chosen or not all(user is not None and may_manage(request, user.principal)
                             for user in users):  # fmt: skip
        raise WebError(404, _UNSEEN)
    if request.principal.name in chosen:
        raise WebError(409, "You cannot revoke yourself.", "Another administrator can.")
    service = ConsoleUserService(request.store)
    count = sum(service.revoke(name) for name in chosen)
    noun = "person is" if count == 1 else "people are"
    return RedirectAnswer(request.link("/settings/people"), f"{count} {noun} revoked.")


def password_page(request: PageRequest) -> TemplateAnswer:
    """Show the form of the person's own password."""
    user = request.store.console_users.get(request.principal.name)
    data = {"is_provided": bool(user is not None and user.subject), "problem": ""}
    return TemplateAnswer("password.html", data)


def change_password(request: PageRequest) -> TemplateAnswer | RedirectAnswer:
    """Replace the person's own password; all their sessions end."""
    name, service = request.principal.name, ConsoleUserService(request.store)
    # As they were typed: blanks at the ends are part of a password.
    old, new, again = (request.form.get(f"{part}_password", [""])[0]
                       for part in ("old", "new", "again"))  # fmt: skip
    problem = "The two new passwords differ." if new != again else ""
    if not problem and service.checked(name, old) is None:
        problem = "The present password is not right."
    if problem:
        data = {"is_provided": False, "problem": problem}
        return TemplateAnswer("password.html", data, status=400)
    service.set_password(name, new)
    return RedirectAnswer("/login")


def _user(request: PageRequest) -> ConsoleUser:
    name = request.segments["name"]
    user = request.store.console_users.get(name[:64])
    if user is None or user.principal.name != name or not may_manage(request, user.principal):
        raise WebError(404, _UNSEEN)
    return user


def _other(request: PageRequest) -> ConsoleUser:
    """Return the user of the path, who is somebody else: nobody locks themselves out."""
    user = _user(request)
    if user.principal.name == request.principal.name:
        raise WebError(409, "You cannot change yourself.", "Another administrator can.")
    return user


def _done(request: PageRequest, user: ConsoleUser, notice: str, undo: str = "") -> RedirectAnswer:
    path = request.link(f"/settings/people/{user.principal.name}")
    return RedirectAnswer(path, notice, undo)


def _password_answer(name: str, password: str, what: str, title: str) -> TemplateAnswer:
    data = {"facts": [("Name", name), ("Password", password)], "what": what, "hint": _HINT,
            "back": "/settings/people"}  # fmt: skip
    return TemplateAnswer("secret.html", data, title=title)


_ADMINISTRATOR: Final = Role.ADMINISTRATOR
_ONE: Final = "/settings/people/{name}"
PAGES = (
    ConsolePage("/settings/people", "People", people, _ADMINISTRATOR, section="/settings"),
    ConsolePage("/settings/people", "Create", create, _ADMINISTRATOR, "POST", "/settings",
                "CreateUser"),
    ConsolePage("/settings/people/revoke", "Revoke", revoke_people, _ADMINISTRATOR, "POST",
                "/settings", "RevokeUsers"),
    ConsolePage(_ONE, "User", user_page, _ADMINISTRATOR, section="/settings"),
    ConsolePage(f"{_ONE}/rights", "Change", change, _ADMINISTRATOR, "POST", "/settings",
                "ChangeUser"),
    ConsolePage(f"{_ONE}/password", "Reset", reset_password, _ADMINISTRATOR, "POST", "/settings",
                "ResetPassword"),
    ConsolePage(f"{_ONE}/revoke", "Revoke", revoke_one, _ADMINISTRATOR, "POST", "/settings",
                "RevokeUser"),
    ConsolePage(f"{_ONE}/reactivate", "Reactivate", reactivate, _ADMINISTRATOR, "POST",
                "/settings", "ReactivateUser"),
    ConsolePage("/password", "Password", password_page),
    ConsolePage("/password", "Change the password", change_password, method="POST",
                action="ChangePassword"),
)  # fmt: skip
