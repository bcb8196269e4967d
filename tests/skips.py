"""What skipped tests need, summed up: how many, what is missing, the command that installs it."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest import CollectReport, TestReport  # noqa: PT013 - names of types

# What a reason names -> the Debian packages that have it. The first that matches, in this order.
DEBIAN = (
    (r"\bmkfs\.xfs\b|\bxfs_\w+|\bxfsprogs\b", "xfsprogs"),
    (r"\bmkfs\.btrfs\b|\bbtrfs-progs\b", "btrfs-progs"),
    (r"\bmkfs\.ext\d|\bmke2fs\b|\bdebugfs\b|\be2fsprogs\b", "e2fsprogs"),
    (r"\bs[gf]disk\b|\bgdisk\b", "gdisk fdisk"),
    (r"\bthin-provisioning-tools\b|\bthin_\w+", "thin-provisioning-tools"),
    (r"\blvm2?\b|\b[pv]vcreate\b|\bvgcreate\b", "lvm2"),
    (r"\brpm(build)?\b", "rpm"),
    (r"\binitdb\b|\bPostgreSQL\b", "postgresql"),
    (r"\bredis-sentinel\b", "redis-sentinel"),
    (r"\bredis-server\b", "redis-server"),
    (r"\bopenssl\b", "openssl"),
    (r"\bruby\b|\bgem\b", "ruby"),
    (r"\bcomposer\b|\bphp\b", "php-cli php-composer-semver"),
    (r"\bmaven\b|\bjava\b", "libmaven3-core-java default-jre-headless"),
    (r"\bnpm\b|\bnode\b", "npm"),
    (r"\bcryptsetup\b", "cryptsetup-bin"),
    (r"\bmdadm\b", "mdadm"),
    (r"\bzstd\b", "zstd"),
    (r"\bblkid\b|\bpartx\b|\bmkswap\b|\blosetup\b", "util-linux"),
    (r"\bsystemd\w*\b|\bsystemctl\b", "systemd"),
    (r"\bprometheus\b", "prometheus"),
    (r"\bbuildah\b", "buildah"),
    (r"\bmmdebstrap\b", "mmdebstrap"),
    (r"\bperl\b", "perl"),
    (r"\bcurl\b", "curl"),
    (r"\bdash\b", "dash"),
    (r"\bdpkg\b|\bdpkg-query\b", "dpkg"),
)
# A machine's right or kernel, which no package brings.
MACHINE = (
    (r"\broot\b", "root is needed (run it as root)"),
    (r"\bloop\b|\blosetup\b", "loop devices are needed"),
    (r"\bconformance data\b", "the real-world data is absent (set SIDELIGHT_SHARED_DATA)"),
    (r"\bkernel\b", "this kernel lacks what they test"),
)


def reasons(reports: Iterable[TestReport | CollectReport]) -> list[str]:
    """The reason of each skipped test or module, once: each xdist worker reports a module's."""
    seen: dict[str, str] = {}
    for report in reports:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        seen[report.nodeid] = text.removeprefix("Skipped: ")
    return list(seen.values())


def summary(reasons: Iterable[str]) -> list[str]:
    """A line for each thing that is missing, that of most tests first."""
    counts = Counter(map(need, reasons))
    return [
        f"{count} {'test' if count == 1 else 'tests'} skipped: {text}"
        for text, count in counts.most_common()
    ]


def need(
    reason: str,
    *,
    root: bool | None = None,
    find: Callable[[str], object] = shutil.which,
) -> str:
    """What a reason asks for, as one text for all reasons that ask for the same.

    A program that `find` finds is not what is missing, though the reason names it.
    """
    root = os.geteuid() == 0 if root is None else root
    for pattern, text in MACHINE:
        if re.search(pattern, reason) and not (pattern == r"\broot\b" and root):
            return text
    if re.search(r"not to (be )?|cannot|hangs", reason):
        return reason
    named = [(re.search(pattern, reason, re.IGNORECASE), names) for pattern, names in DEBIAN]
    packages = [names for match, names in named if match and not find(match[0])]
    if packages:
        names = " ".join(packages)
        verb = "is" if " " not in names else "are"
        return f"{', '.join(names.split())} {verb} not installed (apt-get install {names})"
    return reason
