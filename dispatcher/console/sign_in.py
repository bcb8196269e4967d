"""Sign-in and sign-out by name and password, with a limit of attempts."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from dispatcher.console.guards import (
    SIGN_IN_COOKIE,
    TOKEN_FIELD,
    check_form,
    check_origin,
    cookie,
    form_token,
    is_secure,
    local_path,
    session_id,
    set_session,
)
from dispatcher.console.rendering import HTML, render
from dispatcher.console.web_messages import WebAnswer, WebError
from dispatcher.services.console_users import ConsoleUserService
from sidelight.model import CALL_OK

if TYPE_CHECKING:
    from collections.abc import Callable

    from dispatcher.console.auditing import Auditor
    from dispatcher.console.page import ConsoleServices
    from dispatcher.console.web_messages import WebRequest

WINDOW: Final = 600.0  # seconds
OF_NAME_AND_SOURCE: Final = 8  # attempts in a window
OF_SOURCE: Final = 60
_REMEMBERED: Final = 20_000  # names and sources
_FORM_SECONDS: Final = 3600
WRONG: Final = "Name or password is wrong."


class AttemptLimiter:
    """Counts attempts by key in a window, in this process. Safe for threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._begun: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def admit(self, key: str, most: int) -> bool:
        """Count an attempt; whether there were at most `most` in this window."""
        now = self._monotonic()
        with self._lock:
            begin, count = self._begun.pop(key, (now, 0))
            if now - begin > WINDOW:
                begin, count = now, 0
            self._begun[key] = begin, count + 1
            while len(self._begun) > _REMEMBERED:
                self._begun.popitem(last=False)
        return count < most

    def forget(self, key: str) -> None:
        """Forget the attempts of a key: one succeeded."""
        with self._lock:
            self._begun.pop(key, None)


class SignIn:
    """The pages `/login` and `/logout`."""

    def __init__(
        self,
        services: ConsoleServices,
        auditor: Auditor,
        limiter: AttemptLimiter,
        provider: str,
    ) -> None:
        """`provider` is the name of the identity provider that the page offers; empty: none."""
        self._provider = provider
        self._users = ConsoleUserService(services.store)
        self._services = services
        self._auditor = auditor
        self._limiter = limiter

    def form(self, request: WebRequest, error: str = "", status: int = 200) -> WebAnswer:
        """Return the page with the form, under a token of its own."""
        fields = request.fields()
        number = request.cookie(SIGN_IN_COOKIE) or secrets.token_urlsafe(16)
        data = {
            "error": error,
            "provider": self._provider,
            "token": form_token(number),
            "next": local_path(fields.get("next", ["/"])[0]),
            "has_users": bool(self._provider or self._services.store.console_users.all()),
        }
        header = cookie(SIGN_IN_COOKIE, number, secure=is_secure(request), seconds=_FORM_SECONDS)
        body = render("login.html", data).encode("utf-8", "replace")
        return WebAnswer(status, (("Content-Type", HTML), header), body)

    def post(self, request: WebRequest) -> WebAnswer:
        """Check name and password, and begin a session."""
        form = request.form()
        name, password, token = (
            form.get(key, [""])[0] for key in ("name", "password", TOKEN_FIELD)
        )
        try:
            check_form(request, request.cookie(SIGN_IN_COOKIE), token)
        except WebError:
            check_origin(request)
            return self.form(request, "The form was too old. Please sign in again.", 403)
        name = name.strip()[:64]
        pair = f"{name}\0{request.source}"
        admitted = self._limiter.admit(f"source {request.source}", OF_SOURCE)
        if not (self._limiter.admit(pair, OF_NAME_AND_SOURCE) and admitted):
            self._auditor.signed_in(request, name, "ThrottlingException")
            return self.form(request, "Too many attempts. Wait ten minutes.", 429)
        user = self._users.checked(name, password)
        if user is None:
            self._auditor.signed_in(request, name, "AccessDeniedException")
            return self.form(request, WRONG, 401)
        self._limiter.forget(pair)
        self._auditor.signed_in(request, name, CALL_OK, user.principal.account_id)
        session = self._users.begin_session(user, request.source)
        target = local_path(form.get("next", ["/"])[0])
        secure = is_secure(request)
        ended = cookie(SIGN_IN_COOKIE, "", secure=secure, seconds=0)
        headers = (("Location", target), set_session(session, secure=secure), ended)
        return WebAnswer(303, headers)

    def out(self, request: WebRequest) -> WebAnswer:
        """End the session."""
        session = session_id(request)
        check_form(request, session, request.form().get(TOKEN_FIELD, [""])[0])
        self._users.end_session(session)
        gone = [set_session("", secure=secure) for secure in (True, False)]
        # What the browser kept of pages goes too.
        return WebAnswer(303, (("Location", "/login"), *gone, ("Clear-Site-Data", '"cache"')))
