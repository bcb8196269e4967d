"""The console: from a request to its answer. It has no sockets: the API's server calls it.

The order of the checks is that of this module: path, session, role, form; then the page's handler.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlencode

from dispatcher.console import assets
from dispatcher.console.auditing import Auditor
from dispatcher.console.completeness import SECTIONS, incomplete
from dispatcher.console.guards import (
    NOTICE_COOKIE,
    TOKEN_FIELD,
    check_form,
    cookie,
    form_token,
    is_secure,
    local_path,
    page_of,
    session_id,
)
from dispatcher.console.notices import Notice
from dispatcher.console.oidc_sign_in import OidcSignIn
from dispatcher.console.page import (
    DownloadAnswer,
    EventsAnswer,
    PageRequest,
    RedirectAnswer,
    TemplateAnswer,
)
from dispatcher.console.pages import PAGES, RAIL
from dispatcher.console.preferences import choice, preference
from dispatcher.console.rendering import HTML, render
from dispatcher.console.scope import ViewScope
from dispatcher.console.sign_in import AttemptLimiter, SignIn
from dispatcher.console.web_answers import asset, error_page, finished, policy_report, shown
from dispatcher.console.web_messages import (
    METHODS,
    QueryFields,
    WebAnswer,
    WebError,
    storable,
)
from dispatcher.services.console_users import ConsoleUserService
from dispatcher.services.oidc.configuration import OidcConfiguration
from dispatcher.services.oidc.provider import OidcProvider
from dispatcher.services.visible_accounts import visible_accounts

if TYPE_CHECKING:
    from dispatcher.console.page import ConsolePage, ConsoleServices, PageAnswer
    from dispatcher.console.web_messages import Poll, WebRequest
    from dispatcher.services.oidc.provider_documents import ProviderCalls
    from sidelight.model import ConsoleUser

LOGIN, LOGOUT, REPORTS = "/login", "/logout", "/csp-report"
_NOTICE: Final = 300  # characters


class ConsoleApplication:
    """Answers requests of the console. Safe for several threads; every request gets an answer."""

    def __init__(
        self,
        services: ConsoleServices,
        *,
        styleguide: bool = False,
        provider_calls: ProviderCalls | None = None,
    ) -> None:
        """`styleguide`: serve the page of all parts to everyone, not to administrators alone.

        `provider_calls` replaces HTTP to the identity provider. Raises UsageError for settings of
        sign-in that cannot be.
        """
        self._services = services
        self._users = ConsoleUserService(services.store)
        self._auditor = Auditor(services.store)
        limiter = AttemptLimiter()
        chosen = OidcConfiguration.of(services.settings)
        label = chosen.label if chosen else ""
        self._sign_in = SignIn(services, self._auditor, limiter, label)
        self._oidc: OidcSignIn | None = None
        if chosen is not None:
            provider = OidcProvider(chosen, services.store.clock, provider_calls)
            self._oidc = OidcSignIn(provider, services, self._auditor, self._sign_in, limiter)
        self.styleguide = styleguide

    def serves(self, method: str, path: str) -> bool:
        """Whether a request without a signature is the console's."""
        if path in (LOGIN, LOGOUT, REPORTS, *self._provider_paths) or path.startswith(
            assets.PREFIX
        ):
            return True
        return self._page(method, path) is not None or (
            method in ("GET", "HEAD") and self._page("POST", path) is not None
        )

    @property
    def _provider_paths(self) -> tuple[str, ...]:
        return OidcSignIn.paths if self._oidc is not None else ()

    def answer(self, request: WebRequest) -> WebAnswer:
        """Return the answer to a request. Raises nothing."""
        try:
            answer = self._answer(request)
        except WebError as error:
            answer = error_page(error)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            answer = error_page(shown(error, request))
        return finished(request, answer)

    def _answer(self, request: WebRequest) -> WebAnswer:
        if request.path.startswith(assets.PREFIX):
            return asset(request.path)
        if request.method not in METHODS:
            raise WebError(405, "The console takes GET, HEAD and POST.")
        method = "GET" if request.method == "HEAD" else request.method
        if request.path == REPORTS:
            return policy_report(request)
        signed = self._signed_in_or_out(request, method)
        if signed is not None:
            return signed
        found = self._page(method, request.path)
        is_use = found is None or not found[0].is_live
        user = self._users.session_user(session_id(request), is_use=is_use)
        if user is None:
            return _to_sign_in(request)
        if found is None:
            raise WebError(404, "There is no such page.")
        return self._permitted(request, user, *found)

    def _signed_in_or_out(self, request: WebRequest, method: str) -> WebAnswer | None:
        """Return the answer to a request of a person without a page; None for others."""
        if request.path == LOGIN:
            return self._sign_in.post(request) if method == "POST" else self._sign_in.form(request)
        if self._oidc is not None and request.path in self._provider_paths and method == "GET":
            return self._oidc.answer(request)
        return self._sign_in.out(request) if (request.path, method) == (LOGOUT, "POST") else None

    def _page(self, method: str, path: str) -> tuple[ConsolePage, dict[str, str]] | None:
        method = "GET" if method == "HEAD" else method
        for page in PAGES:
            if page.method == method:
                segments = page.segments(path)
                if segments is not None:
                    return page, {name: storable(unquote(value, errors="replace"))
                                  for name, value in segments.items()}  # fmt: skip
        return None

    def _permitted(
        self, request: WebRequest, user: ConsoleUser, page: ConsolePage, segments: dict[str, str]
    ) -> WebAnswer:
        principal, fields = user.principal, QueryFields(request.fields())
        session = session_id(request)
        form = {}
        if request.method == "POST":
            form = request.form()
            check_form(request, session, form.get(TOKEN_FIELD, [""])[0])
        wanted = PageRequest(
            services=self._services,
            principal=principal,
            scope=ViewScope.of(fields, visible_accounts(self._services.store, principal)),
            path=request.path,
            now=self._services.store.clock(),
            segments=segments,
            fields=fields,
            form=form,
        )
        is_guide = page.path == "/styleguide" and self.styleguide
        if not (wanted.may(page.role) or is_guide):
            raise WebError(403, f"This needs the role {page.role.value}; you are a"
                                f" {principal.role.value}.")  # fmt: skip
        if request.method != "POST":
            chosen = choice(request, wanted)
            return chosen or self._rendered(request, wanted, page, _read(wanted, page))
        record = self._auditor.begin(page, wanted, request.source)
        try:
            answer = page.handler(wanted)
        except Exception as error:
            failure = error if isinstance(error, WebError) else shown(error, request)
            self._auditor.complete(record, f"HTTP {failure.status}", failure.what)
            raise failure from error
        detail = answer.record if isinstance(answer, TemplateAnswer) else ""
        self._auditor.complete(record, detail=detail)
        return self._rendered(request, wanted, page, answer)

    def _rendered(
        self, request: WebRequest, wanted: PageRequest, page: ConsolePage, answer: PageAnswer
    ) -> WebAnswer:
        if isinstance(answer, RedirectAnswer):
            headers = [("Location", answer.path)]
            if answer.notice:
                notice = Notice(answer.notice[:_NOTICE], answer.undo)
                headers.append(cookie(NOTICE_COOKIE, notice.signed(session_id(request)),
                                      secure=is_secure(request), seconds=30))  # fmt: skip
            return WebAnswer(303, headers)
        if isinstance(answer, DownloadAnswer):
            _check_filters(wanted)
            disposition = f'attachment; filename="{answer.name}"'
            headers = [("Content-Type", answer.content_type), ("Content-Disposition", disposition)]
            return WebAnswer(200, headers, chunks=answer.chunks)
        if isinstance(answer, EventsAnswer):
            poll = self._while_signed_in(answer.poll, session_id(request))
            return WebAnswer(200, [("Content-Type", "text/event-stream")], poll=poll)
        data = self._frame(request, wanted, page)
        data |= {"title": answer.title or page.title, "fact": answer.fact}
        is_page = answer.status == HTTPStatus.OK and request.method != "POST"
        data |= {"ignored": _ignored(wanted) if is_page else ()}
        body = render(answer.template, {**data, **answer.data}).encode("utf-8", "replace")
        headers = [("Content-Type", HTML)]
        if request.cookie(NOTICE_COOKIE):
            headers.append(cookie(NOTICE_COOKIE, "", secure=is_secure(request), seconds=0))
        return WebAnswer(answer.status, headers, body)

    def _while_signed_in(self, poll: Poll, session: str) -> Poll:
        """Return events that end with the person's session."""

        def read() -> str | None:
            user = self._users.session_user(session, is_use=False)
            return None if user is None else poll.read()

        return replace(poll, read=read)

    def _frame(
        self, request: WebRequest, wanted: PageRequest, page: ConsolePage
    ) -> dict[str, object]:
        """Return what the base template needs."""
        served = {known.path: known for known in PAGES if known.method == "GET"}
        section = page.section or page.path
        rail = [item for item in RAIL if item.path in served and wanted.may(served[item.path].role)]
        return {
            "request": wanted,
            "scope": wanted.scope,
            "now": wanted.now,
            "principal": wanted.principal,
            "rail": rail,
            "section": section,
            "incomplete": incomplete(wanted) if section in SECTIONS else "",
            "csrf": form_token(session_id(request)),
            "theme": preference(request, "theme"),
            "density": preference(request, "density"),
            "notice": Notice.of(request.cookie(NOTICE_COOKIE), session_id(request)),
            "may": wanted.may,
            "link": wanted.link,
            "here": wanted.here,
        }


def _ignored(wanted: PageRequest) -> list[str]:
    """Return the fields of the query that limit nothing, though someone wrote them to."""
    fields = wanted.fields
    unread = fields.ignored if isinstance(fields, QueryFields) else []
    return [*unread, *wanted.scope.dropped(fields)]


def _check_filters(wanted: PageRequest) -> None:
    """Raise WebError for a file that would have more rows than its address says."""
    for name in _ignored(wanted):
        raise WebError(400, f"This list has no filter {name[:60]!r} of this value.",
                       "Without it the file would have other rows than you asked for: correct or"
                       " remove it in the address.")  # fmt: skip


def _read(wanted: PageRequest, page: ConsolePage) -> PageAnswer:
    """Return a page's answer; what it does not have is said within the console's frame."""
    try:
        return page.handler(wanted)
    except WebError as error:
        if error.status != 404:
            raise
        data = {"what": error.what, "hint": error.hint, "back": page.section or "/"}
        return TemplateAnswer("missing.html", data, title="Not found", status=404)


def _to_sign_in(request: WebRequest) -> WebAnswer:
    if request.method not in ("GET", "HEAD"):
        # The page that has the form: a browser names it to its own origin alone.
        page = local_path(page_of(request.header("referer")))
        raise WebError(401, "Your session has ended.", "Nothing was changed. Sign in again.",
                       sign_in=f"{LOGIN}?{urlencode({'next': page})}")  # fmt: skip
    target = f"{request.path}?{request.query}" if request.query else request.path
    parameters = f"?{urlencode({'next': target})}" if target != "/" else ""
    return WebAnswer(303, (("Location", f"{LOGIN}{parameters}"),))
