"""The software of a machine: its operating system, packages and problems."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidelight.model.listeners import ConfiguredListener  # noqa: TC001 - the store resolves hints to load


class Status(StrEnum):
    """How much of a machine was read. `PARTIAL` and `FAILED` always come with Problems."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something in a scanned volume that could not be read, with its coordinates.

    `where` goes from the outside in: `snap-1/p2/ext4: inode 12, block 33` or a path.
    """

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """A machine's identity from os-release. A field that the file does not have is empty."""

    id: str = ""
    version_id: str = ""
    pretty_name: str = ""
    codename: str = ""
    id_like: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package.

    `version` is in the ecosystem's own form: dpkg `1:2.3-4`, rpm `[epoch:]version-release`, apk
    `1.2.3-r0`. `path` is the file that names it, absolute in the machine's tree.
    `direct` and `dev` are None if the format does not contain them. `layer` names the container
    storage that contains it (`docker`, `containerd`, …), empty for the machine itself.
    `running_kernel` is None for other packages than kernels, else whether the machine boots it.
    """

    type: str
    name: str
    version: str
    path: str
    purl: str
    arch: str = ""
    source_name: str = ""
    source_version: str = ""
    vendor: str = ""
    modularity: str = ""
    licence: str = ""
    direct: bool | None = None
    dev: bool | None = None
    layer: str = ""
    running_kernel: bool | None = None


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What to read of a machine, and for how long at most. Times in seconds.

    `include_containers`: also what container runtimes keep, each package labelled with its runtime.
    `skip_dirs`: globs of directories in which no language packages are looked for.
    `whole_machine`: false where the tree is a part of a machine, without its package databases.
    """

    include_containers: bool = False
    file_seconds: float = 60.0
    machine_seconds: float = 1800.0
    whole_machine: bool = True
    skip_dirs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilesystemSummary:
    """One filesystem of a machine. `mount` is empty if it is not mounted.

    `journal` is one of `none`, `clean`, `replayed`, `unreplayed`.
    """

    source: str
    type: str
    mount: str
    journal: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """The software on one machine, as far as it could be read.

    `left_out` names the parts of its disks that are not read, since they are not the machine's own
    running software: container runtimes' directories, snapshots, deployments that do not boot.
    `skipped` says what was left out by option: a glob and the number of directories, a text each.
    `listeners` are the ports that configuration files say services listen on.
    `dependencies` has for each package, in their order, the indexes of the packages that it
    requires, sorted: None where they are not known, which is not the same as none. It is empty
    where those of no package are known.
    """

    status: Status
    os: OperatingSystem
    packages: tuple[Package, ...] = ()
    problems: tuple[Problem, ...] = ()
    filesystems: tuple[FilesystemSummary, ...] = ()
    left_out: tuple[str, ...] = ()
    listeners: tuple[ConfiguredListener, ...] = ()
    skipped: tuple[str, ...] = ()
    dependencies: tuple[tuple[int, ...] | None, ...] = ()
