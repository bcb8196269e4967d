"""PyFilesystem2 opener: `fs.open_fs("ebs://snap-…,snap-…!/etc")`: the snapshots of one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fs.opener import registry

from sidelight.aws.ebs import EbsOptions, open_snapshot
from sidelight.aws.ec2 import Ec2
from sidelight.aws.late_answers import LateAnswers
from sidelight.aws.session import Session
from sidelight.filesystems.pyfilesystem.openers import SourcesOpener

if TYPE_CHECKING:
    from sidelight.blocks import BlockSource


class EbsOpener(SourcesOpener):
    """Snapshots over the EBS direct APIs, with the environment's credentials and region."""

    protocols = ["ebs"]  # noqa: RUF012 -- as in the base class

    def source(self, name: str) -> BlockSource:
        """Open one snapshot by its id; wait while it is pending or too new to be read."""
        session = Session()
        late = LateAnswers(Ec2(session, "", session.region))
        return open_snapshot(name, session.client("ebs"), options=EbsOptions(late=late))


def register() -> None:
    """Make `fs.open_fs("ebs://…")` work in this process (the entry point does it for all)."""
    registry.install(EbsOpener)
