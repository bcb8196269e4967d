"""Service Quotas of the local cloud: EBS's own, with the values that AWS publishes."""

from __future__ import annotations

import json
from typing import Any

from moto.servicequotas.responses import ServiceQuotasResponse

# Code -> name and value (AWS General Reference, "Amazon EBS endpoints and quotas").
EBS_QUOTAS = {
    "L-94D7AB7D": ("Pending snapshots per account", 100.0),
    "L-C125AE42": ("GetSnapshotBlock requests per account", 1000.0),
    "L-028ACFB9": ("GetSnapshotBlock requests per snapshot", 1000.0),
    "L-18E976AB": ("ListSnapshotBlocks requests per account", 50.0),
}


class QuotaCalls(ServiceQuotasResponse):
    """moto's Service Quotas, which know those of VPC alone, with EBS's."""

    def get_service_quota(self) -> str:
        """A quota of the account in the Region."""
        request: dict[str, Any] = json.loads(self.body or "{}")
        name, value = EBS_QUOTAS.get(str(request.get("QuotaCode")), ("", 0.0))
        if request.get("ServiceCode") != "ebs" or not name:
            return str(super().get_service_quota())
        quota = {
            "ServiceCode": "ebs",
            "ServiceName": "Amazon Elastic Block Store (Amazon EBS)",
            "QuotaCode": request["QuotaCode"],
            "QuotaName": name,
            "Value": value,
            "Unit": "None",
            "Adjustable": request["QuotaCode"] == "L-C125AE42",
            "GlobalQuota": False,
        }
        return json.dumps({"Quota": quota})
