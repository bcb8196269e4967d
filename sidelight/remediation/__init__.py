"""Which upgrades close most findings: one action for each package of a system. PURE.

An action upgrades a package to the highest of the versions that fix its findings, so it closes them
all. Actions are ordered by what one closes: each finding has the weight of its severity, more where
it is exploited or its machine is exposed (docs/remediation.md).
"""

from sidelight.remediation.actions import FixableDetail, UpgradeAction, combine, plan, weigh
from sidelight.remediation.commands import upgrade_command
from sidelight.remediation.reboots import needs_reboot

__all__ = [
    "FixableDetail",
    "UpgradeAction",
    "combine",
    "needs_reboot",
    "plan",
    "upgrade_command",
    "weigh",
]
