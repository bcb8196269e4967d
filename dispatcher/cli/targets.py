"""The TARGETs of the command line: image files, block devices and snapshots."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from sidelight.aws.ebs import SnapshotSource
    from sidelight.aws.session import Session
    from sidelight.blocks import BlockPool, BlockSource
    from sidelight.blocks.disk_cache import DiskCache
    from sidelight.model import ReadStats

SNAPSHOT = "ebs:"
INSTANCE = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?")
_AWS_ID = re.compile(r"(snap|vol|i|ami)-[0-9a-f]*$")
_HINTS = {
    "snap": "there is no such file; for the snapshot write ebs:{target}",
    "vol": "there is no such file; a volume cannot be read: create a snapshot of it, or name its"
    " instance",
    "ami": "there is no such file; an AMI cannot be read: name one of its snapshots, ebs:snap-ID",
    "i": "there is no such file, and an instance's id has 8 or 17 hexadecimal digits",
}


class Targets:
    """The open disks of one machine; a context manager that closes them."""

    def __init__(  # noqa: PLR0913 - all but one by keyword
        self,
        targets: Sequence[str],
        *,
        in_flight: int,
        budget: int,
        region: str | None = None,
        kept: DiskCache | None = None,
        waiting: Mapping[str, Any] | None = None,
    ) -> None:
        """Open every target. `in_flight`: concurrent calls; `budget`: cache bytes of all snapshots.

        `kept`: a cache of snapshot blocks for the next command. `waiting`: options of
        `sidelight.aws.late_answers.LateAnswers`.

        Raises UsageError for a target of another form, SourceError where one cannot be opened.
        """
        self.sources: list[BlockSource] = []
        self._snapshots: list[SnapshotSource] = []
        self._stack = ExitStack()
        session: Session | None = None
        pool: BlockPool | None = None
        check_targets(targets)
        from sidelight import blocks

        try:
            for target in targets:
                if not target.startswith(SNAPSHOT):
                    self.sources.append(self._stack.enter_context(blocks.ImageFile(target)))
                    continue
                name = snapshot_name(target)
                # boto3 takes half a second to import, and an image file needs none of it.
                from sidelight.aws import ebs
                from sidelight.aws import session as aws
                from sidelight.aws.ec2 import Ec2
                from sidelight.aws.late_answers import LateAnswers

                pool = pool or blocks.BlockPool(budget, in_flight)
                session = session or aws.Session(region=region, pool=in_flight)
                ec2 = Ec2(session, "", session.region)
                source = ebs.open_snapshot(
                    name,
                    session.client("ebs"),
                    pool=pool,
                    options=ebs.EbsOptions(kept=kept, late=LateAnswers(ec2, **(waiting or {}))),
                )
                self._stack.callback(source.close)
                self.sources.append(source)
                self._snapshots.append(source)
        except BaseException:
            self._stack.close()
            raise

    def stats(self) -> ReadStats:
        """Return the sums of the snapshots' calls, blocks, bytes and dollars, without times."""
        from sidelight.model import ReadStats

        return ReadStats.total(snapshot.stats() for snapshot in self._snapshots)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


def check_targets(targets: Sequence[str]) -> None:
    """Raise UsageError for a text that looks like an AWS id and is not a target, before reading."""
    for target in targets:
        if target.startswith(SNAPSHOT):
            snapshot_name(target)
            continue
        kind = _AWS_ID.match(target)
        if kind is None or INSTANCE.fullmatch(target) or Path(target).exists():
            continue
        raise UsageError(_HINTS[kind[1]].format(target=target), where=target)


def snapshot_name(target: str) -> str:
    """Return the snapshot's id in `ebs:snap-…`. Raises UsageError."""
    name = target.removeprefix(SNAPSHOT)
    if not name.startswith("snap-"):
        raise UsageError("is not a snapshot: write ebs:snap-0123456789abcdef0", where=target)
    return name
