"""People who sign in to the console: users with passwords, and their sessions.

Passwords are hashed by scrypt (RFC 7914) with the parameters that OWASP recommends. An unknown
name costs the same hash as a known one, so that the time of an answer reveals no names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.services.principals import check_principal
from sidelight.errors import UsageError
from sidelight.model import ConsoleUser

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.model import Principal
    from sidelight.store import Store

SHORTEST: Final = 12  # characters of a password
LONGEST: Final = 256
IDLE: Final = timedelta(hours=2)
ABSOLUTE: Final = timedelta(hours=12)
SEEN_IS_NOTED: Final = timedelta(minutes=1)  # a session's use is written at most once in this time
# Cost, block size and lanes: 128 MiB would be N=2**17; 64 MiB leaves a server of 8 threads room.
_N, _R, _P = 1 << 16, 8, 1
_MEMORY: Final = 160 << 20  # bytes that OpenSSL may use
_SALT: Final = 16  # bytes
_LONGEST_SESSION: Final = 100  # characters of an id
# At most two hashes at once: each takes 64 MiB, and a storm of sign-ins must not take all memory.
_HASHES = threading.BoundedSemaphore(2)


def generated_password() -> str:
    """Return a new password of 24 characters, 144 bits."""
    return secrets.token_urlsafe(18)


def hashed(password: str) -> str:
    """Return a password's hash: `scrypt$N$r$p$salt$hash`. Raises UsageError for a weak one."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(f"a password has {SHORTEST} to {LONGEST} characters")
    salt = secrets.token_bytes(_SALT)
    texts = [base64.b64encode(part).decode() for part in (salt, _scrypt(password, salt))]
    return "$".join(["scrypt", str(_N), str(_R), str(_P), *texts])


def is_password(stored: str, password: str) -> bool:
    """Whether a password has this hash; False for an empty or damaged one, in the same time."""
    kind, _, rest = stored.partition("$")
    parts = rest.split("$")
    known = kind == "scrypt" and len(parts) == 5 and parts[:3] == [str(_N), str(_R), str(_P)]
    try:
        salt, digest = (base64.b64decode(part) for part in parts[3:]) if known else (b"", b"")
    except ValueError:
        salt, digest = b"", b""
    computed = _scrypt(password[:LONGEST], salt or bytes(_SALT))
    return hmac.compare_digest(computed, digest) and bool(digest)


def _scrypt(password: str, salt: bytes) -> bytes:
    text = password.encode("utf-8", "surrogatepass")
    with _HASHES:
        return hashlib.scrypt(text, salt=salt, n=_N, r=_R, p=_P, maxmem=_MEMORY, dklen=32)


class ConsoleUserService:
    """Creates, changes and revokes users; begins, finds and ends their sessions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, principal: Principal, password: str) -> ConsoleUser:
        """Create a user. Raises UsageError, also where the name is taken."""
        check_principal(principal)
        known = self._store.console_users.get(principal.name)
        if known is not None and known.revoked_at is None:
            raise UsageError("a user of this name exists", where=principal.name)
        user = ConsoleUser(principal, hashed(password), self._store.clock())
        self._store.console_users.put(user)
        return user

    def change(self, principal: Principal) -> ConsoleUser:
        """Give a user another role or scope, and end its sessions. Raises UsageError.

        An identity provider's role holds from the next sign-in: it cannot be changed here.
        """
        check_principal(principal)
        known = self._password_user(principal.name)
        user = replace(known, principal=principal)
        self._store.console_users.put(user)
        return user

    def set_password(self, name: str, password: str) -> None:
        """Replace a user's password and end its sessions. Raises UsageError."""
        self._password_user(name)
        if not self._store.console_users.set_password(name, hashed(password)):
            raise UsageError("no such user", where=name[:64])

    def revoke(self, name: str) -> bool:
        """Revoke a user and end its sessions; False if it was revoked. Raises UsageError."""
        if self._store.console_users.get(name) is None:
            raise UsageError("no such user", where=name[:64])
        return self._store.console_users.revoke(name)

    def reactivate(self, name: str) -> bool:
        """Take back a user's revocation; False if it was not revoked. Raises UsageError.

        Password, role and scope are those of before; of an identity provider's user, those of the
        next sign-in.
        """
        if self._store.console_users.get(name) is None:
            raise UsageError("no such user", where=name[:64])
        return self._store.console_users.reactivate(name)

    def _password_user(self, name: str) -> ConsoleUser:
        user = self._store.console_users.get(name)
        if user is None:
            raise UsageError("no such user", where=name[:64])
        if user.subject:
            raise UsageError("this user signs in at the identity provider", where=name[:64])
        return user

    def checked(self, name: str, password: str) -> ConsoleUser | None:
        """Return the user of a name and password; None where they are not of one."""
        user = self._store.console_users.get(name[:64])
        is_right = is_password(user.password if user else "", password)
        return user if user is not None and is_right and user.revoked_at is None else None

    def begin_session(self, user: ConsoleUser, source: str) -> str:
        """Begin a session; return its id, which is not stored."""
        session = secrets.token_urlsafe(32)
        oldest = self._store.clock() - ABSOLUTE
        self._store.console_sessions.begin(_key(session), user.principal.name, source, oldest)
        return session

    def session_user(self, session: str, *, is_use: bool = True) -> ConsoleUser | None:
        """Return the user of a session's id; None where it ended or never was.

        `is_use` false: what a page does on its own, which keeps no session from ending.
        """
        if not session or len(session) > _LONGEST_SESSION:
            return None
        found = self._store.console_sessions.get(_key(session))
        if found is None:
            return None
        known, user = found
        now: datetime = self._store.clock()
        is_over = now - known.created_at > ABSOLUTE or now - known.seen_at > IDLE
        if is_over or user.revoked_at is not None:
            self._store.console_sessions.end(known.key)
            return None
        if is_use and now - known.seen_at > SEEN_IS_NOTED:
            self._store.console_sessions.seen(known.key)
        return user

    def end_session(self, session: str) -> None:
        """End the session with this id."""
        self._store.console_sessions.end(_key(session))


def _key(session: str) -> str:
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()
