"""An account's own EBS quotas in a Region, as adjusted by AWS.

Source: Service Quotas, service `ebs`. Needs servicequotas:GetServiceQuota.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.aws.faults import CALL_FAILURES, translate
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from sidelight.aws.session import Session

SERVICE = "ebs"
PENDING_SNAPSHOTS = "L-94D7AB7D"
GET_PER_SECOND = "L-C125AE42"  # GetSnapshotBlock requests of an account
LIST_PER_SECOND = "L-18E976AB"  # ListSnapshotBlocks requests of an account
ATTEMPTS = 2  # the quotas are read again a day later, and no scan waits for them


@dataclass(frozen=True, slots=True)
class Quotas:
    """An account's quotas; None means not known: AWS's published default applies."""

    pending: float | None = None
    get: float | None = None
    listing: float | None = None


def read(session: Session, account: str | None, region: str) -> Quotas:
    """Return the quotas of an account-region. Raises AccessDeniedError, CloudError."""
    return Quotas(
        pending=_quota(session, account, region, PENDING_SNAPSHOTS),
        get=_quota(session, account, region, GET_PER_SECOND),
        listing=_quota(session, account, region, LIST_PER_SECOND),
    )


def _quota(session: Session, account: str | None, region: str, code: str) -> float | None:
    client = session.client("service-quotas", account=account, region=region, attempts=ATTEMPTS)
    try:
        answer = client.get_service_quota(ServiceCode=SERVICE, QuotaCode=code)
    except CALL_FAILURES as error:
        fault = translate(error, where=f"{region} get_service_quota: {code}")
        if isinstance(fault, CloudError) and fault.code == "NoSuchResourceException":
            return None
        raise fault from error
    value = answer.get("Quota", {}).get("Value")
    return float(value) if isinstance(value, int | float) and value > 0 else None
