"""The EBS direct APIs' reading half, as strict as the service's model (2019-11-02).

ListSnapshotBlocks, ListChangedBlocks and GetSnapshotBlock; limits, token lives and error names by
https://docs.aws.amazon.com/ebs/latest/APIReference/. How AWS words its messages is not documented;
types and reasons are what a client goes by. Nor is the reason that a pending snapshot gives:
`conditions.PENDING` has three guesses.
"""

from __future__ import annotations

import base64
import json
import random
import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.localcloud.ec2.listing import tags_of
from sidelight.localcloud.freeze import BLOCK
from sidelight.localcloud.kms import readable, usable
from sidelight.localcloud.messages import AwsError, Reply
from sidelight.localcloud.refusals import text
from sidelight.localcloud.snapshot_store import permitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.localcloud.cloudwatch import VolumeWritesRecord
    from sidelight.localcloud.conditions import EbsAnswer
    from sidelight.localcloud.messages import Request
    from sidelight.localcloud.snapshot_store import Shelf, ShelfSnapshot
    from sidelight.localcloud.tokens import Tokens

MIN_RESULTS, MAX_RESULTS = 100, 10_000
_PATH = re.compile(r"/snapshots/([^/]+)/(blocks|changedblocks)(?:/([^/]*))?/?")
_SNAPSHOT_ID = re.compile(r"snap-[0-9a-f]{1,59}")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request's path asks for. `block` is the text after /blocks/, None where none is."""

    operation: str
    snapshot: str
    block: str | None


def route(request: Request) -> Target | None:
    """The operation that method and path name; None for one that is not here (writing)."""
    match = _PATH.fullmatch(request.path)
    if match is None or request.method != "GET":
        return None
    snapshot, kind, block = match.groups()
    if kind == "changedblocks":
        return Target("ListChangedBlocks", snapshot, None) if block is None else None
    operation = "ListSnapshotBlocks" if block is None else "GetSnapshotBlock"
    return Target(operation, snapshot, block)


class EbsDirect:
    """Answers for one local cloud.

    `empty_pages` is the probability that a page comes empty with a NextToken, as the service's
    documentation allows it to; drawn by `seed`, listing and page, never twice running.
    """

    def __init__(
        self, shelf: Shelf, tokens: Tokens, *, empty_pages: float = 0.0, seed: int = 0
    ) -> None:
        """Limits and lags are the shelf's `conditions`."""
        self._shelf = shelf
        self._tokens = tokens
        self._empty_pages = empty_pages
        self._seed = seed
        self._changed: dict[tuple[str, str], list[int]] = {}

    @property
    def writes(self) -> VolumeWritesRecord:
        """What CloudWatch knows of volumes."""
        return self._shelf.writes

    @property
    def recycle_days(self) -> int:
        """For how long the account's rule keeps deleted snapshots; 0 without a rule."""
        return self._shelf.conditions.recycle_days

    def answer(self, request: Request, target: Target, account: str, region: str) -> Reply:
        """The reply. Raises AwsError."""
        try:
            return self._answer(request, target, account, region)
        except FileNotFoundError:  # deleted since it was found
            raise _not_found(target.snapshot) from None

    def _answer(self, request: Request, target: Target, account: str, region: str) -> Reply:
        if target.operation == "GetSnapshotBlock":
            return self._get(request, target, account, region)
        if target.operation == "ListSnapshotBlocks":
            return self._list(request, target.snapshot, account, region)
        return self._list_changed(request, target.snapshot, account, region)

    def _snapshot(
        self, request: Request, snapshot_id: str, account: str, region: str
    ) -> ShelfSnapshot:
        """The snapshot that EBS direct can see by the request's connection. Raises AwsError."""
        if _SNAPSHOT_ID.fullmatch(snapshot_id) is None:
            raise AwsError(
                "ValidationException",
                f"The snapshot ID '{snapshot_id}' is not valid.",
                reason="INVALID_SNAPSHOT_ID",
            )
        connection = request.connection
        snapshot = self._shelf.find(snapshot_id, account, region, connection)
        if snapshot is None:
            raise self._absent(snapshot_id, account, region)
        conditions, lags = self._shelf.conditions, self._shelf.lags
        if snapshot.status != "completed":
            age = self._shelf.clock.now() - snapshot.started
            raise _written_out(
                conditions.pending_answer(age, self._seed, snapshot.number), snapshot, account
            )
        if not lags.readable(snapshot, connection):
            raise _written_out(conditions.late_answer, snapshot, account)
        if tags_of(snapshot) and not lags.tagged(snapshot, connection):
            # A policy with a condition on the snapshot's tags does not let the caller in yet.
            raise self._denied(request, snapshot_id, account, region)
        return snapshot

    def _absent(self, snapshot_id: str, account: str, region: str) -> AwsError:
        """What is said of a snapshot that the account cannot see."""
        snapshot = self._shelf.snapshots.get(snapshot_id)
        if (
            snapshot is not None
            and snapshot.region == region
            and permitted(snapshot, account)
            and self._shelf.lags.denies_sharing(snapshot, account)
        ):
            return AwsError(
                "AccessDeniedException",
                "You do not have permission to access this snapshot.",
                status=403,
                reason="UNAUTHORIZED_ACCOUNT",
            )
        return _not_found(snapshot_id)

    def _denied(self, request: Request, snapshot_id: str, account: str, region: str) -> AwsError:
        target = route(request)
        operation = target.operation if target is not None else ""
        message = text(
            "AccessDeniedException",
            self._shelf.conditions.texts,
            user=f"arn:aws:iam::{account}:root",
            operation=operation,
            region=region,
            id=snapshot_id,
        )
        return AwsError("AccessDeniedException", message, status=403)

    def _get(self, request: Request, target: Target, account: str, region: str) -> Reply:
        index = _integer("blockIndex", target.block or "", 0, 2**31 - 1)
        snapshot = self._snapshot(request, target.snapshot, account, region)
        if not readable(snapshot, account, self._shelf.lags, request.connection):
            raise AwsError(
                "AccessDeniedException",
                "Access to the snapshot's key is denied.",
                status=403,
                reason="DEPENDENCY_ACCESS_DENIED",
            )
        if not usable(snapshot):
            raise AwsError(
                "ValidationException",
                "The snapshot's key is not enabled.",
                reason="INVALID_CUSTOMER_KEY",
            )
        token = request.query.get("blockToken", "")
        if not self._tokens.check_block(token, snapshot.id, index):
            raise AwsError(
                "ValidationException",
                "The block token is not valid for this block, or has expired.",
                reason="INVALID_BLOCK_TOKEN",
            )
        image = snapshot.image
        if image is None:
            raise AwsError(
                "ValidationException", f"There is no block {index}.", reason="INVALID_BLOCK"
            )
        data = image.read(index)
        digest = base64.b64encode(image.digest(index, data)).decode()
        headers = {
            "Content-Type": "application/octet-stream",
            "x-amz-Data-Length": str(BLOCK),
            "x-amz-Checksum": digest,
            "x-amz-Checksum-Algorithm": "SHA256",
        }
        return Reply(200, headers, data)

    def _list(self, request: Request, snapshot_id: str, account: str, region: str) -> Reply:
        limit, start = _paging(request)
        snapshot = self._snapshot(request, snapshot_id, account, region)
        written: Sequence[int] = _written(snapshot)
        expiry = self._tokens.block_expiry()

        def entry(index: int) -> dict[str, object]:
            token = self._tokens.block(snapshot.id, index, expiry)
            return {"BlockIndex": index, "BlockToken": token}

        page, following = self._page(request, f"list {snapshot.id}", written, start, limit)
        body = _sizes(snapshot, expiry, following)
        body["Blocks"] = [entry(index) for index in page]
        return _json(body)

    def _list_changed(self, request: Request, second_id: str, account: str, region: str) -> Reply:
        limit, start = _paging(request)
        first_id = request.query.get("firstSnapshotId", "")
        first = self._snapshot(request, first_id, account, region)
        second = self._snapshot(request, second_id, account, region)
        if first.lineage != second.lineage:
            raise AwsError(
                "ValidationException",
                f"The snapshots '{first_id}' and '{second_id}' are not of the same volume.",
                reason="UNRELATED_SNAPSHOTS",
            )
        changed = self._changes(first, second)
        expiry = self._tokens.block_expiry()
        sides = (("FirstBlockToken", first), ("SecondBlockToken", second))

        def entry(index: int) -> dict[str, object]:
            found: dict[str, object] = {"BlockIndex": index}
            for name, snapshot in sides:
                if _has(_written(snapshot), index):
                    found[name] = self._tokens.block(snapshot.id, index, expiry)
            return found

        listing = f"changed {first.id} {second.id}"
        page, following = self._page(request, listing, changed, start, limit)
        body = _sizes(second, expiry, following)
        body["ChangedBlocks"] = [entry(index) for index in page]
        return _json(body)

    def _page(
        self, request: Request, listing: str, indices: Sequence[int], start: int, limit: int
    ) -> tuple[Sequence[int], str | None]:
        """The page's block indices and the next page's token, None after the last."""
        pages = 0
        if "pageToken" in request.query:
            known = self._tokens.check_page(request.query["pageToken"], listing)
            if known is None:
                raise AwsError(
                    "ValidationException",
                    "The page token is not valid for this request, or has expired.",
                    reason="INVALID_PAGE_TOKEN",
                )
            start, pages = known
        begin = bisect_left(indices, start)
        if self._comes_empty(pages):
            return [], self._tokens.page(listing, start, pages + 1)
        page = indices[begin : begin + limit]
        if begin + limit >= len(indices):
            return page, None
        return page, self._tokens.page(listing, indices[begin + limit], pages + 1)

    def _comes_empty(self, pages: int) -> bool:
        def drawn(number: int) -> bool:
            return random.Random(f"{self._seed} {number}").random() < self._empty_pages  # noqa: S311

        # Never two in a row, so that a listing ends at any probability.
        return pages % 2 == 0 and drawn(pages)

    def _changes(self, first: ShelfSnapshot, second: ShelfSnapshot) -> list[int]:
        key = (first.id, second.id)
        if key not in self._changed:
            before, after = set(_written(first)), set(_written(second))
            same = set()
            if first.image is not None and second.image is not None:
                old, new = first.image.read, second.image.read
                same = {index for index in before & after if old(index) == new(index)}
            self._changed[key] = sorted((before | after) - same)
        return self._changed[key]


def _written(snapshot: ShelfSnapshot) -> Sequence[int]:
    return () if snapshot.image is None else snapshot.image.written()


def _has(indices: Sequence[int], index: int) -> bool:
    place = bisect_left(indices, index)
    return place < len(indices) and indices[place] == index


def _paging(request: Request) -> tuple[int, int]:
    """`(maxResults, startingBlockIndex)`, checked."""
    limit = request.query.get("maxResults")
    start = request.query.get("startingBlockIndex")
    return (
        # "If you specify less than 100, … returns at least 100": the API reference.
        max(
            MIN_RESULTS,
            _integer("maxResults", str(MIN_RESULTS) if limit is None else limit, 1, MAX_RESULTS),
        ),
        0 if start is None else _integer("startingBlockIndex", start, 0, 2**31 - 1),
    )


def _integer(name: str, text: str, least: int, most: int) -> int:
    value = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else -1
    if not least <= value <= most:
        raise AwsError(
            "ValidationException",
            f"The value '{text}' of {name} is not an integer from {least} to {most}.",
            reason="INVALID_PARAMETER_VALUE",
        )
    return value


def _sizes(snapshot: ShelfSnapshot, expiry: float, following: str | None) -> dict[str, object]:
    body: dict[str, object] = {
        "BlockSize": BLOCK,
        "VolumeSize": snapshot.size_gib,
        "ExpiryTime": round(expiry, 3),
    }
    if following is not None:
        body["NextToken"] = following
    return body


def _json(body: dict[str, object]) -> Reply:
    return Reply(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _written_out(answer: EbsAnswer, snapshot: ShelfSnapshot, account: str) -> AwsError:
    message = answer.message.replace("{snapshot}", snapshot.id).replace("{state}", snapshot.status)
    message = message.replace("{account}", account)
    return AwsError(answer.code, message, status=answer.status, reason=answer.reason)


def _not_found(snapshot_id: str) -> AwsError:
    return AwsError(
        "ResourceNotFoundException",
        f"The snapshot '{snapshot_id}' does not exist.",
        status=404,
        reason="SNAPSHOT_NOT_FOUND",
    )
