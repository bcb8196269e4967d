"""Which kernel a machine boots, from what its boot loader reads.

A disk at rest does not show what runs, but what the next boot takes: the default entry of GRUB 2
(grub.cfg and grubenv), of the boot loader specification (loader/entries), of GRUB legacy or of
extlinux; failing these the newest image in /boot, as the tools that write those entries sort them.

Sources: GRUB's manual ("Simple configuration handling", "Environment block"), The Boot Loader
Specification (type 1), grub-legacy's `default`, syslinux' `DEFAULT`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sidelight.errors import FormatError
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIMIT = 4 << 20  # bytes of one configuration file
MAX_TEXT = 32 << 20  # bytes of all configuration files together
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


# --- order ---


def _release_key(release: str) -> bytes:
    try:
        return sort_key("rpm", release)
    except FormatError:
        return b""


def _newest(releases: Sequence[str]) -> str:
    return max(releases, key=_release_key, default="")
