"""Where container runtimes keep their images and containers' files on a host, and what is theirs.

By default nothing of theirs is read: Amazon Inspector leaves these paths out too, as what lies
there is the software of images, not of the machine. Taken in, each layer is a root of its own.
A name alone makes no runtime: a directory must be laid out as its runtime does, and only what the
runtime makes there is left out. All else in it is scanned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime's layout. `own` matches the entries of its directory that it makes.

    Under a home directory, where any user writes, `least` of them must be there; elsewhere one.
    """

    label: str
    own: re.Pattern[bytes]
    least: int

    def laid_out(self, names: Iterable[bytes], *, rootless: bool) -> bool:
        """Whether a directory with these names is the runtime's."""
        found = sum(1 for name in names if self.own.fullmatch(name))
        return found >= (self.least if rootless else 1)


# Sources: moby's daemon (its data-root), containerd's plugins ("<type>.<id>"), containers/storage.
DOCKER = Runtime(
    "docker",
    re.compile(
        rb"(?:[0-9]+\.[0-9]+/)?(?:overlay2?|fuse-overlayfs|aufs|vfs|btrfs|zfs|devicemapper|image"
        rb"|containers|volumes|buildkit|builder|network|plugins|swarm|runtimes|trust|tmp|rootfs"
        rb"|containerd)"
    ),
    3,
)
CONTAINERD = Runtime("containerd", re.compile(rb"io\.containerd\..+|tmpmounts"), 2)
STORAGE = Runtime(
    "containers-storage",
    re.compile(
        rb"(?:overlay|vfs|btrfs|zfs)(?:-containers|-images|-layers)?|libpod|volumes|cache|mounts"
        rb"|secrets|networks|artifacts|tmp"
    ),
    3,
)
KUBELET = Runtime(
    "kubelet", re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}"), 1
)

# Directory within the machine's tree -> its runtime.
RUNTIME_PATHS: dict[bytes, Runtime] = {
    b"var/lib/docker": DOCKER,
    b"var/snap/docker/common/var-lib-docker": DOCKER,
    b"var/lib/containerd": CONTAINERD,
    b"var/lib/rancher/k3s/agent/containerd": CONTAINERD,
    b"var/lib/rancher/rke2/agent/containerd": CONTAINERD,
    b"var/snap/microk8s/common/var/lib/containerd": CONTAINERD,
    b"var/lib/containers/storage": STORAGE,
    b"var/lib/kubelet/pods": KUBELET,
}
# Rootless Docker and Podman keep theirs in a home directory.
_ROOTLESS = {
    b"/.local/share/docker": DOCKER,
    b"/.local/share/containers/storage": STORAGE,
    b"/.local/share/containerd": CONTAINERD,
}
_ROOTLESS_ENDS = tuple(_ROOTLESS)

# The roots of system containers: the path to one, and whose it is.
_MACHINES = re.compile(
    rb"(?:var/lib/(?P<lxc>lxc)/[^/]+(?:/snaps/[^/]+)?/rootfs"
    rb"|var/lib/(?P<nspawn>machines)/[^/]+"
    rb"|(?:var/lib/(?P<lxd>lxd|incus)|var/snap/lxd/common/lxd)"
    rb"/(?:storage-pools/[^/]+/)?containers(?:-snapshots/[^/]+)?/[^/]+(?:/rootfs)?)"
).fullmatch
_MACHINES_IN = (b"var/lib/lxc/", b"var/lib/machines/", b"var/lib/lxd/", b"var/lib/incus/")
_MACHINES_BELOW = (*_MACHINES_IN, b"var/snap/lxd/")
_LABELS = {b"lxc": "lxc", b"machines": "nspawn", b"lxd": "lxd", b"incus": "incus"}
_TOP_OF_A_ROOT = frozenset((b"bin", b"etc", b"lib", b"sbin", b"usr", b"var"))

# A layer's or a container's own root directory, relative to its runtime's.
_LAYER = re.compile(
    rb"(?:.*/)?(?:overlay2?|fuse-overlayfs)/[^/]+/diff"
    rb"|(?:.*/)?snapshots/[^/]+/fs"
    rb"|(?:.*/)?(?:aufs/diff|vfs/dir|btrfs/subvolumes)/[^/]+"
).fullmatch


def runtime_at(path: bytes) -> tuple[Runtime, bool] | None:
    """The runtime that may have its directory here, and whether it is a user's own."""
    found = RUNTIME_PATHS.get(path)
    if found is not None:
        return found, False
    if path.endswith(_ROOTLESS_ENDS):
        for end, runtime in _ROOTLESS.items():
            if path.endswith(end):
                return runtime, True
    return None


def machine_at(path: bytes) -> str:
    """The label of the system container whose root may be here; empty where none may be."""
    if not path.startswith(_MACHINES_BELOW):
        return ""
    match = _MACHINES(path)
    if match is None:
        return ""
    return _LABELS[match["lxc"] or match["nspawn"] or match["lxd"] or b"lxd"]


def is_root(names: Iterable[bytes]) -> bool:
    """Whether a directory with these names is laid out as a system's root."""
    return len(_TOP_OF_A_ROOT.intersection(names)) > 1


def is_layer(inside: bytes) -> bool:
    """Whether a directory, by its path within a runtime's, is the root of a layer."""
    return bool(_LAYER(inside))
