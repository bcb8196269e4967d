"""Packages of one kernel source: those that contain the kernel, and those that accompany it.

A distribution's advisories name a kernel's source, or all binaries built from it. The
vulnerabilities are in the image. A metapackage is empty and has none. Headers, tools and
documentation are reported only for vulnerabilities that the image on the same machine does not
have: for example if the image is fixed and the tools are not.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sidelight.model import Package

# The numbers of the vulnerabilities of kernel images, by the package's type and layer.
_OfImages: TypeAlias = "dict[tuple[str, str], set[int]]"

_DEB_SOURCE = re.compile(r"linux(?:-[\w.+-]+)?")
# Source: scripts/package/mkdebian of Linux 6 and 4. Debian's own backports are `linux-6.12`.
_MAKEFILE_SOURCE = re.compile(r"linux-(?:upstream(?:-.+)?|[0-9]+\.[0-9]+\.[0-9].*)")
_RPM_SOURCE = re.compile(r"kernel(?:[0-9.]+)?(?:-[\w.+-]+)?|linux")
# Flavours in the names of metapackages: `linux-image-cloud-amd64`. An image's name has a release.
_DEBIAN_FLAVOUR = (
    r"(?:cloud-|rt-)?(?:amd64|arm64(?:-16k)?|686(?:-pae)?|armmp(?:-lpae)?|marvell|rpi|riscv64|s390x"
    r"|powerpc(?:64(?:le)?)?(?:-64k)?|mips\w*|loongson-3|octeon|[45]kc-malta)(?:-dbg)?"
)
_UBUNTU_FLAVOUR = (
    r"(?:generic|lowlatency|virtual|aws|azure|gcp|gke(?:op)?|oracle|ibm|kvm|raspi|realtime)"
    r"(?:-(?:64k|fde|lpae|hwe-[0-9.]+|lts-[0-9a-z.]+|edge))*"
)
_DEB_META = re.compile(rf"linux-(?:(?:image|headers)-{_DEBIAN_FLAVOUR}|source|doc)")
_UBUNTU_META = re.compile(r"linux-meta(?:-[\w.+-]+)?")
_DEB_IMAGE = re.compile(
    rf"linux-(?:image|modules|main-modules|objects)-(?!(?:{_UBUNTU_FLAVOUR})$).+"
)
_RPM_FOLLOWER = re.compile(
    r"(?:kernel[\w.+-]*-(?:headers|tools|tools-libs|tools-libs-devel|devel|devel-matched|doc|docs"
    r"|docs-html|source|syms|macros|abi-stablelists|abi-whitelists|cross-headers|srpm-macros"
    r"|selftests-internal|rpm-macros|debug-devel|debug-devel-matched|livepatch-devel|obs-build)"
    r"|kernel-(?:headers|tools|devel|doc)|bpftool|perf|python3?-perf|rtla|rv|libperf(?:-devel)?"
    r"|linux-(?:api-headers|devel|docs|tools|python3-perf))"
)


def is_meta(package: Package) -> bool:
    """Return whether a kernel package is empty: it only depends on the newest image."""
    if package.type != "deb" or not package.name.startswith("linux-"):
        return False
    if _UBUNTU_META.fullmatch(package.source_name):
        return True
    return _is_of_a_kernel(package) and _DEB_META.fullmatch(package.name) is not None


def is_built_by_hand(package: Package) -> bool:
    """Return whether a kernel's deb was made by the kernel's own makefile (`make deb-pkg`).

    It has the distribution's names and a version above all of its fixes, and none of its patches.
    """
    source = package.source_name
    return package.type == "deb" and source.startswith("linux-") and _is_of_makefile(source)


@lru_cache(maxsize=1024)
def _is_of_makefile(source: str) -> bool:
    return _MAKEFILE_SOURCE.fullmatch(source) is not None


def of_images(packages: Iterable[tuple[Package, Collection[int]]]) -> _OfImages:
    """Return the numbers of the vulnerabilities of the images among packages with findings."""
    by_image: _OfImages = {}
    for package, numbers in packages:
        if _is_of_a_kernel(package) and not _follows(package):
            by_image.setdefault((package.type, package.layer), set()).update(numbers)
    return by_image


def not_the_images(
    package: Package, numbers: Collection[int], images: _OfImages
) -> Collection[int] | Iterator[int]:
    """Return a package's vulnerabilities that no image on the same machine has."""
    if not images or not _is_of_a_kernel(package) or not _follows(package):
        return numbers
    known = images.get((package.type, package.layer), set())
    return [number for number in numbers if number not in known]


def _is_of_a_kernel(package: Package) -> bool:
    source = package.source_name or package.name
    if package.type == "deb":
        return source.startswith("linux") and _is_deb_kernel(source)
    if package.type == "rpm":
        return source.startswith(("kernel", "linux")) and _is_rpm_kernel(source)
    return False


@lru_cache(maxsize=1024)
def _is_deb_kernel(source: str) -> bool:
    return _DEB_SOURCE.fullmatch(source) is not None and "firmware" not in source


@lru_cache(maxsize=1024)
def _is_rpm_kernel(source: str) -> bool:
    return _RPM_SOURCE.fullmatch(source) is not None and "firmware" not in source


def _follows(package: Package) -> bool:
    if package.type == "deb":
        return _DEB_IMAGE.fullmatch(package.name) is None
    return _RPM_FOLLOWER.fullmatch(package.name) is not None
