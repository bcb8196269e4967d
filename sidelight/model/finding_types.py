"""The types of findings."""

from enum import StrEnum


class FindingType(StrEnum):
    """Inspector's types, of those that EC2 instances have."""

    PACKAGE_VULNERABILITY = "PACKAGE_VULNERABILITY"
    NETWORK_REACHABILITY = "NETWORK_REACHABILITY"
