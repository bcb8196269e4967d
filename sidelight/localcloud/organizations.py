"""Organizations by moto, which may delegate Inspector too: moto's list of services lacks it."""

from __future__ import annotations

from typing import Any

from moto.organizations.models import FakeDelegatedAdministrator, FakeServiceAccess
from moto.organizations.responses import OrganizationsResponse

_SERVICE = "inspector2.amazonaws.com"


def dispatch(request: Any, url: str, headers: Any) -> Any:
    """Let moto answer."""
    for listed in (
        FakeDelegatedAdministrator.SUPPORTED_SERVICES,
        FakeServiceAccess.TRUSTED_SERVICES,
    ):
        if _SERVICE not in listed:
            listed.append(_SERVICE)
    return OrganizationsResponse.dispatch(request, url, headers)
