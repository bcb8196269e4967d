"""The verdicts of a comparison, and the causes of differences."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class ReportedBy(StrEnum):
    """Who reports a finding, or scans an instance. NEITHER is for coverage alone."""

    BOTH = "BOTH"
    ONLY_SIDELIGHT = "ONLY_SIDELIGHT"
    ONLY_INSPECTOR = "ONLY_INSPECTOR"
    NEITHER = "NEITHER"


class Cause(StrEnum):
    """Why the two sides differ, or that they do not."""

    SAME = "SAME"
    # Reported by both, with a difference.
    SUPPRESSED_BY_INSPECTOR = "SUPPRESSED_BY_INSPECTOR"
    SUPPRESSED_BY_SIDELIGHT = "SUPPRESSED_BY_SIDELIGHT"
    VERSION_DIFFERS = "VERSION_DIFFERS"
    OTHER_ID = "OTHER_ID"
    OTHER_NAME = "OTHER_NAME"
    SEVERITY_DIFFERS = "SEVERITY_DIFFERS"
    FIXED_VERSION_DIFFERS = "FIXED_VERSION_DIFFERS"
    PORT_RANGE_DIFFERS = "PORT_RANGE_DIFFERS"
    INTERFACE_DIFFERS = "INTERFACE_DIFFERS"
    EDGE_DIFFERS = "EDGE_DIFFERS"
    # Reported by one.
    NOT_COVERED_BY_INSPECTOR = "NOT_COVERED_BY_INSPECTOR"
    NOT_COVERED_BY_SIDELIGHT = "NOT_COVERED_BY_SIDELIGHT"
    CLOSED_BY_INSPECTOR = "CLOSED_BY_INSPECTOR"
    CLOSED_BY_SIDELIGHT = "CLOSED_BY_SIDELIGHT"
    LVM = "LVM"
    OTHER_ROOT = "OTHER_ROOT"
    NO_FIX = "NO_FIX"
    TYPE_NOT_COLLECTED = "TYPE_NOT_COLLECTED"
    OUTSIDE_DEEP_INSPECTION = "OUTSIDE_DEEP_INSPECTION"
    DEEP_INSPECTION_INCOMPLETE = "DEEP_INSPECTION_INCOMPLETE"
    NOT_IN_SSM_INVENTORY = "NOT_IN_SSM_INVENTORY"
    OTHER_COPY = "OTHER_COPY"
    NO_CVE = "NO_CVE"
    EDGE_NOT_EVALUATED = "EDGE_NOT_EVALUATED"
    PACKAGE_NOT_INSTALLED = "PACKAGE_NOT_INSTALLED"
    PARTIAL_INVENTORY = "PARTIAL_INVENTORY"
    NOT_BELOW_FIXED = "NOT_BELOW_FIXED"
    NEWER_IN_SIDELIGHT = "NEWER_IN_SIDELIGHT"
    NEWER_IN_INSPECTOR = "NEWER_IN_INSPECTOR"
    UNEXPLAINED = "UNEXPLAINED"


CAUSE_TEXTS: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.SAME: "no difference",
        Cause.SUPPRESSED_BY_INSPECTOR: "suppressed by Inspector alone",
        Cause.SUPPRESSED_BY_SIDELIGHT: "suppressed by Sidelight alone",
        Cause.VERSION_DIFFERS: "the package's version differs",
        Cause.OTHER_ID: "another id of the same vulnerability",
        Cause.OTHER_NAME: "the source package's name",
        Cause.SEVERITY_DIFFERS: "the severity differs",
        Cause.FIXED_VERSION_DIFFERS: "the fixed version differs",
        Cause.PORT_RANGE_DIFFERS: "the port range differs",
        Cause.INTERFACE_DIFFERS: "the network interface differs",
        Cause.EDGE_DIFFERS: "the edge differs",
        Cause.NOT_COVERED_BY_INSPECTOR: "Inspector does not scan the instance",
        Cause.NOT_COVERED_BY_SIDELIGHT: "Sidelight does not scan the instance",
        Cause.CLOSED_BY_INSPECTOR: "closed by Inspector",
        Cause.CLOSED_BY_SIDELIGHT: "closed by Sidelight",
        Cause.LVM: "on a logical volume, which Inspector's agentless scan does not read",
        Cause.OTHER_ROOT: "in a container's or chroot's root, which Inspector skips",
        Cause.NO_FIX: "no fix: Inspector reports this system's findings only with one",
        Cause.TYPE_NOT_COLLECTED: "Inspector's deep inspection does not collect this type",
        Cause.OUTSIDE_DEEP_INSPECTION: "outside the paths of Inspector's deep inspection",
        Cause.DEEP_INSPECTION_INCOMPLETE: "Inspector's deep inspection is incomplete",
        Cause.NOT_IN_SSM_INVENTORY: "the SSM inventory that Inspector reads does not list it",
        Cause.OTHER_COPY: "the other side reports it for another package or path",
        Cause.NO_CVE: "an advisory without a CVE",
        Cause.EDGE_NOT_EVALUATED: "Inspector does not evaluate this kind of edge",
        Cause.PACKAGE_NOT_INSTALLED: "Sidelight's inventory does not list the package",
        Cause.PARTIAL_INVENTORY: "Sidelight's inventory is partial, and lacks the package",
        Cause.NOT_BELOW_FIXED: "the installed version is not below Inspector's fixed version",
        Cause.NEWER_IN_SIDELIGHT: "found after Inspector's last scan",
        Cause.NEWER_IN_INSPECTOR: "found after Sidelight's last scan or newest advisory",
        Cause.UNEXPLAINED: "unexplained",
    }
)


class StatedCause(NamedTuple):
    """A cause, and the evidence for it as a text for people."""

    cause: Cause
    evidence: str = ""
