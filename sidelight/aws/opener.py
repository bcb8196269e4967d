"""PyFilesystem2 opener: `fs.open_fs("ebs://snap-…,snap-…!/etc")`: the snapshots of one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fs.opener import registry

from sidelight.aws.ebs import open_snapshot
from sidelight.filesystems.openers import SourcesOpener

if TYPE_CHECKING:
    from sidelight.blocks import BlockSource


class EbsOpener(SourcesOpener):
    """Snapshots over the EBS direct APIs, with the environment's credentials and region."""

    protocols = ["ebs"]  # noqa: RUF012 -- as in the base class

    def source(self, name: str) -> BlockSource:
        """One completed snapshot by its id."""
        return open_snapshot(name)


def register() -> None:
    """Make `fs.open_fs("ebs://…")` work in this process (the entry point does it for all)."""
    registry.install(EbsOpener)
