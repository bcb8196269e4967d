"""VEX documents of a fleet: what they suppress, now and later, until they are taken back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.services.vex_suppression import VexService
from sidelight.errors import LimitError
from sidelight.findings import EventKind
from sidelight.model import FindingStatus, SuppressionRule, VexReason
from sidelight.store.findings import vex_claims
from tests.fixtures.network_findings import SSH, observe
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    Database,
    FakeAdvisory,
    inventory,
    package,
    reevaluated,
    scanned,
)
from tests.fixtures.vex_files import JUSTIFICATION, openvex, read, stated

if TYPE_CHECKING:
    from sidelight.store import Store

A, B = "pkg:deb/debian/a", "pkg:deb/debian/b"
ARN = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"
ADVISORIES = {"a": [FakeAdvisory("CVE-2026-1")], "b": [FakeAdvisory("CVE-2026-2")]}


def fill(store: Store) -> Database:
    database = Database(dict(ADVISORIES))
    for name in ("i-1", "i-2"):
        scanned(store, database, inventory(package("a"), package("b")), name)
    return database


def add(store: Store, *documents: dict[str, Any], dry_run: bool = False) -> int:
    documents_read = [read(document, f"{n}.json") for n, document in enumerate(documents)]
    return VexService(store).add(documents_read, dry_run=dry_run).changed


def suppressed(store: Store) -> set[tuple[str, str]]:
    return {
        (row.instance, row.package_finding.package.name)
        for row in store.findings.rows(status=FindingStatus.SUPPRESSED)
    }


BOTH_A = {("i-1", "a"), ("i-2", "a")}


def test_a_statement_suppresses_findings_of_the_whole_fleet_and_says_why(store: Store) -> None:
    fill(store)
    last = store.outbox.last()
    assert add(store, openvex(stated("CVE-2026-1", A, impact_statement="not built"))) == 2
    assert suppressed(store) == BOTH_A
    rows = list(store.findings.rows(status=FindingStatus.SUPPRESSED))
    for reason in store.suppression_reasons.of(rows).values():
        assert isinstance(reason, VexReason)
        assert (reason.status.value, reason.justification) == ("not_affected", JUSTIFICATION)
        assert reason.statement == "not built"
        assert (reason.document.author, reason.document.version) == ("Example Vendor", "1")
    kinds = {(event.kind, event.row.status) for event in store.outbox.finding_events(last)}
    assert kinds == {(EventKind.UPDATED, FindingStatus.SUPPRESSED)}


def test_an_alias_of_the_vulnerability_is_enough(store: Store) -> None:
    fill(store)
    assert add(store, openvex(stated("dsa-1", A))) == 2
    assert suppressed(store) == BOTH_A


def test_a_document_acts_on_later_machines_and_on_later_advisories(store: Store) -> None:
    database = fill(store)
    add(store, openvex(stated("CVE-2026-1", A), stated("CVE-2026-9", B)))
    scanned(store, database, inventory(package("a")), "i-3")
    assert suppressed(store) == {*BOTH_A, ("i-3", "a")}
    more = {**ADVISORIES, "b": [FakeAdvisory("CVE-2026-2"), FakeAdvisory("CVE-2026-9")]}
    reevaluated(store, Database(more))
    assert suppressed(store) == {*BOTH_A, ("i-3", "a"), ("i-1", "b"), ("i-2", "b")}


def test_the_same_document_again_changes_nothing(store: Store) -> None:
    fill(store)
    document = openvex(stated("CVE-2026-1", A))
    add(store, document)
    last, before = store.outbox.last(), store.vex_documents.all()
    assert add(store, document) == 0
    assert store.vex_documents.all() == before
    assert store.outbox.last() == last


def test_a_newer_version_replaces_the_statements_and_an_older_one_is_left_out(
    store: Store,
) -> None:
    fill(store)
    add(store, openvex(stated("CVE-2026-1", A), version=9))
    assert add(store, openvex(stated("CVE-2026-2", B), version=10)) == 4
    assert suppressed(store) == {("i-1", "b"), ("i-2", "b")}
    assert add(store, openvex(stated("CVE-2026-1", A), version=9)) == 0
    (known,) = store.vex_documents.all()
    assert known.version == "10"
    # Of two versions at once the newer one is added, in whichever order.
    third, fourth = (openvex(stated("CVE-2026-1", A), version=n) for n in (11, 12))
    add(store, fourth, third)
    (known,) = store.vex_documents.all()
    assert known.version == "12"
    assert suppressed(store) == BOTH_A


def test_a_document_is_taken_back(store: Store) -> None:
    fill(store)
    add(store, openvex(stated("CVE-2026-1", A)))
    (known,) = store.vex_documents.all()
    assert store.vex_documents.remove("another") is None
    assert store.vex_documents.remove(known.identity) == 2
    assert suppressed(store) == set()
    assert store.vex_documents.all() == []
    assert store.suppression_reasons.of(store.findings.rows(status=None)) == {}


def test_the_latest_statement_of_all_documents_decides(store: Store) -> None:
    fill(store)
    add(store, openvex(stated("CVE-2026-1", A, timestamp="2026-05-01T00:00:00Z")))
    late = stated("CVE-2026-1", A, status="affected", timestamp="2026-06-01T00:00:00Z")
    add(store, openvex(late, identity="other"))
    assert suppressed(store) == set()
    again = stated("CVE-2026-1", A, timestamp="2026-07-01T00:00:00Z")
    add(store, openvex(again, identity="third"))
    assert suppressed(store) == BOTH_A


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        (f"{A}@1", BOTH_A),
        (f"{A}@2", set()),
        ("pkg:rpm/debian/a", set()),
        ({"@id": ARN, "subcomponents": [{"@id": A}]}, {("i-1", "a")}),
        ({"@id": "i-2", "subcomponents": [{"@id": A}]}, {("i-2", "a")}),
        ({"@id": "pkg:deb/debian/b@1", "subcomponents": [{"@id": A}]}, BOTH_A),
        ({"@id": "pkg:deb/debian/c", "subcomponents": [{"@id": A}]}, set()),
        ({"@id": ARN}, {("i-1", "a")}),
    ],
)
def test_the_products_limit_what_a_statement_is_about(
    store: Store, product: Any, expected: set[tuple[str, str]]
) -> None:
    fill(store)
    add(store, openvex(stated("CVE-2026-1", product)))
    assert suppressed(store) == expected


@pytest.mark.parametrize(("version", "count"), [("12", 2), ("11", 0)])
def test_a_platform_is_the_machine_s_operating_system(
    store: Store, version: str, count: int
) -> None:
    fill(store)
    parts = [
        {"product_id": "D", "name": "Debian", "product_identification_helper": {
            "cpe": f"cpe:/o:debian:debian_linux:{version}"}},
        {"product_id": "A", "name": "a", "product_identification_helper": {"purl": A}},
    ]  # fmt: skip
    whole = {"category": "default_component_of", "product_reference": "A",
             "relates_to_product_reference": "D",
             "full_product_name": {"product_id": "D:A", "name": "a of Debian"}}  # fmt: skip
    document = {
        "document": {"csaf_version": "2.0", "publisher": {"name": "Us", "namespace": "https://x"},
                     "tracking": {"id": "1", "version": "1.2.0"}},
        "product_tree": {"full_product_names": parts, "relationships": [whole]},
        "vulnerabilities": [
            {"cve": "CVE-2026-1", "product_status": {"known_not_affected": ["D:A"]}}
        ],
    }  # fmt: skip
    assert add(store, document) == count
    (known,) = store.vex_documents.all()
    assert (known.identity, known.author, known.version) == ("https://x#1", "Us", "1.2.0")


def test_only_a_version_is_fixed(store: Store) -> None:
    fill(store)
    assert add(store, openvex(stated("CVE-2026-1", A, status="fixed"))) == 0
    assert add(store, openvex(stated("CVE-2026-1", f"{A}@1", status="fixed"), version=2)) == 2


def test_a_rule_still_suppresses_what_a_document_does_not(store: Store) -> None:
    fill(store)
    equals = {"vulnerabilityId": [{"comparison": "EQUALS", "value": "CVE-2026-1"}]}
    store.suppression_rules.save(SuppressionRule("ours", json.dumps(equals), reason="why"))
    add(store, openvex(stated("CVE-2026-1", A, status="affected"), stated("CVE-2026-2", B)))
    rows = list(store.findings.rows(status=FindingStatus.SUPPRESSED))
    reasons = store.suppression_reasons.of(rows).values()
    assert len(rows) == len(reasons) == 4
    assert {type(reason) for reason in reasons} == {SuppressionRule, VexReason}
    (known,) = store.vex_documents.all()
    store.vex_documents.remove(known.identity)
    assert suppressed(store) == BOTH_A


def test_ports_are_judged_beside_documents(store: Store) -> None:
    fill(store)
    observe(store, SSH)
    anything = {"vulnerability": {"name": "CVE-2026-1"}, "products": [{"@id": ARN}]}
    add(store, openvex(stated("", A) | anything))
    assert suppressed(store) == {("i-1", "a")}


def test_a_trial_reports_what_would_change_and_writes_nothing(store: Store) -> None:
    fill(store)
    add(store, openvex(stated("CVE-2026-1", A)))
    last, before = store.outbox.last(), store.vex_documents.all()
    other = openvex(stated("CVE-2026-2", B), stated("CVE-2000-1", B), version=2)
    result = VexService(store).add([read(other)], dry_run=True)
    found = sorted(
        (item.place.instance, item.finding.package.name, item.status.value, item.document)
        for item in result.findings
    )
    assert found == [
        ("i-1", "a", "ACTIVE", ""), ("i-1", "b", "SUPPRESSED", "vex.json"),
        ("i-2", "a", "ACTIVE", ""), ("i-2", "b", "SUPPRESSED", "vex.json"),
    ]  # fmt: skip
    (outcome,) = result.documents
    assert (outcome.outcome, outcome.before) == ("replaced", "1")
    assert [item.shown for item in outcome.unmatched] == ["CVE-2000-1 (debian/b)"]
    assert (store.outbox.last(), store.vex_documents.all()) == (last, before)
    assert suppressed(store) == BOTH_A
    assert VexService(store).add([read(other)], dry_run=False).changed == len(found)


def test_text_of_any_kind_is_stored_and_bounded(store: Store) -> None:
    fill(store)
    hostile = "\0\ud800\x1b[2J" + "x" * 20_000
    document = openvex(
        stated("CVE-2026-1", A, impact_statement=hostile),
        stated(f"CVE-{hostile}", f"pkg:deb/debian/{'y' * 5000}"),
        author=hostile, identity=hostile,
    )  # fmt: skip
    assert add(store, document) == 2
    rows = list(store.findings.rows(status=FindingStatus.SUPPRESSED))
    for reason in store.suppression_reasons.of(rows).values():
        assert isinstance(reason, VexReason)
        assert len(reason.statement) < 10_100
        assert len(reason.document.author) < 600
    (known,) = VexService(store).all()
    assert VexService(store).remove(known) == 2


def test_a_document_that_would_make_judging_slow_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vex_claims, "MAX_OF_KEY", 3)
    monkeypatch.setattr(vex_claims, "MAX_PRODUCTS_OF_KEY", 3)
    monkeypatch.setattr(vex_claims, "MAX_CLAIMS", 10)
    fill(store)
    many = [stated("CVE-2026-1", A) for _ in range(4)]
    versions = [f"{A}@{number}" for number in range(4)]
    aliases = {"name": "X", "aliases": [f"A-{number}" for number in range(5)]}
    for document in (
        openvex(*many),
        openvex(stated("CVE-2026-1", *versions)),
        openvex(stated("", A, B) | {"vulnerability": aliases}),
    ):
        with pytest.raises(LimitError):
            add(store, document)
    assert store.vex_documents.all() == []
