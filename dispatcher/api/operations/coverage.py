"""ListCoverage, ListCoverageStatistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from dispatcher.api.operations.request_values import (
    invalid,
    number,
    page_of_items,
    position,
    structure,
    text,
    token,
)
from sidelight.store import CoverageSearch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dispatcher.api.call import ApiRequest, ApiResponse, Call
    from sidelight.model import Coverage, Instance

PAGE = 200
GROUPS = 5  # counts of a page, by the model
# Sidelight's reasons that Inspector's enum does not have. A partial scan is shown among the
# instances that are "actively monitored with partial errors".
REASONS: Final = {
    "PARTIAL": "DEEP_INSPECTION_NO_INVENTORY",
    "REGION_NOT_ENABLED": "ACCESS_DENIED",
    "NO_EBS_VOLUME": "NO_INVENTORY",
}


def list_coverage(call: Call, request: ApiRequest) -> ApiResponse:
    """ListCoverage: an entry for each instance and scan type."""
    size = number(request, "maxResults", PAGE)
    search, found = _search(call, request), call.services.store.found_coverage
    try:
        page = found.page(search, size, position(call, request))
    except ValueError as error:
        raise invalid("nextToken", "is of another request") from error
    rows = [_resource(row, page.instances.get((row.account, row.instance))) for row in page.rows]
    return {"coveredResources": rows, **token(call, page.position)}


def list_coverage_statistics(call: Call, request: ApiRequest) -> ApiResponse:
    """ListCoverageStatistics: `groupKey` is the group's value, as AWS answers."""
    search, found = _search(call, request), call.services.store.found_coverage
    group = text(request, "groupBy")
    answer: dict[str, object] = {"totalCounts": sum(found.counts(search).values())}
    if group:
        counts = found.counts(search, group).items()
        items = [(value, {"groupKey": value, "count": count}) for value, count in counts if value]
        page, more = page_of_items(call, request, items, GROUPS)
        answer |= {**({"countsByGroup": page} if page else {}), **more}
    return answer


def _search(call: Call, request: ApiRequest) -> CoverageSearch:
    filters = cast(
        "Mapping[str, Sequence[Mapping[str, object]]]", structure(request, "filterCriteria")
    )
    # Without what could not be listed: BatchGetAccountStatus has those accounts.
    return CoverageSearch(filters, call.visible_accounts(), REASONS, machines=True)


def _resource(row: Coverage, instance: Instance | None) -> dict[str, object]:
    resource: dict[str, object] = {
        "resourceType": "AWS_EC2_INSTANCE",
        "resourceId": row.instance,
        "accountId": row.account,
        "scanType": row.scan_type,
        "scanStatus": {"statusCode": row.status_code, "reason": row.reason},
        "provider": "AWS",
        "providerAccountId": row.account,
        "providerRegion": row.region,
        "providerPartition": "aws",
        "lastScannedAt": row.scanned_at,
    }
    if row.scan_mode:
        resource["scanMode"] = row.scan_mode
    if instance is not None:
        metadata: dict[str, object] = {"tags": dict(instance.tags), "platform": _platform(instance)}
        if instance.image_id:
            metadata["amiId"] = instance.image_id
        resource["resourceMetadata"] = {"ec2": metadata}
    return resource


def _platform(instance: Instance) -> str:
    if instance.platform.lower().startswith("windows"):
        return "WINDOWS"
    # EC2 has no platform of macOS: it runs on instance types of its own.
    return "MACOS" if instance.type.startswith("mac") else "LINUX"


HANDLERS = {"ListCoverage": list_coverage, "ListCoverageStatistics": list_coverage_statistics}
