"""Log records to committed transactions: operations put together, items in the order of replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.errors import DamagedError
from sidelight.filesystems.xfs import log_layout as layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidelight.filesystems.xfs.log_records import Record

# Bytes of transactions begun and not yet committed.
PENDING_CAP = 512 << 20


class LogItem(NamedTuple):
    """A logged item: its first region describes it, the others are what it carries."""

    type: int
    regions: list[bytes]


class Transaction(NamedTuple):
    """A committed transaction; `lsn` is where it began."""

    lsn: int
    items: list[LogItem]


class _Open:
    """A transaction whose commit has not been met yet."""

    __slots__ = ("continued", "lsn", "regions", "wanted")

    def __init__(self, lsn: int) -> None:
        self.lsn = lsn
        # Items as lists of regions, each region as its pieces; the first holds the header.
        self.regions: list[list[bytearray]] = []
        self.wanted = 0  # regions of the last item
        self.continued = b""  # a transaction header that was cut


def transactions(records: Iterable[Record], where: str) -> Iterator[Transaction]:
    """Committed transactions, in the order of their commits. Those without one are left out.

    Raises DamagedError for operations that make no sense.
    """
    opened: dict[int, _Open] = {}
    pending = 0
    for record in records:
        coordinates = f"{where}: log block {record.block}"
        for ident, flags, region in _operations(record, coordinates):
            transaction = opened.get(ident)
            if transaction is None:
                if flags & layout.OP_START:
                    opened[ident] = _Open(record.lsn)
            elif flags & ~layout.OP_END == layout.OP_COMMIT:
                del opened[ident]
                yield Transaction(transaction.lsn, _ordered(transaction, coordinates))
            elif flags & ~layout.OP_END == layout.OP_UNMOUNT:
                del opened[ident]
            else:
                pending += len(region)
                _add(transaction, region, flags, coordinates)
        if not opened:
            pending = 0
        elif pending > PENDING_CAP:
            raise DamagedError("transactions of impossible size", where=coordinates)


def _operations(record: Record, where: str) -> Iterator[tuple[int, int, bytes]]:
    """A record's operations: transaction, flags, bytes."""
    data, at, end = record.data, 0, len(record.data)
    for _ in range(record.operations):
        if at + layout.OPERATION.size > end:
            raise DamagedError("an operation reaches past its record", where=where)
        ident, length, client, flags = layout.OPERATION.unpack_from(data, at)
        at += layout.OPERATION.size
        if client not in layout.CLIENTS or at + length > end:
            raise DamagedError("an impossible operation", where=where)
        yield ident, flags, data[at : at + length]
        at += length


def _add(transaction: _Open, region: bytes, flags: int, where: str) -> None:
    """One operation's bytes: a new region, or more of the last one."""
    continued = bool(flags & layout.OP_WAS_CONTINUED)
    known = layout.OP_CONTINUE | layout.OP_WAS_CONTINUED | layout.OP_END
    if flags & ~known:
        raise DamagedError(f"an operation with flags {flags:#x}", where=where)
    if not transaction.regions:
        _add_header(transaction, region, where)
        return
    items = transaction.regions
    if continued:
        if not items[-1]:
            raise DamagedError("an operation continues nothing", where=where)
        items[-1][-1] += region
        return
    if not region:
        return
    if transaction.wanted and len(items[-1]) == transaction.wanted:
        items.append([])
        transaction.wanted = 0
    if not transaction.wanted:
        count = int.from_bytes(region[2:4], "little")
        if len(region) < 4 or not 0 < count <= layout.MAX_REGIONS:
            raise DamagedError(f"an item of {count} regions", where=where)
        transaction.wanted = count
    items[-1].append(bytearray(region))


def _add_header(transaction: _Open, region: bytes, where: str) -> None:
    """The transaction's own header comes first, and may be cut in two."""
    if not region:
        return
    header = transaction.continued + region
    magic = layout.TRANSACTION_MAGIC
    if header[:4] != magic[: len(header)] or len(header) > layout.TRANSACTION_HEADER:
        raise DamagedError("a transaction without its header", where=where)
    transaction.continued = header
    if len(header) == layout.TRANSACTION_HEADER:
        transaction.regions.append([])


def _ordered(transaction: _Open, where: str) -> list[LogItem]:
    """Items in the order of replay: buffers, inodes and the rest, unlinked lists, cancellations."""
    buffers, others, unlinked, cancelled = [], [], [], []
    for regions in transaction.regions:
        if not regions:
            continue
        kind, count = layout.ITEM.unpack_from(regions[0])
        if len(regions) != count:
            raise DamagedError(f"an item with {len(regions)} of {count} regions", where=where)
        item = LogItem(kind, [bytes(region) for region in regions])
        if kind == layout.BUFFER:
            flags = int.from_bytes(item.regions[0][4:6], "little")
            if flags & layout.BUFFER_CANCEL:
                cancelled.append(item)
            elif flags & layout.BUFFER_INODES:
                unlinked.append(item)
            else:
                buffers.append(item)
        elif kind == layout.ICREATE:
            buffers.append(item)
        else:
            others.append(item)
    return [*buffers, *others, *unlinked, *cancelled]
