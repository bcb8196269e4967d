"""Triggers that write a row of `count_changes` for each change of what the kept counts count.

`change` is how many more findings of an instance and its details are active. It is 0 where their
terms changed: then the instance's counts are other ones. Triggers miss no statement, and an older
version's neither, which still writes while a fleet is upgraded.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

# Shared by transactions that change terms, until they end; held alone while changes are taken into
# the counts. Else a finding could be counted by terms that a transaction has just changed, which
# does not see the finding yet.
TERMS_LOCK: Final = zlib.crc32(b"sidelight kept counts")
# The columns of finding_terms that decide what a finding counts as.
_COUNTED: Final = ("type", "severity", "exploit", "fix")
_DIFFERS: Final = " OR ".join(f"a.{name} <> r.{name}" for name in _COUNTED)
_OF_FINDINGS: Final = f"""
CREATE FUNCTION sidelight_findings_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO count_changes (account, instance, detail, change)
    SELECT account, instance, detail, count(*) FROM added
    WHERE status = 'ACTIVE' GROUP BY 1, 2, 3;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO count_changes (account, instance, detail, change)
    SELECT account, instance, detail, -count(*) FROM removed
    WHERE status = 'ACTIVE' GROUP BY 1, 2, 3;
  ELSE
    INSERT INTO count_changes (account, instance, detail, change)
    SELECT account, instance, detail, sum(number) FROM (
      SELECT account, instance, detail, 1 AS number FROM added WHERE status = 'ACTIVE'
      UNION ALL
      SELECT account, instance, detail, -1 FROM removed WHERE status = 'ACTIVE'
    ) AS changed GROUP BY 1, 2, 3 HAVING sum(number) <> 0;
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION sidelight_terms_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared({TERMS_LOCK});
  INSERT INTO count_changes (account, instance, detail, change)
  SELECT f.account, f.instance, f.detail, 0 FROM added AS a
  JOIN findings AS f ON f.detail = a.detail WHERE f.status = 'ACTIVE';
  RETURN NULL;
END $$;
CREATE FUNCTION sidelight_terms_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added AS a JOIN removed AS r ON r.detail = a.detail WHERE {_DIFFERS}) THEN
    PERFORM pg_advisory_xact_lock_shared({TERMS_LOCK});
    INSERT INTO count_changes (account, instance, detail, change)
    SELECT f.account, f.instance, f.detail, 0 FROM added AS a
    JOIN removed AS r ON r.detail = a.detail AND ({_DIFFERS})
    JOIN findings AS f ON f.detail = a.detail WHERE f.status = 'ACTIVE';
  END IF;
  RETURN NULL;
END $$;
"""
_TABLES: Final = {
    "INSERT": "NEW TABLE AS added",
    "UPDATE": "OLD TABLE AS removed NEW TABLE AS added",
    "DELETE": "OLD TABLE AS removed",
}
# Table, event and function.
_ON_POSTGRESQL: Final = (
    ("findings", "INSERT", "sidelight_findings_changed"),
    ("findings", "UPDATE", "sidelight_findings_changed"),
    ("findings", "DELETE", "sidelight_findings_changed"),
    ("finding_terms", "INSERT", "sidelight_terms_added"),
    ("finding_terms", "UPDATE", "sidelight_terms_changed"),
)
_ADD: Final = "INSERT INTO count_changes (account, instance, detail, change)"
_OF_TERMS: Final = (
    f"{_ADD} SELECT account, instance, detail, 0 FROM findings"
    " WHERE detail = NEW.detail AND status = 'ACTIVE'"
)
_PLUS: Final = f"{_ADD} SELECT NEW.account, NEW.instance, NEW.detail, 1 WHERE NEW.status = 'ACTIVE'"
_MINUS: Final = (
    f"{_ADD} SELECT OLD.account, OLD.instance, OLD.detail, -1 WHERE OLD.status = 'ACTIVE'"
)
# Table, event, condition and statements.
_ON_SQLITE: Final = (
    ("findings", "INSERT", "", f"{_PLUS};"),
    ("findings", "UPDATE",
     "WHEN (OLD.status, OLD.detail, OLD.instance) <> (NEW.status, NEW.detail, NEW.instance)",
     f"{_MINUS}; {_PLUS};"),
    ("findings", "DELETE", "", f"{_MINUS};"),
    ("finding_terms", "INSERT", "", f"{_OF_TERMS};"),
    ("finding_terms", "UPDATE",
     "WHEN " + " OR ".join(f"OLD.{name} <> NEW.{name}" for name in _COUNTED), f"{_OF_TERMS};"),
)  # fmt: skip


def create_triggers(connection: Connection) -> None:
    """Create the triggers of findings and of their terms."""
    for statement in _creating(connection):
        connection.exec_driver_sql(statement)


def drop_triggers(connection: Connection) -> None:
    """Drop the triggers."""
    lite = connection.dialect.name == "sqlite"
    for table, event, *_ in _ON_SQLITE:
        owner = "" if lite else f" ON {table}"
        connection.exec_driver_sql(f"DROP TRIGGER {_name(table, event)}{owner}")
    if not lite:
        for name in sorted({function for *_, function in _ON_POSTGRESQL}):
            connection.exec_driver_sql(f"DROP FUNCTION {name}()")


def _creating(connection: Connection) -> Iterator[str]:
    if connection.dialect.name == "sqlite":
        for table, event, condition, statements in _ON_SQLITE:
            yield (
                f"CREATE TRIGGER {_name(table, event)} AFTER {event} ON {table} {condition}"
                f" BEGIN {statements} END"
            )
        return
    yield _OF_FINDINGS
    for table, event, function in _ON_POSTGRESQL:
        yield (
            f"CREATE TRIGGER {_name(table, event)} AFTER {event} ON {table}"
            f" REFERENCING {_TABLES[event]} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )


def _name(table: str, event: str) -> str:
    return f"{table}_{event.lower()}_counted"
