"""Which packages are of which kernel, and which kernels are of no package."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sidelight.inventory.kernels import IMAGES, release_of_image
from sidelight.inventory.purl import format_purl
from sidelight.model import Package, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HAND_BUILT = "linux-kernel"  # the name of a kernel that no package has
MAX_IMAGES = 256  # kernel images in /boot
MAX_NAME = 128  # characters of a kernel package's name

# Packages of which several versions are installed side by side, each for one kernel.
# `linux-<flavour>-<kind>-<release>`, or with a module's name after the kind.
_DEB_KINDS = (
    "image", "image-extra", "modules", "modules-extra", "headers", "tools", "cloud-tools",
    "buildinfo", "lib-rust",
)  # fmt: skip
_DEB_MODULES = ("-objects-", "-signatures-", "-main-modules-")
_DEB_RELEASE = re.compile(r"-(?=[0-9]{1,9}\.[0-9])")
# What the names of rpm's parallel installed kernels are put together from, after `kernel` and the
# series that Amazon's have (`kernel6.1`): flavours, and parts of a kernel. Tools, headers, macros
# and documentation are installed once.
_RPM_PARTS = (
    # parts
    "core|modules|extra|internal|partner|matched|devel|optional|uki|virt|addons|kvm|base|livepatch"
    # flavours of Red Hat's family, with those of ELRepo
    "|rt|64k|16k|debug|lpae|zfcpdump|automotive|lt|ml|lts"
    # Oracle's
    "|uek|usb|wireless|desktop|deprecated|netfilter|container"
    # SUSE's
    "|default|azure|preempt|kvmsmall|64kb|longterm|pae|xen|vanilla"
)
_RPM = re.compile(rf"kernel(?:\d+\.\d+)?(?:-(?:{_RPM_PARTS})(?![^-])){{0,6}}")
_APK = re.compile(r"linux-(lts|virt|edge|vanilla|hardened|rpi\d*|stable|grsec)")
_BOTTLEROCKET = re.compile(r"kernel-\d+\.\d+")
_ARCH = re.compile(r"\.((?:arch|zen|hardened|rt|artix)\d+)")
_ALPM = re.compile(r"linux(?:-(?:lts|zen|hardened|rt|rt-lts))?(?:-headers)?")


def mark(packages: Sequence[Package], release: str) -> list[Package]:
    """The packages, those of kernels marked by whether `release` is theirs.

    Where no installed package is the booted kernel's (one built by hand), none is marked: an
    unmarked kernel counts.
    """
    tests = [_test(package) for package in packages] if release else []
    marks = [None if test is None else test(release) for test in tests]
    if True not in marks:
        return list(packages)
    return [
        package if mark is None else replace(package, running_kernel=mark)
        for package, mark in zip(packages, marks, strict=True)
    ]


def named_images(images: Sequence[str]) -> tuple[list[Package], list[Problem]]:
    """The kernels of images in /boot that have their releases in their names, as built by hand.

    `images`: paths without the leading slash. Of more than MAX_IMAGES the first are looked at, and
    a Problem says so.
    """
    numbered = [path for path in images if is_numbered(release_of_image(path))]
    problems = []
    if len(numbered) > MAX_IMAGES:
        what = f"{len(numbered)} kernel images; {MAX_IMAGES} of them are looked at"
        problems.append(Problem(f"/{IMAGES}", what))
    found = []
    for path in numbered[:MAX_IMAGES]:
        release = release_of_image(path)
        purl = format_purl("generic", "", HAND_BUILT, release)
        found.append(Package("generic", HAND_BUILT, release, f"/{path}", purl))
    return found, problems


def without_packaged_images(packages: Sequence[Package]) -> tuple[list[Package], list[Problem]]:
    """The packages without those of kernels' images for whose release a package is installed.

    Of several images of one release the first stays.
    """
    tests = [test for package in packages if (test := _test(package)) is not None]
    kept = [package for package in packages if not _is_of_an_image(package)]
    images = sorted(filter(_is_of_an_image, packages), key=lambda package: package.path)
    problems = []
    if len(images) > 2 * MAX_IMAGES:
        what = f"{len(images)} kernel images; {2 * MAX_IMAGES} of them are looked at"
        problems.append(Problem("/", what))
    seen: set[str] = set()
    for package in images[: 2 * MAX_IMAGES]:
        release = package.version
        if release not in seen and not any(test(release) for test in tests):
            kept.append(package)
        seen.add(release)
    return kept, problems


def is_numbered(release: str) -> bool:
    """Whether a text begins as a kernel's release does."""
    return _NUMBERED.match(release) is not None


def _is_of_an_image(package: Package) -> bool:
    return package.type == "generic" and package.name == HAND_BUILT and not package.layer


_NUMBERED = re.compile(r"[0-9]+\.[0-9]+\.[0-9]")


def _test(package: Package) -> Callable[[str], bool] | None:
    """Whether a release is this package's, as a function; None where it is not of a kernel."""
    if package.layer or len(package.name) > MAX_NAME:
        return None
    test = _TESTS.get(package.type)
    return test(package) if test is not None else None


def _test_deb(package: Package) -> Callable[[str], bool] | None:
    own = _deb_release(package.name)
    return partial(_same_deb, own) if own else None


def _test_rpm(package: Package) -> Callable[[str], bool] | None:
    return partial(_same_rpm, package) if _RPM.fullmatch(package.name) else None


def _test_bottlerocket(package: Package) -> Callable[[str], bool] | None:
    if not _BOTTLEROCKET.fullmatch(package.name):
        return None
    return package.version.rpartition(":")[2].partition("-")[0].__eq__


def _test_apk(package: Package) -> Callable[[str], bool] | None:
    """Alpine's 6.6.31-r0 of linux-lts is `6.6.31-0-lts`, and its image `vmlinuz-lts`."""
    match, version = _APK.fullmatch(package.name), package.version
    if match is None:
        return None
    names = (version, version.replace("-r", "-", 1))
    return {match[1], *(f"{name}-{match[1]}" for name in names)}.__contains__


def _test_alpm(package: Package) -> Callable[[str], bool] | None:
    """Arch's 6.9.1.arch1-2 of linux is `6.9.1-arch1-2`, and its image `vmlinuz-linux`."""
    if not _ALPM.fullmatch(package.name):
        return None
    kernel = package.name.removesuffix("-headers")
    names = (package.version, _ARCH.sub(r"-\1", package.version))
    flavoured = (f"{name}{kernel.removeprefix('linux')}" for name in names)
    return {kernel, *names, *flavoured}.__contains__


_TESTS = {
    "deb": _test_deb,
    "rpm": _test_rpm,
    "apk": _test_apk,
    "alpm": _test_alpm,
    "bottlerocket": _test_bottlerocket,
}


def _deb_release(name: str) -> str:
    """`linux-headers-6.1.0-18-amd64` -> `6.1.0-18-amd64`; empty for what is not of one kernel."""
    if not name.startswith("linux-"):
        return ""
    for match in _DEB_RELEASE.finditer(name):
        before = name[len("linux") : match.start()].removesuffix("-unsigned")
        if before.endswith(tuple(f"-{kind}" for kind in _DEB_KINDS)):
            return name[match.end() :]
        if any(0 <= before.find(word) < len(before) - len(word) for word in _DEB_MODULES):
            return name[match.end() :]
    return ""


def _same_deb(own: str, release: str) -> bool:
    """Headers and tools common to all flavours are named without one: `6.1.0-18-common`."""
    own = own.removesuffix("-common").removesuffix("-unsigned")
    return own == release or release.startswith(own + "-")


def _same_rpm(package: Package, release: str) -> bool:
    """`5.14.0-70.el9` and x86_64 against `5.14.0-70.el9.x86_64+rt`, or SUSE's `…-default`."""
    version = package.version.rpartition(":")[2]
    if release.partition("+")[0] in {f"{version}.{package.arch}", version}:
        return True
    # SUSE: the image has the flavour for the architecture, and lacks the rebuild count.
    base, dash, flavour = release.rpartition("-")
    if not dash or not flavour.isalpha() or flavour not in package.name.split("-"):
        return False
    return version == base or version.startswith(base + ".")
