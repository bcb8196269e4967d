"""Reports of findings and SBOM exports: one at a time an account and kind, from request to end.

A job is IN_PROGRESS until a process that holds its lease ends it as SUCCEEDED or FAILED, or its
account cancels it. A process that dies loses its lease, and another one begins the job again.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from sidelight.store.base.row_leases import change_held, free, new_lease
from sidelight.store.base.schema import report_jobs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Row

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

IN_PROGRESS, SUCCEEDED = "IN_PROGRESS", "SUCCEEDED"
CANCELLED, FAILED = "CANCELLED", "FAILED"
FINDINGS, SBOM = "FINDINGS", "SBOM"
LEASE: Final = timedelta(minutes=10)
ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A report to write. `accounts` are those whose data it has, None for all."""

    kind: str
    account: str
    region: str
    format: str
    criteria: Mapping[str, object]
    destination: Mapping[str, str]
    accounts: Collection[str] | None


@dataclass(frozen=True, slots=True)
class ReportJob:
    """A report and how far it is."""

    id: str
    request: ReportRequest
    status: str
    error_code: str
    error_message: str
    lease: str
    created_at: datetime


class ReportJobs:
    """The jobs by id."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, request: ReportRequest) -> str:
        """Write a job and return its id; empty if the account's last one has not ended."""
        number = str(uuid.uuid4())
        accounts = None if request.accounts is None else sorted(request.accounts)
        values = {
            "id": number,
            "kind": request.kind,
            "account": request.account,
            "region": request.region,
            "accounts": json.dumps(accounts),
            "format": request.format,
            "criteria": json.dumps(request.criteria),
            "destination": json.dumps(request.destination),
            "status": IN_PROGRESS,
            "error_code": "",
            "error_message": "",
            "attempts": 0,
            "lease": "",
            "lease_until": None,
            "created_at": self._clock(),
            "ended_at": None,
        }
        with self._database.write() as connection:
            running = select(report_jobs.c.id).where(
                report_jobs.c.account == request.account,
                report_jobs.c.kind == request.kind,
                report_jobs.c.status == IN_PROGRESS,
            )
            if connection.execute(running).first() is not None:
                return ""
            try:
                with connection.begin_nested():
                    connection.execute(report_jobs.insert().values(**values))
            except IntegrityError:  # two requests at once
                return ""
        return number

    def get(self, kind: str, number: str) -> ReportJob | None:
        """Return a job; None if there is none of this kind and id."""
        query = select(report_jobs).where(report_jobs.c.id == number, report_jobs.c.kind == kind)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _job(row)

    def newest(self, kind: str, account: str) -> ReportJob | None:
        """Return an account's newest job of a kind."""
        query = (
            select(report_jobs)
            .where(report_jobs.c.account == account, report_jobs.c.kind == kind)
            .order_by(report_jobs.c.created_at.desc(), report_jobs.c.id)
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _job(row)

    def claim(self) -> ReportJob | None:
        """Claim the oldest job that no process works on; None if there is none."""
        now = self._clock()
        query = (
            select(report_jobs)
            .where(report_jobs.c.status == IN_PROGRESS, free(report_jobs, now))
            .order_by(report_jobs.c.created_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._database.write() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            values = {**new_lease(now, LEASE), "attempts": row.attempts + 1}
            if row.attempts >= ATTEMPTS:
                values |= {"status": FAILED, "error_code": "INTERNAL_ERROR", "ended_at": now}
            change = update(report_jobs).where(report_jobs.c.id == row.id).values(**values)
            connection.execute(change)
            again = select(report_jobs).where(report_jobs.c.id == row.id)
            return _job(connection.execute(again).one())

    def extend(self, job: ReportJob) -> bool:
        """Extend a claim; False if the job was cancelled, or another process has it."""
        return self._change(job, {"lease_until": self._clock() + LEASE})

    def end(self, job: ReportJob, code: str = "", message: str = "") -> bool:
        """End a claimed job: FAILED with an error code, else SUCCEEDED; False as for `extend`."""
        values = {
            "status": FAILED if code else SUCCEEDED,
            "error_code": code,
            "error_message": message,
            "ended_at": self._clock(),
        }
        return self._change(job, values)

    def cancel(self, kind: str, number: str) -> bool:
        """Cancel a job; False if it has ended."""
        change = update(report_jobs).where(
            report_jobs.c.id == number,
            report_jobs.c.kind == kind,
            report_jobs.c.status == IN_PROGRESS,
        )
        with self._database.write() as connection:
            values = {"status": CANCELLED, "ended_at": self._clock()}
            return connection.execute(change.values(**values)).rowcount == 1

    def _change(self, job: ReportJob, values: Mapping[str, object]) -> bool:
        row = report_jobs.c.id == job.id, report_jobs.c.status == IN_PROGRESS
        with self._database.write() as connection:
            return change_held(connection, report_jobs, job.lease, values, *row)


def _job(row: Row[object]) -> ReportJob:
    request = ReportRequest(
        row.kind, row.account, row.region, row.format, json.loads(row.criteria),
        json.loads(row.destination), json.loads(row.accounts),
    )  # fmt: skip
    return ReportJob(
        row.id, request, row.status, row.error_code, row.error_message, row.lease, row.created_at
    )
