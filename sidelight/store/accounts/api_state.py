"""Small state of the API: tags of filters, encryption keys, answers of idempotent requests."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select

from sidelight.store.base.dialect import insert
from sidelight.store.base.schema import encryption_keys, request_tokens, resource_tags

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

TOKENS_KEPT: Final = timedelta(days=1)


class ResourceTags:
    """Tags by the ARN of their resource."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, arns: Collection[str]) -> dict[str, dict[str, str]]:
        """Return the tags of these resources; one without tags has none."""
        table = resource_tags
        query = select(table).where(table.c.arn.in_(sorted(arns))).order_by(table.c.key)
        tags: dict[str, dict[str, str]] = {arn: {} for arn in arns}
        with self._database.read() as connection:
            for row in connection.execute(query):
                tags[row.arn][row.key] = row.value
        return tags

    def put(self, arn: str, tags: Mapping[str, str], at_most: int) -> bool:
        """Add or replace tags; False, and nothing is changed, where there would be too many."""
        table = resource_tags
        with self._database.write() as connection:
            keys = select(table.c.key).where(table.c.arn == arn)
            if len({*connection.execute(keys).scalars(), *tags}) > at_most:
                return False
            adding = insert(connection, table)
            adding = adding.on_conflict_do_update(
                index_elements=["arn", "key"], set_={"value": adding.excluded.value}
            )
            if tags:
                rows = [{"arn": arn, "key": key, "value": value} for key, value in tags.items()]
                connection.execute(adding, rows)
            return True

    def remove(self, arn: str, keys: Collection[str] | None = None) -> None:
        """Remove tags by key, or all of a resource."""
        statement = delete(resource_tags).where(resource_tags.c.arn == arn)
        if keys is not None:
            statement = statement.where(resource_tags.c.key.in_(sorted(keys)))
        with self._database.write() as connection:
            connection.execute(statement)


class EncryptionKeys:
    """KMS keys by account, Region, scan type and resource type."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, account: str, region: str, scan_type: str, resource_type: str) -> str:
        """Return the key's ARN; empty if none is set."""
        query = select(encryption_keys.c.kms_key).where(
            *_of_key(account, region, scan_type, resource_type)
        )
        with self._database.read() as connection:
            return str(connection.execute(query).scalar() or "")

    def put(self, account: str, region: str, scan_type: str, resource_type: str, key: str) -> None:
        """Set the key, or reset it where it is empty."""
        where = _of_key(account, region, scan_type, resource_type)
        with self._database.write() as connection:
            connection.execute(delete(encryption_keys).where(*where))
            if key:
                connection.execute(
                    encryption_keys.insert().values(
                        account=account, region=region, scan_type=scan_type,
                        resource_type=resource_type, kms_key=key,
                    )
                )  # fmt: skip


def _of_key(
    account: str, region: str, scan_type: str, resource_type: str
) -> tuple[ColumnElement[bool], ...]:
    columns = encryption_keys.c
    return (
        columns.account == account,
        columns.region == region,
        columns.scan_type == scan_type,
        columns.resource_type == resource_type,
    )


class RequestTokens:
    """Answers of requests with an idempotency token."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def answer(self, account: str, operation: str, token: str) -> tuple[str, str] | None:
        """Return the digest of the request that had this token, and its answer as JSON."""
        table = request_tokens
        query = select(table.c.digest, table.c.answer).where(
            table.c.account == account,
            table.c.operation == operation,
            table.c.token == token,
            table.c.at > self._clock() - TOKENS_KEPT,
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.digest, row.answer)

    def keep(self, account: str, operation: str, token: str, digest: str, answer: str) -> None:
        """Keep an answer for a day; older ones are deleted."""
        now = self._clock()
        with self._database.write() as connection:
            old = request_tokens.c.at <= now - TOKENS_KEPT
            connection.execute(delete(request_tokens).where(old))
            adding = insert(connection, request_tokens).values(
                account=account, operation=operation, token=token, digest=digest, answer=answer,
                at=now,
            )  # fmt: skip
            connection.execute(adding.on_conflict_do_nothing())
