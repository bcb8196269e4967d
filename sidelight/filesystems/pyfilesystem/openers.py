"""PyFilesystem2 openers: `fs.open_fs("image:///path/to/disk.img!/etc")`.

`?volumes=vol-…,vol-…` says which EBS volumes the disks are, where fstab names them by their ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fs.opener import registry
from fs.opener.base import Opener
from fs.opener.errors import OpenerError

from sidelight.blocks import ImageFile
from sidelight.disk import volumes
from sidelight.disk.device_names import attachments_of
from sidelight.errors import SidelightError
from sidelight.filesystems.machine.mount_table import assemble, open_slices
from sidelight.filesystems.pyfilesystem.face import MachineFS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fs.base import FS
    from fs.opener.parse import ParseResult

    from sidelight.blocks import BlockSource
    from sidelight.disk import Attachment
    from sidelight.model import Problem


def open_sources(
    sources: Sequence[BlockSource],
    problems: list[Problem] | None = None,
    reader: str = "own",
    attachments: Sequence[Attachment] = (),
) -> MachineFS:
    """The machine whose disks these are. It closes them. Raises UsageError for `reader` only."""
    noted: list[Problem] = [] if problems is None else problems
    slices = volumes(sources, noted, attachments)
    tree = assemble(slices, open_slices(slices, noted, reader))
    for problem in noted:
        tree.note(problem)
    return MachineFS(tree, sources)


class SourcesOpener(Opener):
    """`scheme://disk,disk?volumes=vol-…,vol-…!/directory`: commas part the disks of one machine.

    A subclass names its `protocols` and overrides `source`.
    """

    protocols: list[str]

    def source(self, name: str) -> BlockSource:
        """One disk by its name. Raises SourceError."""
        raise NotImplementedError

    def open_fs(
        self,
        fs_url: str,
        parse_result: ParseResult,
        writeable: bool,
        create: bool,
        cwd: str,
    ) -> FS:
        """The tree, or the directory after `!`. Raises OpenerError, also for writing."""
        del cwd, writeable
        if create:
            raise OpenerError(f"{fs_url}: disk images are read-only")
        sources: list[BlockSource] = []
        try:
            for name in parse_result.resource.split(","):
                sources.append(self.source(name))  # noqa: PERF401 -- those opened are closed
            machine = open_sources(sources, attachments=_attachments(parse_result.params))
        except SidelightError as error:
            for source in sources:
                getattr(source, "close", lambda: None)()
            raise OpenerError(f"{fs_url}: {error}") from error
        if parse_result.path:
            return machine.opendir(parse_result.path)
        return machine


def _attachments(params: Mapping[str, str]) -> tuple[Attachment, ...]:
    """What a URL says of its disks' volumes. Raises UsageError."""
    volume_ids = params.get("volumes", "")
    return attachments_of(volume_ids.split(",")) if volume_ids else ()


class ImageOpener(SourcesOpener):
    """`image:///path/to/disk.img!/dir`: raw images and block devices."""

    protocols = ["image"]  # noqa: RUF012 -- as in the base class

    def source(self, name: str) -> BlockSource:
        """A raw image file."""
        return ImageFile(name)


def register() -> None:
    """Make `fs.open_fs("image://…")` work in this process (the entry point does it for all)."""
    registry.install(ImageOpener)
