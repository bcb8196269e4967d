"""What the command line's TARGETs name: image files, block devices and snapshots."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from sidelight.blocks import ImageFile
from sidelight.errors import UsageError
from sidelight.model import ReadStats

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from sidelight.aws.ebs import SnapshotSource
    from sidelight.aws.session import Session
    from sidelight.blocks import BlockSource
    from sidelight.blocks.kept import KeptBlocks

SNAPSHOT = "ebs:"


class Targets:
    """The open disks of one machine; a context manager that closes them."""

    def __init__(
        self,
        targets: Sequence[str],
        *,
        in_flight: int,
        budget: int,
        region: str | None = None,
        kept: KeptBlocks | None = None,
    ) -> None:
        """Open every target. `in_flight` calls at once, `budget` bytes of cache for each snapshot.

        `kept`: where blocks of snapshots are kept for the next command.

        Raises UsageError for a target of another form, SourceError where one cannot be opened.
        """
        self.sources: list[BlockSource] = []
        self._snapshots: list[SnapshotSource] = []
        self._stack = ExitStack()
        session: Session | None = None
        try:
            for target in targets:
                if not target.startswith(SNAPSHOT):
                    self.sources.append(self._stack.enter_context(ImageFile(target)))
                    continue
                name = snapshot_name(target)
                # boto3 takes half a second to import, and an image file needs none of it.
                from sidelight.aws import ebs
                from sidelight.aws import session as aws

                session = session or aws.Session(region=region, pool=in_flight)
                source = ebs.open_snapshot(
                    name,
                    session.client("ebs"),
                    in_flight=in_flight,
                    budget=budget,
                    options=ebs.Options(kept=kept),
                )
                self._stack.callback(source.close)
                self.sources.append(source)
                self._snapshots.append(source)
        except BaseException:
            self._stack.close()
            raise

    def stats(self) -> ReadStats:
        """The snapshots' calls, blocks, bytes and dollars, summed; times are not in it."""
        each = [snapshot.stats() for snapshot in self._snapshots]
        return ReadStats(
            get_calls=sum(item.get_calls for item in each),
            list_calls=sum(item.list_calls for item in each),
            distinct_blocks=sum(item.distinct_blocks for item in each),
            bytes=sum(item.bytes for item in each),
            usd=sum(item.usd for item in each),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


def snapshot_name(target: str) -> str:
    """The snapshot's id in `ebs:snap-…`. Raises UsageError."""
    name = target.removeprefix(SNAPSHOT)
    if not name.startswith("snap-"):
        raise UsageError(f"{target} names no snapshot: write ebs:snap-…")
    return name
