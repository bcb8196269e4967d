"""A suppressed finding's page names the rule and its reason, to those who may see the rule."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dispatcher.services.vex_suppression import VexService
from sidelight.model import Finding, FindingStatus, Role, SuppressionRule
from tests.fixtures.console_rig import ConsoleRig, person, text_of
from tests.fixtures.searched_findings import all_rows, fill
from tests.fixtures.vex_files import openvex, read, stated

if TYPE_CHECKING:
    from sidelight.store import Store

HOSTILE = "<script>why</script>"


def page(store: Store, accounts: frozenset[str] | None = None) -> str:
    (row,) = [row for row in all_rows(store) if row.arn == suppressed_arn(store)]
    answer = ConsoleRig(store).get(f"/findings/{row.id}", person(Role.READER, accounts))
    return text_of(answer)


def suppressed_arn(store: Store) -> str:
    rows = [row for row in all_rows(store) if row.status is not FindingStatus.CLOSED]
    return min(row.arn for row in rows)


def test_a_suppressed_finding_s_page_has_the_rule_with_its_reason(store: Store) -> None:
    fill(store, 5)
    arn = suppressed_arn(store)
    criteria = {"findingArn": [{"comparison": "EQUALS", "value": arn}]}
    rule = SuppressionRule("000 never called", json.dumps(criteria), reason=HOSTILE)
    store.suppression_rules.save(rule)
    shown = page(store)
    assert "000 never called" in shown
    assert "&lt;script&gt;why" in shown
    assert HOSTILE not in shown


def test_a_form_that_is_sent_twice_makes_one_rule_and_undo_takes_it_back(store: Store) -> None:
    fill(store, 5)
    rig, (one, two, *_) = ConsoleRig(store), store.findings.rows(status=FindingStatus.ACTIVE)
    forms: list[tuple[str, dict[str, object]]] = [
        (f"/findings/{one.id}/suppress", {"reason": "known", "days": "30"}),
        ("/findings/suppress", {"reason": "known", "key": [str(one.id), str(two.id)]}),
    ]
    for path, form in forms:
        for _ in range(2):
            assert rig.post(path, form, person()).status == 303
        (rule,) = store.suppression_rules.all()
        assert rule.reason == "known"
        assert rig.post(f"/rules/{rule.id}/remove", {}, person()).status == 303
        found = store.found_findings.by_id([one.id, two.id], None)
        assert {row.status for row in found.values()} == {FindingStatus.ACTIVE}


def test_the_same_suppression_again_has_the_newer_end(store: Store) -> None:
    fill(store, 5)
    rig, (row, *_) = ConsoleRig(store), store.findings.rows(status=FindingStatus.ACTIVE)
    for days in ("1", "30", ""):
        rig.post(f"/findings/{row.id}/suppress", {"reason": "known", "days": days}, person())
        (rule,) = store.suppression_rules.all()
        ends = rule.expires_at
        assert (ends - store.clock()).days in {int(days) - 1, int(days)} if ends else not days
    rig.post(f"/findings/{row.id}/suppress", {"reason": "another"}, person())
    assert len(store.suppression_rules.all()) == 2


def test_a_rule_of_the_fleet_is_not_shown_to_people_of_some_accounts(store: Store) -> None:
    fill(store, 5)
    arn = suppressed_arn(store)
    criteria = {"findingArn": [{"comparison": "EQUALS", "value": arn}]}
    store.suppression_rules.save(SuppressionRule("000 secret", json.dumps(criteria)))
    account = arn.split(":")[4]
    shown = page(store, frozenset({account}))
    assert "A suppression rule matches this finding" in shown
    assert "000 secret" not in shown


def test_a_finding_s_page_has_the_statement_of_a_vex_document(store: Store) -> None:
    fill(store, 5)
    found = [row.finding for row in all_rows(store) if row.status is FindingStatus.ACTIVE]
    statements = [
        stated(item.vulnerability, item.package.purl, impact_statement=HOSTILE)
        for item in found
        if isinstance(item, Finding)
    ]
    document = read(openvex(*statements, author="<b>Example</b>"))
    assert VexService(store).add([document], dry_run=False).changed
    row = next(row for row in all_rows(store) if row.status is FindingStatus.SUPPRESSED)
    for accounts in (None, frozenset({row.account})):
        answer = ConsoleRig(store).get(f"/findings/{row.id}", person(Role.READER, accounts))
        shown = text_of(answer)
        for text in (
            "A VEX document states", "vulnerable code not present", "vex.json",
            "&lt;script&gt;why", "&lt;b&gt;Example", "https://example.org/vex/1",
        ):  # fmt: skip
            assert text in shown
        assert HOSTILE not in shown
