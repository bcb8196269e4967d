"""Write the reports and SBOM exports that were requested into buckets.

A report is written a page at a time, and its claim is extended with each: a cancelled report ends
at the next page. A process that dies leaves its report to the next one.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dispatcher.services.sbom_exporter import write_export
from sidelight.aws.report_objects import ReportBucket, ReportRefusedError
from sidelight.errors import SidelightError
from sidelight.report.finding_reports import write_csv, write_json
from sidelight.store import SBOM, FindingSearch
from sidelight.suppression import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sidelight.aws.session import Session
    from sidelight.model import FindingRow, Instance
    from sidelight.store import ReportJob, Store

log = logging.getLogger(__name__)
PAGE: Final = 1000
_WRITERS: Final = {"CSV": (write_csv, "text/csv"), "JSON": (write_json, "application/json")}
NO_FINDINGS: Final = "NO_FINDINGS_FOUND"


class _CancelledError(Exception):
    """The report was cancelled, or another process has it."""


class ReportWriter:
    """Writes reports that are in progress."""

    def __init__(self, store: Store, session: Session) -> None:
        self._store = store
        self._session = session

    def run(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Write all waiting reports; return how many were claimed. Raises StoreError."""
        count = 0
        while not stopped():
            job = self._store.report_jobs.claim()
            if job is None:
                break
            if job.error_code:  # it was begun too often
                continue
            count += 1
            self._write(job)
        return count

    def _write(self, job: ReportJob) -> None:
        code, message = "", ""
        try:
            if job.request.kind == SBOM:
                write_export(self._store, job, self._bucket(job), lambda: self._extend(job))
            else:
                with tempfile.TemporaryDirectory(prefix="sidelight-report-") as directory:
                    self._upload(job, Path(directory) / "report")
        except _CancelledError:
            log.info("report %s: cancelled", job.id)
            return
        except ReportRefusedError as error:
            code, message = error.code, str(error)
        except (SidelightError, OSError) as error:
            code, message = "INTERNAL_ERROR", str(error)
        if code:
            log.warning("report %s: %s: %s", job.id, code, message)
        self._store.report_jobs.end(job, code, message)

    def _upload(self, job: ReportJob, file: Path) -> None:
        write, content_type = _WRITERS[job.request.format]
        with file.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            count = write(self._findings(job), stream, self._store.clock())
        if not count:
            raise ReportRefusedError("no findings match", where=job.id, code=NO_FINDINGS)
        key = object_key(job.request.destination, job.id, job.request.format)
        self._bucket(job).put(file, key, content_type)

    def _bucket(self, job: ReportJob) -> ReportBucket:
        request = job.request
        return ReportBucket(self._session, request.account, request.region, request.destination)

    def _extend(self, job: ReportJob) -> None:
        if not self._store.report_jobs.extend(job):
            raise _CancelledError

    def _findings(self, job: ReportJob) -> Iterator[tuple[FindingRow, Instance | None, str]]:
        search = FindingSearch(parse(job.request.criteria), job.request.accounts)
        after: Mapping[str, object] | None = None
        while True:
            self._extend(job)
            page = self._store.found_findings.page(search, PAGE, after)
            for row in page.rows:
                key = (row.account, row.instance)
                yield row, page.instances.get(key), page.platforms.get(key, "")
            after = page.position
            if after is None:
                return


def object_key(destination: Mapping[str, str], report: str, form: str) -> str:
    """Return a report's key: PREFIX/REPORTID.csv or .json."""
    prefix = destination.get("keyPrefix", "").strip("/")
    name = f"{report}.{form.lower()}"
    return f"{prefix}/{name}" if prefix else name
