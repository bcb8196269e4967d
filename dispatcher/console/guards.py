"""What a request must have: a session, and for a change a token of it and the console's origin."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from dispatcher.console.web_messages import WebError

if TYPE_CHECKING:
    from dispatcher.console.web_messages import WebRequest

# With TLS the prefix makes browsers refuse the cookie from another host or a plain connection.
SECURE_COOKIE: Final = "__Host-sidelight"
PLAIN_COOKIE: Final = "sidelight"
SIGN_IN_COOKIE: Final = "sidelight_sign_in"
NOTICE_COOKIE: Final = "sidelight_notice"
TOKEN_FIELD: Final = "csrf"  # noqa: S105 - a field's name
_SALT: Final = 16  # characters
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; report-uri /csp-report"
)
# `same-origin`, not `no-referrer`: with the latter a browser sends "Origin: null" with our own
# forms (Fetch, "append a request Origin header"). Other sites get no referrer either way.
HEADERS: Final = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)


def is_secure(request: WebRequest) -> bool:
    """Whether the browser speaks TLS, to this server or to a proxy in front of it."""
    return request.secure or request.header("origin").lower().startswith("https://")


def session_id(request: WebRequest) -> str:
    """Return the session's id of a request; empty if there is none."""
    return request.cookie(SECURE_COOKIE) or request.cookie(PLAIN_COOKIE)


def set_session(session: str, *, secure: bool) -> tuple[str, str]:
    """Return the header that gives a browser its session; an empty id ends it."""
    name = SECURE_COOKIE if secure else PLAIN_COOKIE
    return cookie(name, session, secure=secure, seconds=None if session else 0)


def cookie(
    name: str, value: str, *, secure: bool, seconds: int | None, is_hidden: bool = True
) -> tuple[str, str]:
    """Return a Set-Cookie header; `seconds` None lasts as long as the browser's window.

    Scripts see those alone that are not `is_hidden`.
    """
    parts = [f"{name}={value}", "Path=/", "SameSite=Lax"]
    parts += ["HttpOnly"] if is_hidden else []
    parts += ["Secure"] if secure else []
    parts += [] if seconds is None else [f"Max-Age={seconds}"]
    return "Set-Cookie", "; ".join(parts)


def form_token(session: str) -> str:
    """Return a token for the forms of a session, another each time.

    So a compressed page's length reveals nothing of it (BREACH).
    """
    salt = secrets.token_hex(_SALT // 2)
    return f"{salt}{session_mac(session, f'form {salt}')}"


def check_form(request: WebRequest, session: str, token: str) -> None:
    """Raise WebError unless a form was sent from a page of this console and session."""
    check_origin(request)
    salt, digest = token[:_SALT], token[_SALT:]
    right = session_mac(session, f"form {salt}")
    if not session or not hmac.compare_digest(digest.encode("utf-8", "replace"), right.encode()):
        raise WebError(403, "The form is too old, or of another session.",
                       "Go back, reload the page and send it again.")  # fmt: skip


def check_origin(request: WebRequest) -> None:
    """Raise WebError unless a page of this host sent the request."""
    host = _split(request.header("origin")).netloc.lower()
    if not host or host != request.header("host").strip().lower():
        raise WebError(403, "The form was sent by another site.", "Open the console and try again.")


def page_of(url: str) -> str:
    """Return path and query of a URL; empty if it is none."""
    parts = _split(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # brackets that hold no address
        return urlsplit("")


def session_mac(session: str, text: str) -> str:
    """Return the HMAC-SHA-256 of a text under a session's id, in hexadecimal."""
    key, message = (part.encode("utf-8", "replace") for part in (session, text))
    return hmac.digest(key, message, hashlib.sha256).hex()


def local_path(text: str) -> str:
    """Return a path of this console to go to; `/` for anything else: no other site."""
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\"))
    printable = all(" " < character <= "~" and character != "\\" for character in text)
    return text if is_ours and printable and len(text) <= 2000 else "/"
