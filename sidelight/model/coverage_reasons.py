"""Reasons of coverage that planning gives, which the end of a scan and the planner both know.

Source of the codes: Inspector's ScanStatus.
"""

from __future__ import annotations

from typing import Final

TERMINATED: Final = "RESOURCE_TERMINATED"
STOPPED: Final = "EC2_INSTANCE_STOPPED"
PENDING_DISABLE: Final = "PENDING_DISABLE"
# Reasons that planning alone gives: an instance that is eligible again does not keep them.
PLANNED: Final = frozenset(
    {
        "EXCLUDED_BY_TAG", STOPPED, "UNMANAGED_EC2_INSTANCE", "NO_INVENTORY",
        "STALE_INVENTORY", "AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED", "PENDING_INITIAL_SCAN",
        PENDING_DISABLE,
    }
)  # fmt: skip
# Those that a scan which was running meanwhile leaves: the instance is not scanned any more. One
# that was being started has its result.
OUTLASTING_SCANS: Final = PLANNED - {"PENDING_INITIAL_SCAN"}
# Those with which an instance's network is not evaluated.
NOT_EVALUATED: Final = frozenset({"EXCLUDED_BY_TAG", PENDING_DISABLE})
# Reasons that close findings: the instance will not be scanned any more. An instance that is
# stopped, or could not be read this time, keeps its findings.
CLOSING: Final = frozenset(
    {
        TERMINATED,
        "EXCLUDED_BY_TAG",
        "UNSUPPORTED_OS",
        "NO_EBS_VOLUME",
        "AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED",
    }
)
# Reasons that a whole account or Region gives its instances: their last scans count again after it.
OF_TARGETS: Final = frozenset({"ACCESS_DENIED", "REGION_NOT_ENABLED"})
