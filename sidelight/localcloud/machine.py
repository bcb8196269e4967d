"""What is asked for when an instance is put into the local cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sidelight.errors import UsageError

DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-east-1"
GIB = 1 << 30
STATES = ("running", "stopped", "terminated")


def by_device(images: Sequence[str | Path] | Mapping[str, str | Path]) -> dict[str, Path]:
    """Images by device name; a plain list becomes /dev/sda1, /dev/sdb, ... in its order."""
    if isinstance(images, Mapping):
        return {device: Path(path) for device, path in images.items()}
    names = ["/dev/sda1", *(f"/dev/sd{chr(ord('b') + n)}" for n in range(25))]
    if len(images) > len(names):
        raise UsageError(f"{len(images)} images: name the devices of more than {len(names)}")
    return {names[n]: Path(path) for n, path in enumerate(images)}


@dataclass(frozen=True, slots=True)
class LocalMachine:
    """An instance with its disks. The first device of `images` is the root.

    `immutable` promises that nobody writes to the images, so that a snapshot costs nothing.
    `ssm`: members of SSM's InstanceInformation; an empty one makes a managed instance too.
    `inventory`: what its agent finds on it, entries by type (`AWS:Application`).
    """

    name: str
    images: dict[str, Path]
    tags: dict[str, str] = field(default_factory=dict)
    volume_tags: dict[str, str] = field(default_factory=dict)
    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    state: str = "running"
    volume_type: str = "gp3"
    volume_sizes: dict[str, int] = field(default_factory=dict)
    encrypted: bool = False
    kms_key_id: str = ""
    immutable: bool = False
    instance_type: str = "m5.large"
    image_id: str = "ami-00000000000000001"
    platform: str = ""
    subnet_id: str = ""
    security_group_ids: tuple[str, ...] = ()
    ssm: dict[str, object] | None = None
    inventory: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def check(self) -> None:
        """Raise UsageError for what cannot be."""
        if self.state not in STATES:
            raise UsageError(f"state {self.state!r} is none of {', '.join(STATES)}")
        if len(self.account) != 12 or not self.account.isdecimal():
            raise UsageError(f"account {self.account!r} is not of 12 digits")
        for device, path in self.images.items():
            if not path.is_file():
                raise UsageError("no image file", where=str(path))
            requested = self.volume_sizes.get(device)
            if requested is not None and requested < _ceil_gib(path):
                raise UsageError(f"larger than its volume of {requested} GiB", where=str(path))

    def size_gib(self, device: str) -> int:
        """The volume's size: as asked, else the image's, rounded up."""
        return self.volume_sizes.get(device) or _ceil_gib(self.images[device])


def _ceil_gib(path: Path) -> int:
    return max(1, -(-path.stat().st_size // GIB))
