"""The operations that are served, and which role may call them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.model import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ = (
    "BatchGetAccountStatus",
    "BatchGetFindingDetails",
    "BatchGetFreeTrialInfo",
    "BatchGetMemberEc2DeepInspectionStatus",
    "DescribeOrganizationConfiguration",
    "GetConfiguration",
    "GetDelegatedAdminAccount",
    "GetEc2DeepInspectionConfiguration",
    "GetEncryptionKey",
    "GetFindingsReportStatus",
    "GetMember",
    "GetOnDemandScanStatus",
    "GetSbomExport",
    "ListAccountPermissions",
    "ListCoverage",
    "ListCoverageStatistics",
    "ListDelegatedAdminAccounts",
    "ListFilters",
    "ListFindingAggregations",
    "ListFindings",
    "ListMembers",
    "ListOnDemandScans",
    "ListTagsForResource",
    "ListUsageTotals",
    "SearchVulnerabilities",
)
_OPERATE = (
    "CancelFindingsReport",
    "CancelSbomExport",
    "CreateFilter",
    "CreateFindingsReport",
    "CreateSbomExport",
    "DeleteFilter",
    "StartOnDemandScan",
    "TagResource",
    "UntagResource",
    "UpdateFilter",
)
_ADMINISTER = (
    "AssociateMember",
    "BatchUpdateMemberEc2DeepInspectionStatus",
    "Disable",
    "DisableDelegatedAdminAccount",
    "DisassociateMember",
    "Enable",
    "EnableDelegatedAdminAccount",
    "ResetEncryptionKey",
    "UpdateConfiguration",
    "UpdateEc2DeepInspectionConfiguration",
    "UpdateEncryptionKey",
    "UpdateOrgEc2DeepInspectionConfiguration",
    "UpdateOrganizationConfiguration",
)
ROLES: Final[Mapping[str, Role]] = {
    **dict.fromkeys(_READ, Role.READER),
    **dict.fromkeys(_OPERATE, Role.OPERATOR),
    **dict.fromkeys(_ADMINISTER, Role.ADMINISTRATOR),
}
"""The least role of each of the 48 operations that concern EC2 scanning, by the model's name."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the model. Its path may end with a label: `/tags/{resourceArn}`."""

    name: str
    method: str
    path: str
    status: int
    input_shape: str
    output_shape: str
    errors: frozenset[str]

    @property
    def role(self) -> Role | None:
        """The least role that may call it; None where it is not served."""
        return ROLES.get(self.name)

    @property
    def is_write(self) -> bool:
        """Whether a call may change something."""
        return self.role is not Role.READER
