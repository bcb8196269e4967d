"""Amazon Inspector's own findings and coverage of EC2 instances: ListFindings and ListCoverage.

Read-only, and only for a comparison. Needs inspector2:ListFindings and inspector2:ListCoverage
(docs/inspector.md). An administrator's answers have its members' items too, so that both calls are
limited to one account.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.paced_calls import PacedCalls
from sidelight.aws.pages import NextPage, pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sidelight.aws.session import Session

INSTANCES: Final = "AWS_EC2_INSTANCE"
FINDINGS_PAGE, COVERAGE_PAGE = 100, 200  # the most items a page, by the service's model
MOST_PAGES: Final = 10_000  # of one listing: a million findings


class InspectorCalls:
    """Lists what Inspector reports of the EC2 instances of one account in one Region."""

    def __init__(  # noqa: PLR0913 - the last three by keyword, each with a default
        self,
        session: Session,
        account: str,
        region: str,
        *,
        caller: str | None = None,
        most_pages: int = MOST_PAGES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`account`: whose items are listed. `caller`: whose role calls, None for our own.

        A throttled call is retried for some seconds.
        """
        self.account, self.region = account, region
        self._where = f"{account}/{region}"
        self._most_pages = most_pages
        self._calls: PacedCalls[Any] = PacedCalls(
            session,
            lambda: session.client("inspector2", account=caller, region=region, attempts=1),
            caller or "",
            sleep=sleep,
        )

    def findings(self) -> Iterator[object]:
        """Yield the findings, of every status. Raises AccessDeniedError, CloudError."""
        criteria = {"awsAccountId": _equal(self.account), "resourceType": _equal(INSTANCES)}
        yield from self._listed("list_findings", "findings", criteria, FINDINGS_PAGE)

    def coverage(self) -> Iterator[object]:
        """Yield the coverage, by instance and scan type. Raises AccessDeniedError, CloudError."""
        criteria = {"accountId": _equal(self.account), "resourceType": _equal(INSTANCES)}
        yield from self._listed("list_coverage", "coveredResources", criteria, COVERAGE_PAGE)

    def _listed(
        self, operation: str, member: str, criteria: Mapping[str, object], size: int
    ) -> Iterator[object]:
        where = f"{self._where} {operation}"

        def call(following: NextPage) -> dict[str, object]:
            token = following.get("NextToken")
            request: dict[str, object] = {"filterCriteria": criteria, "maxResults": size}
            if token:
                request["nextToken"] = token
            return self._calls.call(partial(_call, operation, request), where)

        for answer in pages(call, where, member="nextToken", most=self._most_pages):
            items = answer.get(member)
            if isinstance(items, list):
                yield from items


def _equal(value: str) -> list[dict[str, str]]:
    return [{"comparison": "EQUALS", "value": value}]


def _call(operation: str, request: dict[str, object], client: Any) -> dict[str, object]:
    answer: dict[str, object] = getattr(client, operation)(**request)
    return answer
