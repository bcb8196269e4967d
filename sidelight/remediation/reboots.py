"""Whether a machine has to restart before an upgrade takes effect.

A running kernel stays until the next boot. A library that nearly every process has loaded (the C
library, the TLS library, PAM) stays in each until it restarts; so do the first process and its
message bus, which cannot restart alone. For these the distributions advise a restart:
Debian's and Ubuntu's packages write /run/reboot-required, Red Hat's `needs-restarting -r` has such
a list (kernel, glibc, linux-firmware, systemd, dbus, openssl-libs, gnutls).
"""

from __future__ import annotations

from typing import Final

_OS_TYPES: Final = frozenset({"deb", "rpm", "apk"})
_NAMES: Final = frozenset(
    {
        "dbus", "dbus-broker", "dbus-daemon", "glibc", "gnutls", "kernel", "kernel-core",
        "kernel-rt", "libc6", "libgnutls30", "libpam0g", "libssl1.1", "libssl3", "libssl3t64",
        "linux-firmware", "microcode_ctl", "musl", "openssl", "openssl-libs", "pam", "systemd",
        "systemd-libs", "libcrypto3",
    }
)  # fmt: skip
_BEGINNINGS: Final = (
    "amd64-microcode", "intel-microcode", "kernel-", "linux-image-", "linux-lts", "linux-virt",
    "linux-modules-", "glibc-", "libc6-",
)  # fmt: skip
# Beginnings of names above that a machine does not run.
_NOT: Final = (
    "kernel-devel", "kernel-doc", "kernel-headers", "kernel-tools", "glibc-devel", "glibc-doc",
    "glibc-headers", "libc6-dev", "libc6-dbg", "kernel-srpm-macros",
)  # fmt: skip


def needs_reboot(purl_type: str, name: str) -> bool:
    """Whether an upgrade of this package takes effect after a restart of the machine only."""
    if purl_type in {"macos", "windows"}:
        return True
    if purl_type not in _OS_TYPES or name.startswith(_NOT):
        return False
    return name in _NAMES or name.startswith(_BEGINNINGS)
