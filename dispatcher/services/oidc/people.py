"""Users of the console that an identity provider names. Their role is that of each sign-in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dispatcher.services.principals import check_principal
from sidelight.errors import IdentityError, UsageError
from sidelight.model import ConsoleUser, Principal

if TYPE_CHECKING:
    from dispatcher.services.oidc.configuration import RoleMapping
    from dispatcher.services.oidc.provider import ProvenIdentity
    from sidelight.store import Store


def signed_in_user(store: Store, identity: ProvenIdentity, mapping: RoleMapping) -> ConsoleUser:
    """Return the user of an identity, stored with the mapping's role. Raises IdentityError.

    A person is known by issuer and subject, and keeps the name of the first sign-in: names may
    change at the provider, and a name of another user is nobody else's. With another role or scope
    than before, the person's other sessions end.
    """
    subject = f"{identity.issuer} {identity.subject}"
    known = store.console_users.by_subject(subject)
    if known is not None and known.revoked_at is not None:
        raise IdentityError("this user was revoked in the console")
    name = known.principal.name if known else identity.name
    principal = Principal(name, mapping.role, mapping.account, mapping.accounts)
    if known is not None:
        if known.principal == principal:
            return known
        user = replace(known, principal=principal)
    else:
        try:
            check_principal(principal)
        except UsageError as error:
            raise IdentityError(f"the name {name[:64]!r} cannot be used: {error.what}") from error
        if store.console_users.get(name) is not None:
            raise IdentityError(f"another user of the console has the name {name[:64]!r}")
        user = ConsoleUser(principal, "", store.clock(), subject)
    store.console_users.put(user)
    return user
