"""The remedy of each coverage reason, in a sentence. PURE."""

from __future__ import annotations

from typing import Final

from sidelight.model import ScanMode

NOTHING_TO_DO: Final = "Nothing: the next scan comes at its time."
UNKNOWN_REASON: Final = "See the detail."

_REMEDIES: Final = {
    "SUCCESSFUL": NOTHING_TO_DO,
    "PENDING_INITIAL_SCAN": "Nothing: the first scan starts after the next discovery.",
    "SCAN_IN_PROGRESS": "Nothing: the results come when the scan has ended.",
    "PARTIAL": "See the detail: some files or packages could not be evaluated.",
    "RESOURCE_TERMINATED": "Nothing: the instance is gone, and its findings are closed.",
    "PENDING_DISABLE": "Nothing: scanning of the account is being switched off.",
    "EXCLUDED_BY_TAG": "Remove the exclusion tag that the detail names, to scan the instance.",
    "EC2_INSTANCE_STOPPED": "Start the instance; its findings stay as they are.",
    "UNMANAGED_EC2_INSTANCE": (
        "Let Systems Manager manage the instance: install and start the SSM agent, and give it an"
        " instance profile with AmazonSSMManagedInstanceCore and a route to the ssm endpoints."
    ),
    "NO_INVENTORY": (
        "Check that the inventory association InspectorInventoryCollection-do-not-delete exists"
        " and succeeds on the instance, and that its profile allows ssm:PutInventory."
    ),
    "STALE_INVENTORY": (
        "The newest inventory is older than 7 days: check that the inventory association succeeds"
        " on the instance, and that its daily inventory quota is not used up."
    ),
    "UNSUPPORTED_OS": (
        "Move to a supported operating system and filesystem, or let Systems Manager manage the"
        " instance where its agent can list the packages."
    ),
    "NO_EBS_VOLUME": (
        "Let Systems Manager manage the instance: without an EBS volume there is no snapshot."
    ),
    "AGENTLESS_INSTANCE_STORAGE_LIMIT_EXCEEDED": (
        "Raise --max-volumes or --max-gib, or let Systems Manager manage the instance."
    ),
    "AGENTLESS_INSTANCE_COLLECTION_TIME_LIMIT_EXCEEDED": (
        "Raise SIDELIGHT_STAGE_SECONDS, or let Systems Manager manage the instance."
    ),
    "DEEP_INSPECTION_NO_INVENTORY": (
        "Check that the deep inspection association succeeds on the instance, that its role may put"
        " objects into the bucket, and what the detail says; packages of the system are evaluated."
    ),
    "DEEP_INSPECTION_PACKAGE_COLLECTION_LIMIT_EXCEEDED": (
        "Raise SIDELIGHT_DEEP_PACKAGES, SIDELIGHT_DEEP_FILES or SIDELIGHT_DEEP_MIB, as the detail"
        " says, or name fewer custom paths."
    ),
    "DEEP_INSPECTION_COLLECTION_TIME_LIMIT_EXCEEDED": (
        "Raise SIDELIGHT_DEEP_SECONDS, or name fewer custom paths."
    ),
    "DEEP_INSPECTION_DAILY_SSM_INVENTORY_LIMIT_EXCEEDED": (
        "Raise SIDELIGHT_DEEP_DAILY_MIB, or let the association run less often; the last result"
        " that was read is kept."
    ),
    "ACCESS_DENIED": "Allow the role the permission that the detail names.",
    "ACCESS_DENIED_TO_ENCRYPTION_KEY": (
        "Let the key's policy allow the role what the detail names, or encrypt the volumes with a"
        " customer key."
    ),
    "REGION_NOT_ENABLED": "Enable the Region in the account, or leave it out of the scan.",
    "INTERNAL_ERROR": "Nothing: the scan is tried again. See the detail if it does not pass.",
}
_OF_MODE: Final = {
    ("UNSUPPORTED_OS", ScanMode.AGENT_BASED): (
        "Set the account's scan mode to EC2_HYBRID, so that the volumes are read, or move to an"
        " operating system whose packages the SSM agent lists."
    ),
    ("EC2_INSTANCE_STOPPED", ScanMode.AGENT_BASED): (
        "Start the instance, or set the account's scan mode to EC2_HYBRID; its findings stay."
    ),
}
_OF_TARGETS: Final = {
    "ACCESS_DENIED": (
        "Let the account trust Sidelight's role, and allow the role what the detail names; an"
        " account that is suspended is scanned again once it is active."
    ),
    "REGION_NOT_ENABLED": _REMEDIES["REGION_NOT_ENABLED"],
}
_TARGET_FAILED: Final = (
    "Each discovery tries again. If it lasts, “sidelight doctor” says which call fails: look at"
    " AWS's status, the endpoint and the proxy, the machine's clock, and the rate limits."
)


def target_remedy(reason: str, scan_mode: str = "") -> str:
    """Return the remedy of a whole account or Region whose instances cannot be listed."""
    if scan_mode == ScanMode.AGENT_BASED:
        return f"{remedy(reason, scan_mode)} Until then its instances are not scanned by agents."
    return _OF_TARGETS.get(reason, _TARGET_FAILED)


def remedy(reason: str, scan_mode: str = "") -> str:
    """Return the remedy of a coverage reason, for an instance of this scan mode."""
    for (of_reason, of_mode), sentence in _OF_MODE.items():
        if reason == of_reason and scan_mode == of_mode:
            return sentence
    return _REMEDIES.get(reason, UNKNOWN_REASON)


def reasons() -> list[str]:
    """Return all reasons that have a remedy."""
    return list(_REMEDIES)
