"""Where container runtimes keep their images and containers' files on a host.

By default nothing there is read: Amazon Inspector leaves these paths out too, as what lies there is
the software of images, not of the machine. Taken in, each layer is a root of its own.
"""

from __future__ import annotations

import re

# Directory within the machine's tree -> the label of what is found below it.
RUNTIME_PATHS: dict[bytes, str] = {
    b"var/lib/docker": "docker",
    b"var/lib/containerd": "containerd",
    b"run/containerd": "containerd",
    b"run/docker": "docker",
    b"var/lib/containers/storage": "containers-storage",
    b"var/lib/rancher/k3s/agent/containerd": "containerd",
    b"var/lib/rancher/rke2/agent/containerd": "containerd",
    b"var/snap/microk8s/common/var/lib/containerd": "containerd",
    b"var/snap/docker/common/var-lib-docker": "docker",
    b"var/lib/kubelet/pods": "kubelet",
    b"var/lib/kubelet/plugins": "kubelet",
    b"var/lib/lxc": "lxc",
    b"var/lib/lxd": "lxd",
    b"var/lib/incus": "incus",
    b"var/lib/machines": "nspawn",
    b"var/snap/lxd/common/lxd": "lxd",
}

# Kernel filesystems and mounts that live only while a machine runs: never read.
NEVER = frozenset((b"proc", b"sys", b"dev"))

# Rootless Docker and Podman keep theirs in a home directory; nested ones are found as well.
_ROOTLESS = re.compile(rb"(?:^|/)\.local/share/(docker|containers/storage|containerd)$")

# A layer's or a container's own root directory.
_LAYER = re.compile(
    rb".*?/(?:overlay2?|fuse-overlayfs)/[^/]+/diff$"
    rb"|.*?/(?:snapshots)/[^/]+/fs$"
    rb"|.*?/(?:aufs/diff|vfs/dir|btrfs/subvolumes)/[^/]+$"
    rb"|var/lib/machines/[^/]+$"
    rb"|.*?/(?:lxc|lxd/containers|lxd/storage-pools/[^/]+/containers)/[^/]+/rootfs$"
).fullmatch


def is_runtime(path: bytes) -> bool:
    """Whether a directory belongs to a container runtime. Only its last parts are looked at."""
    return path in RUNTIME_PATHS or (path.endswith(_ENDS) and bool(_ROOTLESS.search(path)))


def label(path: bytes) -> str:
    """The runtime below whose directory a path lies; empty for the machine's own paths."""
    if path.startswith((b"var/", b"run/")):
        for directory, name in RUNTIME_PATHS.items():
            if path.startswith(directory) and path[len(directory) : len(directory) + 1] in (
                b"",
                b"/",
            ):
                return name
    if b".local/share/" in path:
        match = re.search(rb"(?:^|/)\.local/share/(docker|containers/storage|containerd)/", path)
        if match:
            return match[1].decode().replace("/", "-")
    return ""


def is_layer(path: bytes) -> bool:
    """Whether a directory below a runtime's is the root of a layer or a container."""
    return bool(_LAYER(path))


_ENDS = (b"/docker", b"/storage", b"/containerd")
