"""Scanning as an account or its organization configured it, in Inspector's terms."""

from __future__ import annotations

from enum import StrEnum


class Ec2ScanMode(StrEnum):
    """How an account's instances are scanned. Source: Inspector's Ec2Configuration."""

    AGENT_BASED = "EC2_SSM_AGENT_BASED"  # by Systems Manager's inventory only
    HYBRID = "EC2_HYBRID"  # without Systems Manager, by snapshots


class ScanMode(StrEnum):
    """How one instance is scanned. Source: Inspector's CoveredResource."""

    AGENT_BASED = "EC2_SSM_AGENT_BASED"
    AGENTLESS = "EC2_AGENTLESS"


class ScanType(StrEnum):
    """What a scan looks for; an instance has a coverage entry for each."""

    PACKAGE = "PACKAGE"
    NETWORK = "NETWORK"


class AccountStatus(StrEnum):
    """Whether an account's instances are scanned."""

    ENABLED = "ENABLED"
    PENDING_DISABLE = "PENDING_DISABLE"  # scans end, and everything created is being removed
    DISABLED = "DISABLED"
