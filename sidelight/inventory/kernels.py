"""Which kernel a machine boots, from what its boot loader reads; and which packages are of another.

A disk at rest does not show what runs, but what the next boot takes: the default entry of GRUB 2
(grub.cfg and grubenv), of the boot loader specification (loader/entries), of GRUB legacy or of
extlinux; failing these the newest image in /boot, as the tools that write those entries sort them.

Sources: GRUB's manual ("Simple configuration handling", "Environment block"), The Boot Loader
Specification (type 1), grub-legacy's `default`, syslinux' `DEFAULT`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from sidelight.errors import FormatError
from sidelight.inventory.purl import format_purl
from sidelight.model import Package, Problem
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LIMIT = 4 << 20  # bytes of one configuration file
MAX_TEXT = 32 << 20  # bytes of all configuration files together
MAX_IMAGES = 256  # kernel images in /boot
MAX_NAME = 128  # characters of a kernel package's name
MAX_FILE_NAME = 255  # Linux's NAME_MAX
MAX_ENTRIES = 4096
MAX_LINE = 4096  # characters of a line that opens a menu entry

GRUB = ("boot/grub2/grub.cfg", "boot/grub/grub.cfg")
GRUB_ENVIRONMENT = ("boot/grub2/grubenv", "boot/grub/grubenv")
LEGACY = ("boot/grub/grub.conf", "boot/grub/menu.lst")
EXTLINUX = ("boot/extlinux/extlinux.conf", "boot/extlinux.conf", "boot/syslinux/syslinux.cfg")
LOADER = ("boot/loader/loader.conf", "boot/efi/loader/loader.conf", "efi/loader/loader.conf")
ENTRIES = ("boot/loader/entries", "boot/efi/loader/entries", "efi/loader/entries")
IMAGES = "boot"

PATHS = (*GRUB, *GRUB_ENVIRONMENT, *LEGACY, *EXTLINUX, *LOADER)
DIRECTORIES = (*ENTRIES, IMAGES)

_IMAGE = re.compile(r"(?:vmlinu[xz]|bzImage|Image|kernel)-(.+)")
_NOT_BOOTED = re.compile(r"rescue|\.(?:old|bak|hmac|efi\.signed)$")


def release_of_image(path: str) -> str:
    """`/boot/vmlinuz-6.1.0-18-amd64` -> `6.1.0-18-amd64`; empty for another name or a rescue."""
    name = path.rpartition("/")[2]
    match = _IMAGE.fullmatch(name) if len(name) <= MAX_FILE_NAME else None
    return match[1] if match and not _NOT_BOOTED.search(match[1]) else ""


def booted(files: Mapping[str, bytes], images: Sequence[str]) -> str:
    """The release (as in `uname -r`) that boots by default; empty where nothing shows it.

    `files`: contents of those of `PATHS`, and of the entries' directories, that there are;
    `images`: base names in /boot.
    """
    text = {path: data[:LIMIT].decode("utf-8", "replace") for path, data in files.items()}
    for way in (_by_grub, _by_entries, _by_legacy, _by_extlinux):
        release = way(text)
        if release:
            return release
    return _newest([release for name in images if (release := release_of_image(name))])


# --- GRUB 2 ---


@dataclass(slots=True)
class _Menu:
    """A menu of grub.cfg; an entry without children has the kernel image that it boots."""

    names: frozenset[str] = frozenset()
    image: str = ""
    children: list[_Menu] = field(default_factory=list)


_OPENING = re.compile(r"\s*(?:menuentry|submenu)\s+(?:'([^']*)'|\"([^\"]*)\"|(\S++))(.*)\{\s*+")
_ID = re.compile(r"(?:--id|\$menuentry_id_option)[ =]+(?:'([^']*)'|\"([^\"]*)\"|(\S+))")
_LINUX = re.compile(r"\s*linux(?:16|efi)?\s+(\S+)")
_DEFAULT = re.compile(r"""\s*set\s+default=["']?([^"'\n]*)["']?""")


def _by_grub(text: Mapping[str, str]) -> str:
    config = next((text[path] for path in GRUB if path in text), "")
    if not config:
        return ""
    environment = _environment(text)
    defaults = [match[1] for line in config.split("\n") if (match := _DEFAULT.match(line))]
    # next_entry is for one boot only, after which grubenv has it no more.
    default = next((value for value in reversed(defaults) if "next_entry" not in value), "0")
    if "saved_entry" in default:
        default = environment.get("saved_entry", "") or "0"
    if re.search(r"(?m)^[ \t]*blscfg\b", config):
        return _by_entries(text, default)
    return release_of_image(_chosen(_menu(config), default))


def _environment(text: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in GRUB_ENVIRONMENT:
        for line in text.get(path, "").split("\n"):
            key, sign, value = line.partition("=")
            if sign and not line.startswith("#"):
                found.setdefault(key, value)
    return found


def _menu(config: str) -> _Menu:
    """The tree of menus. Braces within an entry are counted; no script is run."""
    top = _Menu()
    stack = [(top, 0)]
    depth = count = 0
    for line in config.split("\n"):
        match = _OPENING.fullmatch(line) if len(line) < MAX_LINE else None
        if match:
            depth += 1
            count += 1
            if count > MAX_ENTRIES:
                break
            title = match[1] or match[2] or match[3] or ""
            identity = _ID.search(match[4])
            own = (identity[1] or identity[2] or identity[3] or "") if identity else ""
            entry = _Menu(frozenset(filter(None, (title, own))))
            stack[-1][0].children.append(entry)
            stack.append((entry, depth))
            continue
        image = _LINUX.match(line)
        if image and len(stack) > 1:
            stack[-1][0].image = stack[-1][0].image or image[1]
        stripped = line.strip()
        if stripped.endswith("{"):
            depth += 1
        elif stripped == "}":
            if len(stack) > 1 and stack[-1][1] == depth:
                stack.pop()
            depth = max(0, depth - 1)
    return top


def _chosen(menu: _Menu, default: str) -> str:
    """The image of `1>2`, `title>title` or an id; the first entry's where there is no such one."""
    for part in default.split(">"):
        found = next((child for child in menu.children if part in child.names), None)
        if found is None and part.isascii() and part.isdigit() and len(part) < 6:
            number = int(part)
            found = menu.children[number] if number < len(menu.children) else None
        if found is None:
            break
        menu = found
    while menu.children:
        menu = menu.children[0]
    return menu.image


# --- the boot loader specification ---


@dataclass(frozen=True, slots=True)
class _MenuEntry:
    name: str
    version: str
    linux: str
    title: str

    @property
    def release(self) -> str:
        return self.version or release_of_image(self.linux)


def _by_entries(text: Mapping[str, str], default: str = "") -> str:
    entries = []
    for path, content in text.items():
        directory, _, name = path.rpartition("/")
        if directory in ENTRIES and name.endswith(".conf"):
            fields = dict(
                [*line.split(None, 1), ""][:2]
                for line in content.split("\n")
                if line.strip() and not line.lstrip().startswith("#")
            )
            entry = _MenuEntry(
                name.removesuffix(".conf"),
                fields.get("version", "").strip(),
                fields.get("linux", "").strip(),
                fields.get("title", "").strip(),
            )
            if entry.release and not _NOT_BOOTED.search(entry.name):
                entries.append(entry)
    if not default:
        loader = next((text[path] for path in LOADER if path in text), "")
        match = re.search(r"(?m)^[ \t]*default\s+(\S+)", loader)
        default = match[1].removesuffix(".conf") if match else ""
    entries.sort(key=lambda entry: _release_key(entry.release), reverse=True)
    return _select(entries, default)


def _select(entries: Sequence[_MenuEntry], default: str) -> str:
    for entry in entries:
        if default and default in {entry.name, entry.title, entry.release}:
            return entry.release
    for entry in entries:
        if default and len(default) < 256 and fnmatchcase(entry.name, default):
            return entry.release
    if default.isascii() and default.isdigit() and len(default) < 6 and int(default) < len(entries):
        return entries[int(default)].release
    return entries[0].release if entries else ""


# --- GRUB legacy, extlinux ---


def _by_legacy(text: Mapping[str, str]) -> str:
    config = next((text[path] for path in LEGACY if path in text), "")
    default = re.search(r"(?m)^[ \t]*default[ =]+(\d{1,4})", config)
    kernels = [
        match[1]
        if (match := re.search(r"(?m)^[ \t]*kernel[ \t]++(?:\([^)\n]*+\))?(\S+)", part))
        else ""
        for part in re.split(r"(?m)^[ \t]*title\b", config)[1:MAX_ENTRIES]
    ]
    number = int(default[1]) if default else 0
    return release_of_image(kernels[number]) if number < len(kernels) else ""


def _by_extlinux(text: Mapping[str, str]) -> str:
    config = next((text[path] for path in EXTLINUX if path in text), "")
    kernels: dict[str, str] = {}
    label = default = ""
    for line in config.split("\n"):
        key, _, value = line.strip().partition(" ")
        if key.lower() == "default":
            default = value.strip()
        elif key.lower() == "label":
            label = value.strip()
        elif key.lower() in {"kernel", "linux"} and label:
            kernels.setdefault(label, value.strip())
    image = kernels.get(default) or next(iter(kernels.values()), "")
    return release_of_image(image)


# --- order and marks ---


def _release_key(release: str) -> bytes:
    try:
        return sort_key("rpm", release)
    except FormatError:
        return b""


def _newest(releases: Sequence[str]) -> str:
    return max(releases, key=_release_key, default="")


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


def built_by_hand(
    packages: Sequence[Package], images: Sequence[str]
) -> tuple[list[Package], list[Problem]]:
    """The kernels of images in /boot for which no installed package is known.

    `images`: paths without the leading slash. An image without a number in its name is of no
    known release. Of more than MAX_IMAGES the first are looked at, and a Problem says so.
    """
    numbered = [path for path in images if _NUMBERED.match(release_of_image(path))]
    problems = []
    if len(numbered) > MAX_IMAGES:
        what = f"{len(numbered)} kernel images; {MAX_IMAGES} of them are looked at"
        problems.append(Problem(f"/{IMAGES}", what))
    tests = [test for package in packages if (test := _test(package)) is not None]
    found = []
    for path in numbered[:MAX_IMAGES]:
        release = release_of_image(path)
        if any(test(release) for test in tests):
            continue
        purl = format_purl("generic", "", "linux-kernel", release)
        found.append(Package("generic", "linux-kernel", release, f"/{path}", purl))
    return found, problems


_NUMBERED = re.compile(r"[0-9]+\.[0-9]+\.[0-9]")


def _test(package: Package) -> Callable[[str], bool] | None:
    """Whether a release is this package's, as a function; None where it is not of a kernel."""
    name = package.name
    if package.layer or len(name) > MAX_NAME:
        return None
    if package.type == "deb":
        own = _deb_release(name)
        return partial(_same_deb, own) if own else None
    if package.type == "rpm":
        return partial(_same_rpm, package) if _RPM.fullmatch(name) else None
    if package.type == "apk":
        match = _APK.fullmatch(name)
        return None if match is None else {match[1], f"{package.version}-{match[1]}"}.__contains__
    if package.type == "alpm" and _ALPM.fullmatch(name):
        return name.removesuffix("-headers").__eq__
    return None


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
