"""Write SBOM exports to a bucket: a document for each instance, in the layout of Inspector's.

Keys are PREFIX/FORMAT_outputs_REPORTID/account=ID/resource=AWS_EC2_INSTANCE/i-…_FORMAT.json. An
export that another process begins again writes the same documents under the same keys.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from dispatcher.services.fleet_boms import FleetBoms
from sidelight.aws.report_objects import ReportBucket, ReportRefusedError
from sidelight.report.sbom import documents
from sidelight.report.sbom.format_names import SPDX_JSON
from sidelight.store import CoverageSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sidelight.report.sbom.machine_boms import MachineBom
    from sidelight.store import ReportJob, Store

# Inspector's SbomReportFormat -> ours.
SBOM_FORMATS_OF_REPORTS: Final = {"CYCLONEDX_1_4": "cyclonedx-json@1.4", "SPDX_2_3": SPDX_JSON}
UPLOADS: Final = 8  # at once
NO_MACHINES: Final = "NO_FINDINGS_FOUND"  # the nearest of Inspector's ReportingErrorCode
JSON: Final = "application/json"


def write_export(
    store: Store, job: ReportJob, bucket: ReportBucket, extend: Callable[[], object]
) -> int:
    """Write a document for each instance of the job; return their number.

    `extend` is called before each page of instances, and raises to end the export. Raises
    ReportRefusedError, also where no instance with an inventory matches; StoreError.
    """
    count = 0
    boms = FleetBoms(store, job.created_at)
    with (
        tempfile.TemporaryDirectory(prefix="sidelight-sbom-") as directory,
        ThreadPoolExecutor(UPLOADS, "sbom") as uploads,
    ):
        extend()
        for page in boms.pages(search_of(job)):
            found = [bom for _, bom in page if bom is not None]
            files = [_written(job, bom, Path(directory)) for bom in found]
            list(uploads.map(lambda pair: bucket.put(pair[0], pair[1], JSON), files))
            for file, _ in files:
                file.unlink()
            count += len(files)
            extend()
    if not count:
        raise ReportRefusedError(
            "no instance with an inventory matches", where=job.id, code=NO_MACHINES
        )
    return count


def search_of(job: ReportJob) -> CoverageSearch:
    """Return the search of a job's ResourceFilterCriteria."""
    filters = cast("Mapping[str, Sequence[Mapping[str, object]]]", job.request.criteria)
    return CoverageSearch(filters, job.request.accounts)


def _written(job: ReportJob, bom: MachineBom, directory: Path) -> tuple[Path, str]:
    file = directory / f"{bom.account}-{bom.instance}"
    with file.open("w", encoding="ascii") as stream:
        documents.write(SBOM_FORMATS_OF_REPORTS[job.request.format], bom, stream)
    return file, document_key(job, bom)


def document_key(job: ReportJob, bom: MachineBom) -> str:
    """Return the key of one machine's document."""
    form, prefix = job.request.format, job.request.destination.get("keyPrefix", "").strip("/")
    parts = (
        prefix, f"{form}_outputs_{job.id}", f"account={bom.account}", "resource=AWS_EC2_INSTANCE",
        f"{bom.instance}_{form}.json",
    )  # fmt: skip
    return "/".join(filter(None, parts))
