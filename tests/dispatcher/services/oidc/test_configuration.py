"""Settings of sign-in by OIDC: what is refused when the server starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.services.oidc.configuration import OidcConfiguration, role_mappings
from sidelight.errors import UsageError
from sidelight.fleet.settings import Settings
from sidelight.model import Role

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT, OTHER = "111111111111", "222222222222"
GOOD = {
    "oidc_issuer": "https://id.example", "oidc_client_id": "console",
    "oidc_console": "https://sidelight.example/", "oidc_roles": f"a=reader:{ACCOUNT}",
}  # fmt: skip


def configuration(**changes: object) -> OidcConfiguration:
    found = OidcConfiguration.of(Settings.of(**{**GOOD, **changes}))
    assert found is not None
    return found


def test_without_an_issuer_there_is_no_provider() -> None:
    assert OidcConfiguration.of(Settings.of()) is None


def test_addresses_and_names_follow_from_the_settings() -> None:
    found = configuration(oidc_scopes="email openid")
    assert found.callback == "https://sidelight.example/login/oidc/callback"
    assert (found.label, found.scopes, found.is_secure) == ("id.example", "openid email", True)


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"oidc_client_id": ""}, "CLIENT_ID"),
        ({"oidc_issuer": "http://id.example"}, "ISSUER"),
        ({"oidc_issuer": "https://user:x@id.example"}, "ISSUER"),
        ({"oidc_issuer": "https://id.example/#x"}, "ISSUER"),
        ({"oidc_issuer": f"https://id.example/{'x' * 300}"}, "ISSUER"),
        ({"oidc_issuer": "id.example"}, "ISSUER"),
        ({"oidc_issuer": "https://[id.example"}, "ISSUER"),
        ({"oidc_console": ""}, "CONSOLE"),
        ({"oidc_console": "http://sidelight.example"}, "CONSOLE"),
        ({"oidc_console": "https://sidelight.example/console"}, "CONSOLE"),
        ({"oidc_roles": ""}, "ROLES"),
        ({"oidc_roles": "a=reader"}, "ROLES"),
        ({"oidc_roles": f"a=owner:{ACCOUNT}"}, "ROLES"),
        ({"oidc_roles": f"=reader:{ACCOUNT}"}, "ROLES"),
        ({"oidc_roles": f"a=reader:{ACCOUNT}+x"}, "ROLES"),
        ({"oidc_roles": f"a=reader:{ACCOUNT}+fleet+{OTHER}"}, "ROLES"),
        ({"oidc_client_secret": "file:/nonexistent/secret"}, "/nonexistent/secret"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(
    changes: dict[str, str], variable: str
) -> None:
    with pytest.raises(UsageError) as error:
        configuration(**changes)
    assert error.value.where.endswith(variable)


@pytest.mark.parametrize(
    "issuer", ["http://localhost:5556/dex", "http://127.0.0.1:1", "http://[::1]"]
)
def test_loopback_may_do_without_tls(issuer: str) -> None:
    assert configuration(oidc_issuer=issuer, oidc_console="http://localhost:8417").issuer == issuer


def test_roles_have_scopes() -> None:
    text = f"CN=sec,OU=it = Administrator:{ACCOUNT}+fleet;; web=reader:{ACCOUNT}+{OTHER};"
    first, second = role_mappings(text)
    assert (first.group, first.role, first.accounts) == ("CN=sec,OU=it", Role.ADMINISTRATOR, None)
    assert (second.group, second.account, second.accounts) == ("web", ACCOUNT, frozenset({OTHER}))


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    assert configuration(oidc_client_secret=f"file:{path}").secret == "s3cret"  # noqa: S105
    for bad in (b"", b"x" * 5000, b"\xff"):
        path.write_bytes(bad)
        with pytest.raises(UsageError, match="SIDELIGHT_OIDC_CLIENT_SECRET"):
            configuration(oidc_client_secret=f"file:{path}")
