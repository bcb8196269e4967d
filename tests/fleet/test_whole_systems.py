"""Windows Server and macOS in a fleet: their findings open, stay while nothing is known, close."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.fleet.advisory_file import Opened
from sidelight.fleet.evaluation import evaluate_agent_inventory, reevaluate
from sidelight.model import FindingChanges, InstanceRef, SeenInventory, Status
from tests.advisories.mac_documents import FEED, mac
from tests.advisories.mac_documents import database as mac_database
from tests.advisories.windows_documents import AUGUST, MONTHS, database, server
from tests.fixtures.stored_findings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sidelight.model import Inventory
    from sidelight.store import Store
    from tests.advisories.windows_documents import Fix

MACHINE = InstanceRef(ACCOUNT, REGION, "i-1")
SEPTEMBER = AUGUST._replace(
    cve="CVE-2024-0004", update="5043050", build="10.0.17763.6293", supersedes="5041578",
    day="2024-09-10",
)  # fmt: skip


def opened(folder: Path, fixes: Iterable[Fix]) -> Opened:
    folder.mkdir()
    return Opened(database(folder, fixes))


def sent(store: Store, inventory: Inventory, advisories: Opened) -> FindingChanges:
    """An inventory that the server's agent sent, evaluated."""
    store.reevaluation.notice(advisories)
    store.findings.save_agent_inventory(MACHINE, inventory, SeenInventory("e", "d"))
    return evaluate_agent_inventory(store, MACHINE, advisories)


def open_updates(store: Store) -> set[str]:
    return {row.package_finding.vulnerability for row in store.findings.rows()}


def test_a_server_has_a_finding_for_each_update_that_it_lacks(store: Store, tmp_path: Path) -> None:
    advisories = opened(tmp_path / "1", MONTHS)

    assert sent(store, server(5936), advisories).opened == 2
    assert open_updates(store) == {"KB5040430", "KB5041578"}
    assert sent(store, server(6189), advisories).closed == 2


def test_windows_for_clients_has_no_findings_of_servers(store: Store, tmp_path: Path) -> None:
    advisories = opened(tmp_path / "1", MONTHS)

    assert sent(store, server(5936, name="Windows 10"), advisories) == FindingChanges()


def test_a_mac_has_findings_until_it_is_updated(store: Store, tmp_path: Path) -> None:
    advisories = Opened(mac_database(tmp_path, FEED))

    assert sent(store, mac("14.5"), advisories).opened == 2
    assert open_updates(store) == {"CVE-2024-0001", "CVE-2024-0002"}
    sent(store, mac("14.5 (a)"), advisories)
    assert open_updates(store) == {"CVE-2024-0002"}
    sent(store, mac("14.6"), advisories)
    assert open_updates(store) == set()


@pytest.mark.parametrize("updates", [[], ["4049065"]], ids=["no data", "an unknown update"])
@pytest.mark.parametrize("before", [server(6054), server(updates=["5040430"])])
def test_what_cannot_be_judged_any_more_closes_nothing(
    store: Store, tmp_path: Path, before: Inventory, updates: list[str]
) -> None:
    advisories = opened(tmp_path / "1", MONTHS)
    assert sent(store, before, advisories).opened == 1
    assert open_updates(store) == {"KB5041578"}

    changes = sent(store, server(updates=updates), advisories)

    assert (changes.closed, open_updates(store)) == (0, {"KB5041578"})


@pytest.mark.parametrize("updates", [[], ["4049065"]], ids=["no data", "an unknown update"])
def test_a_newer_database_closes_nothing_that_cannot_be_judged(
    store: Store, tmp_path: Path, updates: list[str]
) -> None:
    advisories = opened(tmp_path / "1", MONTHS)
    sent(store, server(6054), advisories)
    sent(store, server(updates=updates), advisories)
    newer = opened(tmp_path / "2", (*MONTHS, SEPTEMBER))
    store.reevaluation.notice(newer)

    while reevaluate(store, newer).left:
        pass

    assert open_updates(store) == {"KB5041578"}


def test_an_update_that_a_newer_database_knows_decides_again(store: Store, tmp_path: Path) -> None:
    advisories = opened(tmp_path / "1", MONTHS)
    sent(store, server(updates=["5040430"]), advisories)
    assert sent(store, server(updates=["5043050"]), advisories).closed == 0, "not known yet"

    newer = opened(tmp_path / "2", (*MONTHS, SEPTEMBER))

    assert sent(store, server(updates=["5043050"]), newer).closed == 1
    assert open_updates(store) == set()


def test_a_database_without_windows_closes_nothing(store: Store, tmp_path: Path) -> None:
    sent(store, server(6054), opened(tmp_path / "1", MONTHS))
    others = [fix._replace(product="Windows Server 2022") for fix in MONTHS]

    sent(store, server(6054), opened(tmp_path / "2", others))

    assert open_updates(store) == {"KB5041578"}


def test_an_upgraded_server_closes_what_the_older_product_lacked(
    store: Store, tmp_path: Path
) -> None:
    newer = [fix._replace(product="Windows Server 2022", build="10.0.20348.2700") for fix in MONTHS]
    advisories = opened(tmp_path / "1", (*MONTHS, *newer))
    sent(store, server(6054), advisories)
    upgraded = server(9999, name="Windows Server 2022")

    sent(store, upgraded, advisories)

    assert "Windows Server 2019" not in {
        row.package_finding.package.name for row in store.findings.rows()
    }


@pytest.mark.parametrize("revision", [6054, 6189])
def test_a_partial_inventory_with_the_build_closes_what_is_installed(
    store: Store, tmp_path: Path, revision: int
) -> None:
    advisories = opened(tmp_path / "1", MONTHS)
    sent(store, server(6054), advisories)
    partial = replace(server(revision), status=Status.PARTIAL)

    sent(store, partial, advisories)

    assert open_updates(store) == ({"KB5041578"} if revision == 6054 else set())
