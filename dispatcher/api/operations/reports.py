"""Reports of findings to S3, and exports of SBOMs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatcher.api.errors import Reason, ResourceNotFoundError, ValidationError
from dispatcher.api.operations.filters import criteria_answer
from dispatcher.api.operations.request_values import (
    criteria_document,
    filter_criteria,
    structure,
    text,
    text_map,
)
from sidelight.store import FINDINGS, SBOM, ReportRequest

if TYPE_CHECKING:
    from dispatcher.api.call import ApiRequest, ApiResponse, Call
    from sidelight.store import ReportJob

# A report without criteria has the active findings, as Inspector's.
ACTIVE: Final = {"findingStatus": [{"comparison": "EQUALS", "value": "ACTIVE"}]}


def create_findings_report(call: Call, request: ApiRequest) -> ApiResponse:
    """CreateFindingsReport: one at a time an account; the server writes it in the background."""
    filter_criteria(request)
    criteria = criteria_document(structure(request, "filterCriteria")) or dict(ACTIVE)
    report = ReportRequest(
        FINDINGS,
        call.account_id,
        call.region,
        text(request, "reportFormat"),
        criteria,
        text_map(request, "s3Destination"),
        call.visible_accounts(),
    )
    return _created(call, report)


def get_findings_report_status(call: Call, request: ApiRequest) -> ApiResponse:
    """GetFindingsReportStatus: of a report, or of the account's newest."""
    number = text(request, "reportId")
    jobs = call.services.store.report_jobs
    job = jobs.get(FINDINGS, number) if number else jobs.newest(FINDINGS, call.account_id)
    return _status(_own(call, job))


def cancel_findings_report(call: Call, request: ApiRequest) -> ApiResponse:
    """CancelFindingsReport: writing ends, and what was written stays."""
    return _cancelled(call, request, FINDINGS)


def _created(call: Call, report: ReportRequest) -> ApiResponse:
    number = call.services.store.report_jobs.create(report)
    if not number:
        raise ValidationError("Cannot have multiple reports in-progress", reason=Reason.OTHER)
    return {"reportId": number}


def _cancelled(call: Call, request: ApiRequest, kind: str) -> ApiResponse:
    number = text(request, "reportId")
    jobs = call.services.store.report_jobs
    _own(call, jobs.get(kind, number))
    if not jobs.cancel(kind, number):
        raise ValidationError("the report has ended already", reason=Reason.OTHER)
    return {"reportId": number}


def _own(call: Call, job: ReportJob | None) -> ReportJob:
    fleet_wide = call.principal.accounts is None
    if job is None or (job.request.account != call.account_id and not fleet_wide):
        raise ResourceNotFoundError("there is no such report")
    return job


def _status(job: ReportJob) -> dict[str, object]:
    answer: dict[str, object] = {
        "reportId": job.id,
        "status": job.status,
        "destination": job.request.destination,
        "filterCriteria": criteria_answer(job.request.criteria),
    }
    if job.error_code:
        answer |= {"errorCode": job.error_code, "errorMessage": job.error_message}
    return answer


def create_sbom_export(call: Call, request: ApiRequest) -> ApiResponse:
    """CreateSbomExport: one at a time an account; a document for each instance."""
    report = ReportRequest(
        SBOM,
        call.account_id,
        call.region,
        text(request, "reportFormat"),
        criteria_document(structure(request, "resourceFilterCriteria")),
        text_map(request, "s3Destination"),
        call.visible_accounts(),
    )
    return _created(call, report)


def get_sbom_export(call: Call, request: ApiRequest) -> ApiResponse:
    """GetSbomExport."""
    job = _own(call, call.services.store.report_jobs.get(SBOM, text(request, "reportId")))
    answer: dict[str, object] = {
        "reportId": job.id,
        "format": job.request.format,
        "status": job.status,
        "s3Destination": job.request.destination,
        "filterCriteria": job.request.criteria,
    }
    if job.error_code:
        answer |= {"errorCode": job.error_code, "errorMessage": job.error_message or job.error_code}
    return answer


def cancel_sbom_export(call: Call, request: ApiRequest) -> ApiResponse:
    """CancelSbomExport: writing ends, and what was written stays."""
    return _cancelled(call, request, SBOM)


HANDLERS = {
    "CreateFindingsReport": create_findings_report,
    "GetFindingsReportStatus": get_findings_report_status,
    "CancelFindingsReport": cancel_findings_report,
    "CreateSbomExport": create_sbom_export,
    "GetSbomExport": get_sbom_export,
    "CancelSbomExport": cancel_sbom_export,
}
