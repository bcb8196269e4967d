"""The command of an action, for the machine itself. Quoting and refusals are those of a finding's.

A version is not pinned where a distribution's archive has the newest only: `apt-get install
NAME=VERSION` fails as soon as a later update replaces it.
"""

from __future__ import annotations

from typing import Final

from sidelight.advisories.judge.remedies import command

# A new kernel is a package of another name, which only its metapackage brings in.
_DEB_KERNELS: Final = ("linux-image-", "linux-modules-")
_KERNEL_UPGRADE: Final = "apt-get upgrade --with-new-pkgs"


def upgrade_command(purl_type: str, name: str, ecosystem: str, version: str) -> str:
    """Return the command that upgrades a package to this version at least; "" if there is none.

    Names come from machines: no name can become a command, an option or a pattern. A name that no
    package of its kind can have gives no command.
    """
    found = command(purl_type, name, ecosystem, version, ())
    if found and purl_type == "deb" and name.startswith(_DEB_KERNELS):
        return _KERNEL_UPGRADE
    return found
