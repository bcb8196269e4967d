"""The search field: where a text leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.model import Coverage, Instance, Role
from tests.fixtures.console_rig import ACCOUNT, ConsoleRig, header, person, text_of

if TYPE_CHECKING:
    from sidelight.store import Store

OTHER = "222222222222"
REGION = "eu-west-1"


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    for account, number, address in ((ACCOUNT, "i-0a", "10.0.0.1"), (ACCOUNT, "i-0b", "10.0.0.2"),
                                     (OTHER, "i-0c", "10.0.0.2")):  # fmt: skip
        machine = Instance(number, account, REGION, "running", (), private_ipv4=(address,),
                           ipv6_addresses=(f"2001:db8::{number[-1]}",))  # fmt: skip
        store.instances.discovered(account, REGION, [machine])
        store.instances.cover([Coverage(account, REGION, number, number, "ACTIVE", "SUCCESSFUL")])
    return ConsoleRig(store)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("10.0.0.1", f"/instances/{ACCOUNT}/i-0a"),
        ("2001:DB8:0::0c", f"/instances/{OTHER}/i-0c"),
        ("i-0b", f"/instances/{ACCOUNT}/i-0b"),
        ("10.0.0.2", "/instances?q=10.0.0.2"),
        ("10.0.0.9", "/instances?q=10.0.0.9"),
        ("openssl", "/packages?q=openssl"),
        ("cve-2026-1234", "/vulnerabilities/CVE-2026-1234"),
        (OTHER, f"/instances?account={OTHER}"),
    ],
)
def test_a_text_leads_to_the_one_thing_that_it_names(rig: ConsoleRig, text: str, path: str) -> None:
    assert header(rig.get(f"/search?q={text}", person()), "Location") == path


def test_an_address_of_another_account_is_not_found(rig: ConsoleRig) -> None:
    bound = person(Role.READER, frozenset(), ACCOUNT)
    assert header(rig.get("/search?q=2001:db8::c", bound), "Location").startswith("/instances?q=")
    assert header(rig.get("/search?q=10.0.0.2", bound), "Location") == f"/instances/{ACCOUNT}/i-0b"


def test_instances_of_an_address_are_listed(rig: ConsoleRig) -> None:
    page = text_of(rig.get("/instances?q=10.0.0.2", person()))
    assert ("i-0b" in page, "i-0c" in page, "i-0a" in page) == (True, True, False)
