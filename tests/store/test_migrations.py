"""Migrations with data: what is derived is filled, also after going back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from alembic import command
from sqlalchemy import select

from sidelight.model import Instance, SuppressionRule
from sidelight.store.base.engine import Database
from sidelight.store.base.schema import (
    finding_terms,
    instance_addresses,
    instance_platforms,
    instance_tags,
    instance_terms,
)
from sidelight.store.migrate import _config
from tests.fixtures.searched_findings import fill
from tests.fixtures.stored_findings import ACCOUNT, REGION, inspected, inventory, package

if TYPE_CHECKING:
    from sqlalchemy import Table

    from sidelight.store import Store

DERIVED = (finding_terms, instance_terms, instance_tags, instance_addresses)
HIGH = {"severity": [{"comparison": "EQUALS", "value": "HIGH"}]}


def rows(database: Database, table: Table) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return sorted(map(tuple, connection.execute(select(table))), key=repr)


def test_what_findings_and_instances_are_searched_by_is_filled_from_what_is_stored(
    store: Store,
) -> None:
    fill(store, 12)
    store.instances.discovered(ACCOUNT, REGION, [Instance("i-1", ACCOUNT, REGION, "running", ())])
    inspected(store, inventory(package("openssl")))
    store.suppression_rules.save(SuppressionRule("rule", json.dumps(HIGH), "ours"))
    store.suppression_rules.save(SuppressionRule("other", json.dumps(HIGH), owner=ACCOUNT))
    database = Database(store.where)
    before = {table.name: rows(database, table) for table in DERIVED}
    assert all(before.values())
    for revision in ("0017", "head"):
        with database.write() as connection:
            config = _config()
            config.attributes["connection"] = connection
            move = command.upgrade if revision == "head" else command.downgrade
            move(config, revision)
    assert {table.name: rows(database, table) for table in DERIVED} == before
    groups = {group.name: group for group in store.suppression_rules.all()}
    assert set(groups) == {"rule"}, "an account's filter is lost on the way back"
    assert (groups["rule"].owner, groups["rule"].action) == ("", "SUPPRESS")
    assert (groups["rule"].description, json.loads(groups["rule"].criteria)) == ("ours", HIGH)
    with database.read() as connection:
        platform = select(instance_platforms.c.platform)
        assert "DEBIAN_12" in list(connection.execute(platform).scalars())
    database.close()
