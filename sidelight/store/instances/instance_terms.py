"""The values by which instances are searched: image, network, addresses and tags, in columns."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from sqlalchemy import delete

from sidelight.store.base.dialect import put_rows
from sidelight.store.base.schema import instance_addresses, instance_tags, instance_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from sidelight.model import Instance

_ID_LENGTH = 64  # characters of the columns; AWS's own ids have 24 at most


def write_instance_terms(connection: Connection, account: str, found: Sequence[Instance]) -> None:
    """Replace the terms of these instances of an account."""
    if not found:
        return
    ids = [instance.id for instance in found]
    for table in (instance_terms, instance_tags, instance_addresses):
        here = (table.c.account == account) & table.c.instance.in_(ids)
        connection.execute(delete(table).where(here))
    terms = [
        {
            "account": account,
            "instance": instance.id,
            "image": instance.image_id[:_ID_LENGTH],
            "vpc": instance.vpc_id[:_ID_LENGTH],
            "subnet": instance.subnet_id[:_ID_LENGTH],
        }
        for instance in found
    ]
    tags = [
        {"account": account, "instance": instance.id, "key": key, "value": value}
        for instance in found
        for key, value in dict(instance.tags).items()
    ]
    put_rows(connection, instance_terms, terms)
    put_rows(connection, instance_tags, tags)
    put_rows(connection, instance_addresses, address_rows(account, found))


def address_rows(account: str, found: Sequence[Instance]) -> list[dict[str, object]]:
    """Return the rows of these instances' addresses, each address once."""
    return [
        {"account": account, "instance": instance.id, "address": address}
        for instance in found
        for address in sorted(_addresses(instance))
    ]


def canonical_address(text: str) -> str:
    """Return an IP address in its canonical text; empty for any other text."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _addresses(instance: Instance) -> set[str]:
    texts = (*instance.public_ipv4, *instance.private_ipv4, *instance.ipv6_addresses)
    return {address[:_ID_LENGTH] for text in texts if (address := canonical_address(text))}
