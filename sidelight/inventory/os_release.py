"""Who a machine is: os-release, and the release files that came before it.

Sources: os-release(5) (shell-compatible assignments; /etc before /usr/lib), lsb_release's
/etc/lsb-release, and the one-line files that distributions wrote.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.model import OperatingSystem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A release file is a few lines.
LIMIT = 1 << 20
_MAX_LINES = 4096
MAX_VALUE = 1024  # characters of one line: what is longer is cut there

_OS_RELEASE = ("etc/os-release", "usr/lib/os-release", "usr/lib/initrd-release")

_ASSIGNMENT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL).fullmatch
_VERSION = re.compile(r"\d+(?:\.\d+)*")

# The words of one-line release files -> os-release's ID. The first that fits decides.
_VENDORS = (
    ("red hat enterprise", "rhel"),
    ("centos", "centos"),
    ("almalinux", "almalinux"),
    ("rocky", "rocky"),
    ("oracle", "ol"),
    ("amazon linux", "amzn"),
    ("fedora", "fedora"),
    ("scientific", "scientific"),
    ("cloudlinux", "cloudlinux"),
    ("mariner", "mariner"),
    ("opensuse", "opensuse-leap"),
    ("suse linux enterprise", "sles"),
    ("photon", "photon"),
    ("bottlerocket", "bottlerocket"),
)


def unquote(value: str) -> str:
    r"""The value of a shell assignment: quotes removed, backslash escapes undone, cut at a blank.

    Within single quotes everything stands for itself; within double quotes a backslash escapes
    `$`, `"`, a backtick and itself; outside, any character. No expansion takes place.
    """
    out: list[str] = []
    quote = ""
    index = 0
    while index < len(value):
        char = value[index]
        index += 1
        if quote:
            if char == quote:
                quote = ""
            elif (
                char == "\\" and quote == '"' and value[index : index + 1] in ("$", '"', "`", "\\")
            ):
                out.append(value[index])
                index += 1
            else:
                out.append(char)
        elif char in ("'", '"'):
            quote = char
        elif char == "\\":
            out.append(value[index : index + 1])
            index += 1
        elif char.isspace():
            break
        else:
            out.append(char)
    return "".join(out)


def assignments(data: bytes) -> dict[str, str]:
    """The variables of a shell-compatible file; the last assignment wins, comments are dropped."""
    found: dict[str, str] = {}
    text = data[:LIMIT].decode("utf-8", "replace").lstrip("\ufeff")
    for line in text.split("\n", _MAX_LINES)[:_MAX_LINES]:
        match = _ASSIGNMENT(line[:MAX_VALUE])
        if match:
            found[match[1]] = unquote(match[2].strip())
    return found


def identify(files: Mapping[str, bytes]) -> OperatingSystem:
    """A machine's identity from the contents of those of `PATHS` that it has."""
    for path in _OS_RELEASE:
        if path in files:
            system = _from_os_release(assignments(files[path]), files)
            if system.id:
                return system
    for path, parse in _OLDER:
        if path in files:
            system = parse(_first_line(files[path]), files[path])
            if system.id:
                return system
    return OperatingSystem()


def _from_os_release(values: Mapping[str, str], files: Mapping[str, bytes]) -> OperatingSystem:
    identity = values.get("ID", "").lower()
    version = values.get("VERSION_ID", "")
    codename = values.get("VERSION_CODENAME", "") or values.get("UBUNTU_CODENAME", "")
    if identity == "debian" and not version and "etc/debian_version" in files:
        # Testing and unstable have no VERSION_ID; a point release may be read from the number.
        fallback = _debian(_first_line(files["etc/debian_version"]), b"")
        version, codename = fallback.version_id, codename or fallback.codename
    if identity == "rhcos" and values.get("RHEL_VERSION"):
        # CoreOS has the number of OpenShift; its packages are those of this release, as its newer
        # editions say themselves (ID=rhel).
        identity, version = "rhel", values["RHEL_VERSION"]
    if identity == "centos" and version.isdigit() and "etc/centos-release" in files:
        pretty = _first_line(files["etc/centos-release"]) or values.get("PRETTY_NAME", "")
    else:
        pretty = values.get("PRETTY_NAME", "") or values.get("NAME", "")
    return OperatingSystem(
        id=identity,
        version_id=version,
        pretty_name=pretty,
        codename=codename,
        id_like=values.get("ID_LIKE", ""),
    )


def _first_line(data: bytes) -> str:
    line = data[:4096].decode("utf-8", "replace").strip().partition("\n")[0].strip()
    return line[:MAX_VALUE]


def _one_line(line: str, _data: bytes) -> OperatingSystem:
    """`CentOS release 6.10 (Final)`, `Amazon Linux AMI release 2018.03` and their kind."""
    lower = line.lower()
    vendor = next((name for word, name in _VENDORS if re.search(rf"\b{word}", lower)), "")
    if not vendor:
        return OperatingSystem()
    number = _VERSION.search(line)
    name = re.search(r"\(([^()]+)\)\s*$", line)
    return OperatingSystem(
        id=vendor,
        version_id=number[0] if number else "",
        pretty_name=line,
        codename=name[1].lower() if name else "",
    )


def _suse(line: str, data: bytes) -> OperatingSystem:
    """/etc/SuSE-release: a title, then `VERSION = 11` and `PATCHLEVEL = 4`."""
    system = _one_line(line, data)
    values = dict(re.findall(r"(?m)^([A-Z]+)\s*=\s*(\S+)", data[:4096].decode("utf-8", "replace")))
    version = values.get("VERSION", system.version_id)
    if system.id == "sles" and values.get("PATCHLEVEL", "0") != "0":
        version = f"{version}.{values['PATCHLEVEL']}"
    return OperatingSystem(id=system.id, version_id=version, pretty_name=system.pretty_name)


def _lsb(_line: str, data: bytes) -> OperatingSystem:
    values = assignments(data)
    return OperatingSystem(
        id=values.get("DISTRIB_ID", "").lower(),
        version_id=values.get("DISTRIB_RELEASE", ""),
        pretty_name=values.get("DISTRIB_DESCRIPTION", ""),
        codename=values.get("DISTRIB_CODENAME", ""),
    )


def _alpine(line: str, _data: bytes) -> OperatingSystem:
    return OperatingSystem(id="alpine", version_id=line, pretty_name=f"Alpine Linux {line}")


def _debian(line: str, _data: bytes) -> OperatingSystem:
    """`12.5`, or `trixie/sid` before a release."""
    number = _VERSION.match(line)
    major = number[0].split(".")[0] if number else ""
    if number and int(major) < 7:
        major = number[0]  # before Debian 7 the second number was part of the release's name
    codename = "" if number else line.partition("/")[0]
    return OperatingSystem(
        id="debian", version_id=major, pretty_name=f"Debian GNU/Linux {line}", codename=codename
    )


def _arch(_line: str, _data: bytes) -> OperatingSystem:
    return OperatingSystem(id="arch", pretty_name="Arch Linux")


# The most particular first: Oracle's and Amazon's systems write a redhat-release, too.
_OLDER: tuple[tuple[str, Callable[[str, bytes], OperatingSystem]], ...] = (
    ("etc/oracle-release", _one_line),
    ("etc/almalinux-release", _one_line),
    ("etc/rocky-release", _one_line),
    ("etc/centos-release", _one_line),
    ("etc/fedora-release", _one_line),
    ("etc/system-release", _one_line),
    ("etc/redhat-release", _one_line),
    ("etc/SuSE-release", _suse),
    ("etc/alpine-release", _alpine),
    ("etc/lsb-release", _lsb),
    ("etc/debian_version", _debian),
    ("etc/arch-release", _arch),
)

# Every file that `identify` looks at.
PATHS: tuple[str, ...] = (*_OS_RELEASE, *(path for path, _ in _OLDER))
