"""Read snapshots' blocks with the EBS direct APIs.

Source: the EBS direct APIs' reference (ListSnapshotBlocks, GetSnapshotBlock). Blocks are 512 KiB;
only written ones are listed; a block's token lives for seven days; every block carries a SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from botocore.exceptions import ClientError

from sidelight.aws.answers import required
from sidelight.aws.block_list import END, BlockList, Shape
from sidelight.aws.ebs_faults import AgainError, fault_of, is_late, reason_of
from sidelight.aws.faults import CALL_FAILURES, CONNECTION
from sidelight.aws.rate_limit import RateLimiter, Unlimited
from sidelight.aws.session import Session
from sidelight.backoff import delay
from sidelight.blocks.cache import DEFAULT_BUDGET, DEFAULT_IN_FLIGHT, BlockCache, BlockPool
from sidelight.errors import (
    BlockError,
    CloudError,
    OwnCredentialsError,
    SourceError,
    ThrottledError,
)
from sidelight.model import ReadStats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sidelight.aws.late_answers import LateAnswers
    from sidelight.blocks.disk_cache import DiskCache

T = TypeVar("T")

GIB = 1 << 30
USD_PER_GET = 0.003 / 1000
USD_PER_LIST = 0.0006 / 1000
PAGE = 10_000  # the most per ListSnapshotBlocks call; its default of 100 costs 100 times as much

ATTEMPTS = 8
# A throttled call has not failed. With the waits below these attempts take some two minutes; with
# half of all calls throttled, the chance of 30 throttles in a row is about 1e-9.
THROTTLED_ATTEMPTS = 30
FIRST_WAIT = 0.05  # seconds; doubles with each attempt, with full jitter
LONGEST_WAIT = 10.0
MOST_EMPTY = 1000  # pages without a block, one after the other
LISTS_AT_ONCE = 8  # calls of ListSnapshotBlocks
LIST = "list"  # the cache key of a list; blocks have their numbers as keys
FAILS_FOR = 30.0  # seconds before a refused snapshot is requested again
EXPIRES_SOON = 3600.0  # seconds: a cached list whose tokens expire within this time is read again


@dataclass(frozen=True, slots=True)
class EbsOptions:
    """Options of the calls. `pace` limits their rate; `kept` caches blocks of earlier readers.

    `renew` creates a client with new credentials after the last one's expired. `late` waits where
    EBS direct does not know the snapshot yet; without it, the caller has to wait.
    """

    pace: RateLimiter = field(default_factory=Unlimited)
    kept: DiskCache | None = None
    renew: Callable[[], object] | None = None
    late: LateAnswers | None = None
    sleep: Callable[[float], None] = time.sleep


class SnapshotBlocks:
    """A snapshot as a BlockFetcher: its list of written blocks, and their bytes by number.

    Counts every call. A failing call is repeated up to ATTEMPTS times. So is a block that arrives
    truncated or does not match its checksum, and a block that is refused although others were read,
    since EBS direct's hosts learn of a snapshot one after the other. A throttled call is repeated
    for two minutes.
    """

    def __init__(self, snapshot_id: str, client: Any, options: EbsOptions | None = None) -> None:
        """List the snapshot's first blocks. `client` is a boto3 `ebs` client.

        Raises SnapshotNotFoundError, SnapshotNotReadyError, AccessDeniedError, ThrottledError.
        """
        self.name = snapshot_id
        self._client = client
        self._options = options or EbsOptions()
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._get_calls = self._list_calls = self._bytes = 0
        self._fetched: set[int] = set()
        self._blocks = BlockList()
        self._expires = math.inf  # epoch seconds at which the first token does
        self._refused: tuple[float, SourceError] | None = None  # until when, and with what
        self.size = 0
        self.block_size = 0
        if not self._recall():
            self._list(0, first=True)

    def present(self, index: int) -> bool:
        """Whether the snapshot has this block; a block that was never written is zeros.

        Raises SourceError where the list of blocks cannot be read.
        """
        position = self._blocks.find(index)
        while position is None:
            self._list(index)
            position = self._blocks.find(index)
        return position >= 0

    def locate(self, indices: Sequence[int]) -> None:
        """Read the pages of the list that these blocks are on, many at once. Raises SourceError."""
        while missing := sorted(index for index in indices if self._blocks.find(index) is None):
            # A page has so many blocks at most: what lies further on is on another.
            starts = missing[:1]
            for index in missing[1:]:
                if index >= starts[-1] + PAGE:
                    starts.append(index)
            if len(starts) == 1:
                self._list(starts[0])
                continue
            with ThreadPoolExecutor(LISTS_AT_ONCE, thread_name_prefix="list") as pool:
                for listing in [pool.submit(copy_context().run, self._list, s) for s in starts]:
                    listing.result()

    def fetch(self, index: int) -> bytes:
        """Return the block's bytes, checked against their SHA-256. Raises SourceError."""
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
                blocks=len(self._fetched),
                bytes=self._bytes,
                usd=self._get_calls * USD_PER_GET + self._list_calls * USD_PER_LIST,
            )

    def _get(self, index: int, where: str) -> bytes:
        self._check_refused()
        if self._blocks.find(index) is None:
            self._list(index)
        token = self._blocks.token(index)
        self._count("get")
        client = self._client
        try:
            answer = client.get_snapshot_block(
                SnapshotId=self.name, BlockIndex=index, BlockToken=token
            )
            data: bytes = _member(answer, "BlockData", where).read()
        except ClientError as error:
            if reason_of(error) == "INVALID_BLOCK_TOKEN":
                # Tokens live for seven days: a scan that is resumed later requests new tokens.
                self._list(index)
            raise self._fault_of_get(error, where, client) from error
        except CONNECTION as error:
            raise self._fault(error, where, client, "get") from error
        _check(data, answer, where)
        with self._lock:
            self._bytes += len(data)
            self._fetched.add(index)
        return data.ljust(self.block_size, b"\0")

    def _list(self, start: int, *, first: bool = False) -> None:
        """Read the page of the list that begins with block `start`, or the next that was written.

        `first`: nothing of the snapshot was read before.
        """
        self._check_refused()
        request: dict[str, Any] = {"SnapshotId": self.name, "MaxResults": PAGE}
        if start:
            request["StartingBlockIndex"] = start
        blocks: Sequence[Mapping[str, Any]] = ()
        following = None
        for _page in range(MOST_EMPTY):
            answer = self._repeat(partial(self._list_page, request, first=first), self.name)
            first = False
            blocks, following = answer.get("Blocks") or (), answer.get("NextToken")
            if blocks or not following:
                break
            # An empty page may have a NextToken: only its absence ends the list.
            if following == request.get("NextToken"):
                raise BlockError("AWS repeats the token of a page of the list", where=self.name)
            request["NextToken"] = following
        else:
            raise BlockError(f"{MOST_EMPTY} pages of the list have no block", where=self.name)
        end = max(block["BlockIndex"] for block in blocks) + 1 if following else END
        if end <= start:
            raise BlockError(f"a list from block {start} ends before it", where=self.name)
        with self._lock:
            self.block_size = answer["BlockSize"]
            self.size = answer["VolumeSize"] * GIB
            if answer.get("ExpiryTime") is not None:
                self._expires = min(self._expires, answer["ExpiryTime"].timestamp())
        pairs = sorted((block["BlockIndex"], block["BlockToken"]) for block in blocks)
        self._blocks.add(start, pairs, end)
        self._keep()

    def _list_page(self, request: dict[str, Any], *, first: bool) -> dict[str, Any]:
        self._count("list")
        client = self._client
        try:
            page: dict[str, Any] = client.list_snapshot_blocks(**request)
        except CALL_FAILURES as error:
            if isinstance(error, ClientError) and reason_of(error) == "INVALID_PAGE_TOKEN":
                # A page token lives for an hour: begin again without one.
                request.pop("NextToken", None)
            fault = self._fault(error, self.name, client, "list", first=first)
            # A snapshot that was listed before exists; the caller judges the first answer.
            raise (AgainError(fault) if not first and _is_refusal(fault) else fault) from error
        for name in ("BlockSize", "VolumeSize"):
            _member(page, name, self.name)
        for block in page.get("Blocks") or ():
            _member(block, "BlockIndex", self.name)
            _member(block, "BlockToken", self.name)
        return page

    def _repeat(self, call: Callable[[], T], where: str) -> T:
        """Call until it succeeds or no attempt is left."""
        fault: SourceError | None = None
        failures = throttles = 0
        late = self._options.late
        while failures < ATTEMPTS and throttles < THROTTLED_ATTEMPTS:
            if failures or throttles:
                self._wait(failures + throttles)
            asked_at = late.time() if late is not None else 0.0
            try:
                return call()
            except AgainError as error:
                fault = error.fault
                throttled = isinstance(fault, ThrottledError)
                failures, throttles = failures + (not throttled), throttles + throttled
            except SourceError as error:
                if late is None or not is_late(error):
                    raise
                late.wait(self.name, error, asked_at)
                self._refused = None
        if fault is not None and _is_refusal(fault):
            self._refused = time.monotonic() + FAILS_FOR, fault
        raise fault or SourceError("could not be read", where=where)

    def _fault_of_get(self, error: ClientError, where: str, client: object) -> Exception:
        """Return the error for a refused block: AgainError if others have been read."""
        fault = self._fault(error, where, client, "get")
        if not _is_refusal(fault):
            return fault
        with self._lock:
            if self._fetched:
                return AgainError(fault)
            self._refused = self._refused or (time.monotonic() + FAILS_FOR, fault)
        return fault

    def _check_refused(self) -> None:
        """Raise for a recently refused snapshot: else each block would be tried 8 times."""
        refused = self._refused
        if refused is None:
            return
        if time.monotonic() < refused[0]:
            raise refused[1]
        self._refused = None

    def _fault(
        self, error: Exception, where: str, client: object, kind: str, *, first: bool = False
    ) -> Exception:
        """Return the error for a failed call; report throttles and renew expired credentials."""
        fault = fault_of(error, where=where, snapshot=self.name, first=first)
        if isinstance(fault, AgainError) and isinstance(fault.fault, ThrottledError):
            self._options.pace.throttled(kind)
        elif isinstance(fault, OwnCredentialsError) and self._renew(client):
            return AgainError(fault)
        return fault

    def _renew(self, client: object) -> bool:
        """Replace a client whose credentials expired, once for all threads."""
        renew = self._options.renew
        if renew is None:
            return False
        with self._renewing:
            if self._client is client:
                self._client = renew()
        return True

    def _recall(self) -> bool:
        """Load the cached list, if its tokens stay valid for EXPIRES_SOON."""
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

    def _keep(self) -> None:
        """Cache the list, once all of it is known."""
        kept = self._options.kept
        if kept is not None and math.isfinite(self._expires) and self._blocks.is_complete:
            shape = Shape(self.size, self.block_size, self._expires)
            kept.put(self.name, LIST, self._blocks.dump(shape))

    def _count(self, call: str) -> None:
        self._options.pace.before(call)
        with self._lock:
            if call == "get":
                self._get_calls += 1
            else:
                self._list_calls += 1

    def _wait(self, attempt: int) -> None:
        # Full jitter, so that workers that were throttled together do not retry together.
        self._options.sleep(delay(FIRST_WAIT, attempt, LONGEST_WAIT))


def _is_refusal(fault: Exception) -> TypeGuard[SourceError]:
    """Whether EBS direct may serve the refused data on another connection."""
    return isinstance(fault, SourceError) and is_late(fault)


def _check(data: bytes, answer: Mapping[str, object], where: str) -> None:
    """Raise AgainError unless the bytes have the announced length and SHA-256."""
    length = _member(answer, "DataLength", where)
    if len(data) != length:
        raise AgainError(BlockError(f"{len(data)} bytes came of {length}", where=where))
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    if checksum != _member(answer, "Checksum", where):
        raise AgainError(BlockError("the bytes do not match their SHA-256", where=where))


def _member(answer: Mapping[str, Any], name: str, where: str) -> Any:
    """Return a required member that the model declares optional. Raises AgainError without it."""
    try:
        return required(answer.get(name), name, where)
    except CloudError as error:
        raise AgainError(BlockError(error.what, where=where)) from error


class SnapshotSource(BlockCache):
    """A snapshot as a BlockSource."""

    def __init__(
        self,
        blocks: SnapshotBlocks,
        *,
        budget: int,
        in_flight: int,
        pool: BlockPool | None = None,
    ) -> None:
        """`budget` in bytes; `in_flight` concurrent calls; `pool` shared with other snapshots."""
        super().__init__(blocks, budget, in_flight, pool=pool)
        self._blocks_of_snapshot = blocks

    def stats(self) -> ReadStats:
        """Calls, blocks, bytes and dollars so far."""
        return self._blocks_of_snapshot.stats()


def open_snapshot(  # noqa: PLR0913 - all but two by keyword
    snapshot_id: str,
    client: object = None,
    *,
    in_flight: int = DEFAULT_IN_FLIGHT,
    budget: int = DEFAULT_BUDGET,
    options: EbsOptions | None = None,
    pool: BlockPool | None = None,
) -> SnapshotSource:
    """Open a completed snapshot for reading; needs ListSnapshotBlocks and GetSnapshotBlock only.

    `client` is a boto3 `ebs` client, by default of the environment's account and region. Snapshots
    of one machine share a `pool`, which has the budget and the number of calls then.
    """
    if client is None:
        client = Session(pool=in_flight).client("ebs")
    blocks = SnapshotBlocks(snapshot_id, client, options)
    return SnapshotSource(blocks, budget=budget, in_flight=in_flight, pool=pool)
