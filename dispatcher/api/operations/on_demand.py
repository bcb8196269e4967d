"""StartOnDemandScan, GetOnDemandScanStatus, ListOnDemandScans: of AMIs.

Sidelight does not scan AMIs yet: a scan is refused, and none is ever listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.api.errors import Reason, ResourceNotFoundError, ValidationError

if TYPE_CHECKING:
    from dispatcher.api.call import ApiRequest, ApiResponse, Call


def start_on_demand_scan(call: Call, request: ApiRequest) -> ApiResponse:
    """StartOnDemandScan: refused, and not accepted in silence."""
    del call, request
    raise ValidationError(
        "Sidelight does not scan AMIs on demand; scan the snapshots of an AMI with"
        " `sidelight scan ebs:snap-…`",
        reason=Reason.OTHER,
    )


def get_on_demand_scan_status(call: Call, request: ApiRequest) -> ApiResponse:
    """GetOnDemandScanStatus: there are no scans of AMIs."""
    del call, request
    raise ResourceNotFoundError("there is no such scan")


def list_on_demand_scans(call: Call, request: ApiRequest) -> ApiResponse:
    """ListOnDemandScans: there are no scans of AMIs."""
    del call, request
    return {"items": []}


HANDLERS = {
    "StartOnDemandScan": start_on_demand_scan,
    "GetOnDemandScanStatus": get_on_demand_scan_status,
    "ListOnDemandScans": list_on_demand_scans,
}
