"""Snapshots' blocks over the EBS direct APIs.

Source: the EBS direct APIs' reference (ListSnapshotBlocks, GetSnapshotBlock). Blocks are 512 KiB;
only written ones are listed; a block's token lives for seven days; every block carries a SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import random
import threading
import time
from array import array
from bisect import bisect_left
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from sidelight.aws.session import DENIED, Session, translate
from sidelight.blocks.cache import DEFAULT_BUDGET, DEFAULT_IN_FLIGHT, BlockCache
from sidelight.errors import (
    BlockError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
    SourceError,
    ThrottledError,
)
from sidelight.model import ReadStats

if TYPE_CHECKING:
    from collections.abc import Callable

GIB = 1 << 30
USD_PER_GET = 0.003 / 1000
USD_PER_LIST = 0.0006 / 1000
PAGE = 10_000  # the most that ListSnapshotBlocks gives; its default of 100 would cost 100 times

THROTTLES = frozenset(
    {
        "RequestThrottledException",
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
    }
)
# What a broken answer raises: botocore also decodes error bodies, which may be anything.
CONNECTION = (BotoCoreError, OSError, UnicodeDecodeError)
ATTEMPTS = 8
FIRST_WAIT = 0.05  # seconds; doubles with each attempt, with full jitter
LONGEST_WAIT = 10.0


class SnapshotBlocks:
    """A snapshot as a BlockFetcher: its list of written blocks, and their bytes by number.

    Counts every call. A throttled or failing call is repeated up to ATTEMPTS times; so is a block
    that arrives cut or unlike its checksum.
    """

    def __init__(
        self,
        snapshot_id: str,
        client: Any,
        *,
        before_call: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """List the snapshot's blocks. `before_call("get" | "list")` may wait for a budget.

        Raises SnapshotNotFoundError, SnapshotNotReadyError, AccessDeniedError, ThrottledError.
        """
        self.name = snapshot_id
        self._client = client
        self._before_call = before_call
        self._sleep = sleep
        self._lock = threading.Lock()
        self._get_calls = self._list_calls = self._bytes = 0
        self._fetched: set[int] = set()
        self._blocks = _BlockList()
        self.size = 0
        self.block_size = 0
        self._list()

    def present(self, index: int) -> bool:
        """Whether the snapshot has this block; one that was never written is zeros."""
        return self._blocks.find(index) >= 0

    def fetch(self, index: int) -> bytes:
        """The block's bytes, checked against their SHA-256. Raises SourceError."""
        where = f"{self.name}: block {index}"
        fault: SourceError | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(attempt)
            try:
                return self._get(index, where)
            except _AgainError as error:
                fault = error.fault
        raise fault or BlockError("could not be read", where=where)

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
        try:
            answer = self._client.get_snapshot_block(
                SnapshotId=self.name, BlockIndex=index, BlockToken=token
            )
            data: bytes = answer["BlockData"].read()
        except ClientError as error:
            if _reason(error) == "INVALID_BLOCK_TOKEN":
                # Tokens live for seven days: a scan resumed after that asks for new ones.
                self._list(start=index, pages=1)
            raise self._fault(error, where) from error
        except CONNECTION as error:
            raise self._fault(error, where) from error
        if len(data) != answer["DataLength"]:
            cut = BlockError(f"{len(data)} bytes came of {answer['DataLength']}", where=where)
            raise _AgainError(cut)
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        if checksum != answer["Checksum"]:
            raise _AgainError(BlockError("the bytes do not match their SHA-256", where=where))
        with self._lock:
            self._bytes += len(data)
            self._fetched.add(index)
        return data.ljust(self.block_size, b"\0")

    def _list(self, start: int = 0, pages: int | None = None) -> None:
        """Read the list of blocks from `start` on, to its end or for some pages."""
        request: dict[str, Any] = {"SnapshotId": self.name, "MaxResults": PAGE}
        if start:
            request["StartingBlockIndex"] = start
        while True:
            answer = self._list_page(request)
            self.block_size = answer["BlockSize"]
            self.size = answer["VolumeSize"] * GIB
            self._blocks.add(
                (block["BlockIndex"], block["BlockToken"]) for block in answer.get("Blocks", ())
            )
            following = answer.get("NextToken")
            pages = None if pages is None else pages - 1
            # A page may be empty and yet have a NextToken: only its absence ends the list.
            if not following or pages == 0:
                return
            request["NextToken"] = following

    def _list_page(self, request: dict[str, Any]) -> dict[str, Any]:
        fault: SourceError | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._wait(attempt)
            self._count("list")
            try:
                page: dict[str, Any] = self._client.list_snapshot_blocks(**request)
            except (ClientError, *CONNECTION) as error:
                try:
                    raise self._fault(error, self.name)
                except _AgainError as again:
                    fault = again.fault
            else:
                return page
        raise fault or SourceError("could not be listed", where=self.name)

    def _fault(self, error: Exception, where: str) -> Exception:
        """What to raise for a failed call: _AgainError for what another try may mend."""
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return translate(error, where=where)
        if not isinstance(error, ClientError):
            return _AgainError(BlockError(f"the connection failed: {error}", where=where))
        code = error.response.get("Error", {}).get("Code", "")
        reason = _reason(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        message = error.response.get("Error", {}).get("Message", "") or code
        fault: Exception
        if code in THROTTLES:
            fault = _AgainError(ThrottledError(f"throttled ({reason or code})", where=where))
        elif reason == "INVALID_BLOCK_TOKEN" or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            fault = _AgainError(BlockError(f"{code}: {message}", where=where))
        elif "pending" in message.lower() or "completed" in message.lower():
            # No reason of its own is documented for this: it comes as a ValidationException.
            fault = SnapshotNotReadyError(message, where=self.name)
        elif code == "ResourceNotFoundException" or reason == "INVALID_SNAPSHOT_ID":
            fault = SnapshotNotFoundError(message, where=self.name)
        elif code in DENIED:
            fault = translate(error, where=where)
        else:
            fault = SourceError(f"{code}: {message}", where=where)
        return fault

    def _count(self, call: str) -> None:
        if self._before_call is not None:
            self._before_call(call)
        with self._lock:
            if call == "get":
                self._get_calls += 1
            else:
                self._list_calls += 1

    def _wait(self, attempt: int) -> None:
        # Full jitter, so that many workers that were throttled together do not come back together.
        self._sleep(random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)))  # noqa: S311


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
    before_call: Callable[[str], None] | None = None,
) -> SnapshotSource:
    """Open a completed snapshot for reading; needs ListSnapshotBlocks and GetSnapshotBlock only.

    `client` is a boto3 `ebs` client, by default of the environment's account and region.
    """
    if client is None:
        client = Session(pool=in_flight).client("ebs")
    blocks = SnapshotBlocks(snapshot_id, client, before_call=before_call)
    return SnapshotSource(blocks, budget=budget, in_flight=in_flight)


class _AgainError(Exception):
    """A call that another try may mend; `fault` is what it is if none does."""

    def __init__(self, fault: SourceError) -> None:
        super().__init__(str(fault))
        self.fault = fault


class _BlockList:
    """Sorted block numbers with their tokens, some 80 bytes a block.

    A full volume of 1 TiB has two million blocks: a dictionary of strings would take 400 MB.
    """

    def __init__(self) -> None:
        self._indices = array("Q")
        self._ends = array("Q")
        self._tokens = bytearray()
        self._renewed: dict[int, str] = {}

    def add(self, blocks: Any) -> None:
        """Append a page; numbers that are already known get their new token."""
        last = self._indices[-1] if self._indices else -1
        for index, token in blocks:
            if index > last:
                self._indices.append(index)
                self._tokens += token.encode()
                self._ends.append(len(self._tokens))
                last = index
            else:
                self._renewed[index] = token

    def find(self, index: int) -> int:
        """The position of a block, or -1."""
        position = bisect_left(self._indices, index)
        found = position < len(self._indices) and self._indices[position] == index
        return position if found else -1

    def token(self, index: int) -> str:
        """The token of a block that is present."""
        if index in self._renewed:
            return self._renewed[index]
        position = self.find(index)
        begin = self._ends[position - 1] if position else 0
        return self._tokens[begin : self._ends[position]].decode()


def _reason(error: ClientError) -> str:
    """EBS direct's machine-readable reason, which botocore puts beside the error."""
    reason = error.response.get("Reason")
    return reason if isinstance(reason, str) else ""
