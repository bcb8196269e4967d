"""The order of STS's regional endpoints: our own Region, then the partition's first Region.

A session is valid in all Regions, wherever it was created. But STS of an opt-in Region does not
know an account that has not enabled that Region, and an administrator can switch STS off in a
Region that is enabled by default. Source: the IAM manual, "Manage AWS STS in an AWS Region".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from sidelight.aws.faults import CONNECTION, REGION_DISABLED, code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_sts import STSClient

T = TypeVar("T")

# Regions that cannot be disabled, by partition.
FIRST_REGIONS = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-eusc": "eusc-de-east-1",
}
# InvalidClientTokenId: our account has not enabled the Region, or the credentials are wrong
# everywhere.
ELSEWHERE = REGION_DISABLED | {"InvalidClientTokenId"}


def candidates(region: str, partition: str) -> list[str]:
    """Return the Regions to ask, in order."""
    first = FIRST_REGIONS.get(partition, region)
    return [region] if first == region else [region, first]


def ask(
    make: Callable[[str], STSClient], regions: Sequence[str], call: Callable[[STSClient], T]
) -> T:
    """Return the result of `call` for the first of these Regions that knows our account.

    `make` returns an STS client. Raises botocore's error: the first Region's, if no other Region
    succeeds.
    """
    first: ClientError | None = None
    for region in regions:
        try:
            return call(make(region))
        except ClientError as error:
            if code_of(error) not in ELSEWHERE:
                raise
            first = first or error
        except CONNECTION:
            # The other Region's endpoint may be unreachable, as in a closed network.
            if first is None:
                raise
    if first is None:
        raise ValueError("no Region to ask")
    raise first
