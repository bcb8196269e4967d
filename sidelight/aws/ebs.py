"""Snapshots' blocks over the EBS direct APIs.

Source: the EBS direct APIs' reference (ListSnapshotBlocks, GetSnapshotBlock). Blocks are 512 KiB;
only written ones are listed; a block's token lives for seven days; every block carries a SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import math
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from sidelight.aws.block_list import BlockList, Shape
from sidelight.aws.ebs_faults import CONNECTION, AgainError, code_of, fault_of, reason_of
from sidelight.aws.pace import Pace, Unpaced
from sidelight.aws.session import EXPIRED, Session
from sidelight.blocks.cache import DEFAULT_BUDGET, DEFAULT_IN_FLIGHT, BlockCache
from sidelight.errors import AccessDeniedError, BlockError, SourceError, ThrottledError
from sidelight.model import ReadStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.blocks.kept import KeptBlocks

T = TypeVar("T")

GIB = 1 << 30
USD_PER_GET = 0.003 / 1000
USD_PER_LIST = 0.0006 / 1000
PAGE = 10_000  # the most that ListSnapshotBlocks gives; its default of 100 would cost 100 times

ATTEMPTS = 8
# Throttling is no failure of the call's: with the waits below this is some two minutes, and of a
# storm that refuses every second call one in a thousand million outlives it.
THROTTLED_ATTEMPTS = 30
FIRST_WAIT = 0.05  # seconds; doubles with each attempt, with full jitter
LONGEST_WAIT = 10.0
LIST = "list"  # the name under which a list is kept, beside its blocks' numbers
EXPIRES_SOON = 3600.0  # seconds: a kept list whose tokens expire within is read anew


@dataclass(frozen=True, slots=True)
class Options:
    """How to call. `pace` is asked before every call; `kept` has what an earlier reader paid for.

    `renew` makes a client with new credentials when those of the last one have expired.
    """

    pace: Pace = field(default_factory=Unpaced)
    kept: KeptBlocks | None = None
    renew: Callable[[], Any] | None = None
    sleep: Callable[[float], None] = time.sleep


class SnapshotBlocks:
    """A snapshot as a BlockFetcher: its list of written blocks, and their bytes by number.

    Counts every call. A failing call is repeated up to ATTEMPTS times; so is a block that arrives
    cut or unlike its checksum. A throttled one is repeated for some two minutes.
    """

    def __init__(self, snapshot_id: str, client: Any, options: Options | None = None) -> None:
        """List the snapshot's blocks. `client` is a boto3 `ebs` client.

        Raises SnapshotNotFoundError, SnapshotNotReadyError, AccessDeniedError, ThrottledError.
        """
        self.name = snapshot_id
        self._client = client
        self._options = options or Options()
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._get_calls = self._list_calls = self._bytes = 0
        self._fetched: set[int] = set()
        self._blocks = BlockList()
        self.size = 0
        self.block_size = 0
        if not self._recall():
            self._keep(self._list())

    def present(self, index: int) -> bool:
        """Whether the snapshot has this block; one that was never written is zeros."""
        return self._blocks.find(index) >= 0

    def fetch(self, index: int) -> bytes:
        """The block's bytes, checked against their SHA-256. Raises SourceError."""
        kept = self._options.kept
        if kept is not None:
            known = kept.get(self.name, str(index))
            if known is not None and len(known) == self.block_size:
                return known
        where = f"{self.name}: block {index}"
        data = self._repeat(lambda: self._get(index, where), where)
        if kept is not None:
            kept.put(self.name, str(index), data)
        return data

    def stats(self) -> ReadStats:
        """Calls, blocks, bytes and dollars so far."""
        with self._lock:
            return ReadStats(
                get_calls=self._get_calls,
                list_calls=self._list_calls,
                distinct_blocks=len(self._fetched),
                bytes=self._bytes,
                usd=self._get_calls * USD_PER_GET + self._list_calls * USD_PER_LIST,
            )

    def _get(self, index: int, where: str) -> bytes:
        token = self._blocks.token(index)
        self._count("get")
        client = self._client
        try:
            answer = client.get_snapshot_block(
                SnapshotId=self.name, BlockIndex=index, BlockToken=token
            )
            data: bytes = answer["BlockData"].read()
        except ClientError as error:
            if reason_of(error) == "INVALID_BLOCK_TOKEN":
                # Tokens live for seven days: a scan resumed after that asks for new ones.
                self._list(start=index, pages=1)
            raise self._fault(error, where, client, "get") from error
        except CONNECTION as error:
            raise self._fault(error, where, client, "get") from error
        if len(data) != answer["DataLength"]:
            cut = BlockError(f"{len(data)} bytes came of {answer['DataLength']}", where=where)
            raise AgainError(cut)
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        if checksum != answer["Checksum"]:
            raise AgainError(BlockError("the bytes do not match their SHA-256", where=where))
        with self._lock:
            self._bytes += len(data)
            self._fetched.add(index)
        return data.ljust(self.block_size, b"\0")

    def _list(self, start: int = 0, pages: int | None = None) -> float:
        """Read the list of blocks from `start` on, to its end or for some pages.

        Seconds since the epoch at which the first of its tokens expires.
        """
        request: dict[str, Any] = {"SnapshotId": self.name, "MaxResults": PAGE}
        if start:
            request["StartingBlockIndex"] = start
        expires = math.inf
        while True:
            answer = self._repeat(lambda: self._list_page(request), self.name)
            self.block_size = answer["BlockSize"]
            self.size = answer["VolumeSize"] * GIB
            if "ExpiryTime" in answer:
                expires = min(expires, answer["ExpiryTime"].timestamp())
            self._blocks.add(
                (block["BlockIndex"], block["BlockToken"]) for block in answer.get("Blocks", ())
            )
            following = answer.get("NextToken")
            pages = None if pages is None else pages - 1
            # A page may be empty and yet have a NextToken: only its absence ends the list.
            if not following or pages == 0:
                return expires
            request["NextToken"] = following

    def _list_page(self, request: dict[str, Any]) -> dict[str, Any]:
        self._count("list")
        client = self._client
        try:
            page: dict[str, Any] = client.list_snapshot_blocks(**request)
        except (ClientError, *CONNECTION) as error:
            if isinstance(error, ClientError) and reason_of(error) == "INVALID_PAGE_TOKEN":
                # A page token lives for an hour: go on without one, after the last known block.
                request.pop("NextToken", None)
                request["StartingBlockIndex"] = self._blocks.last + 1
            raise self._fault(error, self.name, client, "list") from error
        return page

    def _repeat(self, call: Callable[[], T], where: str) -> T:
        """Call until it is done, or no try is left."""
        fault: SourceError | None = None
        failures = throttles = 0
        while failures < ATTEMPTS and throttles < THROTTLED_ATTEMPTS:
            if failures or throttles:
                self._wait(failures + throttles)
            try:
                return call()
            except AgainError as error:
                fault = error.fault
                throttled = isinstance(fault, ThrottledError)
                failures, throttles = failures + (not throttled), throttles + throttled
        raise fault or SourceError("could not be read", where=where)

    def _fault(self, error: Exception, where: str, client: Any, kind: str) -> Exception:
        """What to raise for a failed call; says on the way what others should know of it."""
        fault = fault_of(error, where=where, snapshot=self.name)
        if isinstance(fault, AgainError) and isinstance(fault.fault, ThrottledError):
            self._options.pace.throttled(kind)
        elif code_of(error) in EXPIRED and self._renew(client):
            return AgainError(AccessDeniedError(str(fault), where=where))
        return fault

    def _renew(self, client: Any) -> bool:
        """Get a client with new credentials for one whose own have expired, once for all."""
        renew = self._options.renew
        if renew is None:
            return False
        with self._renewing:
            if self._client is client:
                self._client = renew()
        return True

    def _recall(self) -> bool:
        """Take the list that was kept, if its tokens are still good for a while."""
        kept = self._options.kept
        data = None if kept is None else kept.get(self.name, LIST)
        if data is None:
            return False
        try:
            blocks, shape = BlockList.load(data)
        except ValueError:
            return False
        if shape.expires - time.time() < EXPIRES_SOON:
            return False
        self._blocks, self.size, self.block_size = blocks, shape.size, shape.block_size
        return True

    def _keep(self, expires: float) -> None:
        kept = self._options.kept
        if kept is not None and math.isfinite(expires):
            shape = Shape(self.size, self.block_size, expires)
            kept.put(self.name, LIST, self._blocks.dump(shape))

    def _count(self, call: str) -> None:
        self._options.pace.before(call)
        with self._lock:
            if call == "get":
                self._get_calls += 1
            else:
                self._list_calls += 1

    def _wait(self, attempt: int) -> None:
        # Full jitter, so that many workers that were throttled together do not come back together.
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempt, 16))
        self._options.sleep(random.uniform(0, longest))  # noqa: S311


class SnapshotSource(BlockCache):
    """A snapshot as a BlockSource."""

    def __init__(self, blocks: SnapshotBlocks, *, budget: int, in_flight: int) -> None:
        """`budget` in bytes; `in_flight` calls at once."""
        super().__init__(blocks, budget, in_flight)
        self._blocks_of_snapshot = blocks

    def stats(self) -> ReadStats:
        """Calls, blocks, bytes and dollars so far."""
        return self._blocks_of_snapshot.stats()


def open_snapshot(
    snapshot_id: str,
    client: Any = None,
    *,
    in_flight: int = DEFAULT_IN_FLIGHT,
    budget: int = DEFAULT_BUDGET,
    options: Options | None = None,
) -> SnapshotSource:
    """Open a completed snapshot for reading; needs ListSnapshotBlocks and GetSnapshotBlock only.

    `client` is a boto3 `ebs` client, by default of the environment's account and region.
    """
    if client is None:
        client = Session(pool=in_flight).client("ebs")
    blocks = SnapshotBlocks(snapshot_id, client, options)
    return SnapshotSource(blocks, budget=budget, in_flight=in_flight)
