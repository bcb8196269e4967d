"""Which volumes were not written in a period, by CloudWatch.

Source: CloudWatch's API reference, GetMetricData (500 queries and 100,800 data points a call);
EBS's manual, "Amazon CloudWatch metrics for Amazon EBS". Needs cloudwatch:GetMetricData, which AWS
bills: $0.01 for 1,000 metrics.

A data point that is missing is not a zero. An attached volume of a running instance reports one for
each period, zeros too, so a gap means that nobody knows: CloudWatch lost it, or the volume was
detached. So only a volume with a zero for every period of the time counts as not written.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.paced_calls import PacedCalls
from sidelight.aws.pages import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sidelight.aws.pages import NextPage
    from sidelight.aws.rate_limit import RateLimiter
    from sidelight.aws.session import Session

PERIOD: Final = timedelta(minutes=5)
# CloudWatch may show a data point minutes after its period.
LATE: Final = timedelta(minutes=15)
AT_ONCE: Final = 500  # queries of a call
USD_PER_METRIC: Final = 0.01 / 1000
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


def whole_periods(since: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Return the beginning and end of the whole periods from before `since` until lately.

    One period more at the beginning: AWS's clock may be behind ours. Where nothing can be known
    yet, the end is not after the beginning.
    """
    begin = since - (since - _EPOCH) % PERIOD - PERIOD
    end = now - LATE
    return begin, end - (end - _EPOCH) % PERIOD


class VolumeWrites:
    """The CloudWatch client of one account-region."""

    def __init__(
        self,
        session: Session,
        account: str,
        region: str,
        *,
        pace: RateLimiter | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`pace` limits the calls, together with EC2's describe calls, of which they are few."""
        self._where = f"{account}/{region} get_metric_data"
        self._calls: PacedCalls[Any] = PacedCalls(
            session,
            lambda: session.client("cloudwatch", account=account, region=region, attempts=1),
            account,
            pace=pace,
            sleep=sleep,
        )

    def unwritten(self, volumes: Sequence[str], begin: datetime, end: datetime) -> frozenset[str]:
        """Return those of these volumes that have a zero for each period from `begin` to `end`.

        Raises CloudError, AccessDeniedError, RateLimitedError.
        """
        found: set[str] = set()
        for first in range(0, len(volumes), AT_ONCE):
            found |= self._unwritten(volumes[first : first + AT_ONCE], begin, end)
        return frozenset(found)

    def _unwritten(self, volumes: Sequence[str], begin: datetime, end: datetime) -> set[str]:
        """Ask for up to 500 volumes at once."""
        names = {f"v{number}": volume for number, volume in enumerate(volumes)}
        queries = [_query(name, volume) for name, volume in names.items()]
        zeros: dict[str, set[datetime]] = {name: set() for name in names}
        written: set[str] = set()

        def page(following: NextPage) -> Any:
            return self._calls.call(
                lambda client: client.get_metric_data(
                    MetricDataQueries=queries, StartTime=begin, EndTime=end, **following
                ),
                self._where,
            )

        for answer in pages(page, self._where):
            for result in answer.get("MetricDataResults") or ():
                name = result.get("Id", "")
                if name in zeros and not _add_zeros(result, zeros[name]):
                    written.add(name)
        count = (end - begin) // PERIOD
        periods = {begin + number * PERIOD for number in range(count)}
        return {
            volume
            for name, volume in names.items()
            if name not in written and periods and periods <= zeros[name]
        }


def _query(name: str, volume: str) -> dict[str, Any]:
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/EBS",
                "MetricName": "VolumeWriteOps",
                "Dimensions": [{"Name": "VolumeId", "Value": volume}],
            },
            "Period": int(PERIOD.total_seconds()),
            "Stat": "Sum",
        },
    }


def _add_zeros(result: Mapping[str, Any], zeros: set[datetime]) -> bool:
    """Add the times of a result's zeros; False if it has another value, or was not answered."""
    times, values = result.get("Timestamps") or [], result.get("Values") or []
    if len(times) != len(values) or result.get("StatusCode") in ("InternalError", "Forbidden"):
        return False
    zeros.update(moment for moment, value in zip(times, values, strict=True) if value == 0)
    return all(value == 0 for value in values)
