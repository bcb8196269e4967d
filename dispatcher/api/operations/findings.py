"""ListFindings, BatchGetFindingDetails, SearchVulnerabilities."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from dispatcher.api.operations.finding_answers import finding_answer
from dispatcher.api.operations.request_values import (
    filter_criteria,
    invalid,
    number,
    position,
    structure,
    text,
    texts,
    token,
)
from sidelight.advisories.rating import cvss
from sidelight.errors import FormatError, SidelightError
from sidelight.fleet.advisory_file import AdvisoryFile
from sidelight.model import Finding, FindingRow, Severity
from sidelight.store import FindingSearch
from sidelight.suppression import api_arn

if TYPE_CHECKING:
    from dispatcher.api.call import ApiRequest, ApiResponse, Call
    from sidelight.advisories.database.records import VulnerabilityRecord
    from sidelight.fleet.settings import Settings

PAGE = 100
MOST_REFERENCES = 100


def list_findings(call: Call, request: ApiRequest) -> ApiResponse:
    """ListFindings."""
    sort = structure(request, "sortCriteria")
    search = FindingSearch(
        filter_criteria(request),
        call.visible_accounts(),
        text(sort, "field"),
        text(sort, "sortOrder") == "DESC",
    )
    size = number(request, "maxResults", PAGE)
    try:
        page = call.services.store.found_findings.page(search, size, position(call, request))
    except ValueError as error:
        raise invalid("nextToken", "is of another request") from error
    findings = [
        finding_answer(
            row,
            page.instances.get((row.account, row.instance)),
            page.platforms.get((row.account, row.instance), ""),
        )
        for row in page.rows
    ]
    return {"findings": findings, **token(call, page.position)}


def batch_get_finding_details(call: Call, request: ApiRequest) -> ApiResponse:
    """BatchGetFindingDetails."""
    arns = list(dict.fromkeys(texts(request, "findingArns")))
    ids = {arn: int(arn.rpartition("/")[2], 16) for arn in arns}
    known = call.services.store.found_findings.by_id(
        [number for number in ids.values() if number < 1 << 63], call.visible_accounts()
    )
    details, errors = [], []
    for arn, number_of in ids.items():
        row = known.get(number_of)
        if row is None or api_arn(row.arn) != arn:
            errors.append(
                {
                    "findingArn": arn,
                    "errorCode": "FINDING_DETAILS_NOT_FOUND",
                    "errorMessage": "there is no such finding, or the caller may not see it",
                }
            )
        else:
            details.append(_detail(arn, row))
    return {"findingDetails": details, "errors": errors}


def _detail(arn: str, row: FindingRow) -> dict[str, object]:
    detail: dict[str, object] = {"findingArn": arn}
    finding = row.finding
    if not isinstance(finding, Finding):
        return detail
    if finding.epss is not None:
        detail["epssScore"] = finding.epss
    if finding.score is not None:
        detail["riskScore"] = round(finding.score * 10)
    detail["referenceUrls"] = list(finding.references)[:MOST_REFERENCES]
    if finding.exploited_since:
        detail["cisaData"] = {"dateAdded": _day(finding.exploited_since)}
        detail["exploitObserved"] = {"firstSeen": _day(finding.exploited_since)}
    return detail


def _day(value: str) -> datetime:
    return datetime.fromisoformat(value[:10]).replace(tzinfo=UTC)


@lru_cache(maxsize=4)
def _advisories(settings: Settings) -> AdvisoryFile:
    return AdvisoryFile(settings)


def search_vulnerabilities(call: Call, request: ApiRequest) -> ApiResponse:
    """SearchVulnerabilities: from the advisory database of this deployment."""
    names = texts(structure(request, "filterCriteria"), "vulnerabilityIds")
    try:
        database = _advisories(call.services.settings).opened().database
    except SidelightError as error:
        raise invalid("filterCriteria", f"no advisory database can be read: {error}") from error
    found = [database.named_vulnerability(name) for name in names]
    return {"vulnerabilities": [_vulnerability(record) for record in found if record is not None]}


def _vulnerability(record: VulnerabilityRecord) -> dict[str, object]:
    answer: dict[str, object] = {"id": record.id, "source": "NVD", "description": record.title}
    if record.severity is not None:
        answer["vendorSeverity"] = next(s.value for s in Severity if s.rank == record.severity)
    for source, vector in record.vectors:
        name = f"cvss{cvss.version_of(vector).partition('.')[0]}"
        if name in ("cvss2", "cvss3", "cvss4") and name not in answer:
            answer[name] = {"scoringVector": vector, **_base(vector)}
        del source
    if record.epss is not None:
        answer["epss"] = {"score": record.epss}
    if record.exploited_since:
        answer["cisaData"] = {"dateAdded": _day(record.exploited_since)}
        answer["exploitObserved"] = {"firstSeen": _day(record.exploited_since)}
    if record.id.startswith("CVE-"):
        answer["sourceUrl"] = f"https://nvd.nist.gov/vuln/detail/{record.id}"
    return answer


def _base(vector: str) -> dict[str, float]:
    try:
        return {"baseScore": cvss.base_score(vector)}
    except FormatError:
        return {}


HANDLERS = {
    "ListFindings": list_findings,
    "BatchGetFindingDetails": batch_get_finding_details,
    "SearchVulnerabilities": search_vulnerabilities,
}
