"""The addresses of instances, by which they are found."""

import sqlalchemy as sa
from alembic import op

from sidelight.errors import StoreError
from sidelight.model import Instance
from sidelight.store.base import documents
from sidelight.store.instances.instance_terms import address_rows

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

AT_ONCE = 500  # instances


def upgrade() -> None:
    """Forward: filled from the stored instances."""
    names = ("account", "instance", "address")
    table = op.create_table(
        "instance_addresses",
        *(sa.Column(name, sa.String(64), nullable=False) for name in names),
        sa.PrimaryKeyConstraint(*names, name="pk_instance_addresses"),
    )
    op.create_index("ix_instance_addresses_address", "instance_addresses", ["address"])
    _fill(op.get_bind(), table)


def downgrade() -> None:
    """Back."""
    op.drop_table("instance_addresses")


def _fill(connection: sa.Connection, table: sa.Table) -> None:
    query = sa.text(
        "SELECT account, instance, document FROM instances WHERE account > :account OR"
        " (account = :account AND instance > :instance) ORDER BY account, instance LIMIT :most"
    )
    last = {"account": "", "instance": ""}
    while found := connection.execute(query, {**last, "most": AT_ONCE}).all():
        rows: list[dict[str, object]] = []
        for row in found:
            try:
                instance = documents.load(Instance, row.document)
            except StoreError:
                continue  # what cannot be read has no terms either
            rows += address_rows(row.account, [instance])
        if rows:
            connection.execute(table.insert(), rows)
        last = {"account": found[-1].account, "instance": found[-1].instance}
