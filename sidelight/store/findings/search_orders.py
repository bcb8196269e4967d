"""The orders in which findings are listed: Inspector's SortFields, and the columns of each."""

from __future__ import annotations

from typing import Final

from sidelight.store.base.schema import finding_terms, findings
from sidelight.store.findings.observed_times import LAST_OBSERVED

# SortField -> the column, of a finding or of its terms. The others are the same for all findings.
SORT_FINDING: Final = {
    "AWS_ACCOUNT_ID": findings.c.account,
    "FINDING_STATUS": findings.c.status,
    "FIRST_OBSERVED_AT": findings.c.first_observed,
    "LAST_OBSERVED_AT": LAST_OBSERVED,
}
SORT_TERMS: Final = {
    "FINDING_TYPE": finding_terms.c.type,
    "SEVERITY": finding_terms.c.severity_rank,
    "NETWORK_PROTOCOL": finding_terms.c.protocol,
    "VULNERABILITY_ID": finding_terms.c.vulnerability,
    "VULNERABILITY_SOURCE": finding_terms.c.source,
    "INSPECTOR_SCORE": finding_terms.c.score,
    "VENDOR_SEVERITY": finding_terms.c.vendor_severity,
    "EPSS_SCORE": finding_terms.c.epss,
}
_SORT_SAME: Final = (
    "RESOURCE_TYPE", "ECR_IMAGE_PUSHED_AT", "ECR_IMAGE_REPOSITORY_NAME", "ECR_IMAGE_REGISTRY",
    "COMPONENT_TYPE",
)  # fmt: skip
SORT_FIELDS: Final = frozenset({*SORT_FINDING, *SORT_TERMS, *_SORT_SAME})
