"""A finding as a row of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from dispatcher.console.lists import ListColumn, ListRow, wrong_position
from sidelight.model import Finding, FixAvailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dispatcher.console.lists import Position, RowReader
    from dispatcher.console.page import PageRequest
    from sidelight.model import FindingRow, Instance, SuppressionRule
    from sidelight.store import FindingSearch

COLUMNS: Final = (
    ListColumn("title", "Finding"),
    ListColumn("severity", "Severity", "severity", sort="severity"),
    ListColumn("instance", "Instance", "id"),
    ListColumn("fixed", "Fixed in", "code"),
    ListColumn("first", "First seen", "time", sort="first", wide=True),
    ListColumn("epss", "EPSS", "percent", sort="epss", wide=True),
    ListColumn("flags", "Flags", "flags"),
    ListColumn("vulnerability", "Vulnerability", "code", sort="vulnerability", optional=True),
    ListColumn("score", "Score", "number", sort="score", optional=True),
    ListColumn("path", "Path", "code", optional=True),
    ListColumn("account", "Account", "id", sort="account", optional=True),
    ListColumn("region", "Region", optional=True),
    ListColumn("status", "Status", "status", sort="status", optional=True),
    ListColumn("last", "Last seen", "time", sort="last", optional=True),
    ListColumn("arn", "ARN", "id", optional=True),
)
# Column -> Inspector's SortField.
SORTS: Final = {
    "severity": "SEVERITY",
    "first": "FIRST_OBSERVED_AT",
    "last": "LAST_OBSERVED_AT",
    "epss": "EPSS_SCORE",
    "vulnerability": "VULNERABILITY_ID",
    "score": "INSPECTOR_SCORE",
    "account": "AWS_ACCOUNT_ID",
    "status": "FINDING_STATUS",
}


def instance_link(request: PageRequest, account: str, instance: str, tab: str = "") -> str:
    """Return the URL of an instance's page."""
    path = f"/instances/{quote(account, safe='')}/{quote(instance, safe='')}"
    return request.link(path, tab=tab or None)


def vulnerability_link(request: PageRequest, name: str) -> str:
    """Return the URL of a vulnerability's page."""
    return request.link(f"/vulnerabilities/{quote(name, safe='')}")


def finding_row(request: PageRequest, row: FindingRow, instance: Instance | None) -> ListRow:
    """Return the row of a finding: the product's name first, the vulnerability second."""
    finding = row.finding
    cells: dict[str, object] = {
        "severity": finding.severity.value,
        "instance": row.instance,
        "first": row.first_observed,
        "last": row.last_observed,
        "account": row.account,
        "region": row.region,
        "status": row.status.value,
        "arn": row.arn,
        "score": finding.score,
    }
    notes = {"instance": (instance.name if instance else "") or row.region}
    if isinstance(finding, Finding):
        package = finding.package
        cells |= {
            "title": f"{package.name} {package.version}",
            "fixed": finding.fixed_version,
            "epss": finding.epss,
            "flags": _flags(finding),
            "vulnerability": finding.vulnerability,
            "path": package.path,
        }
        notes["title"] = finding.vulnerability
    else:
        cells |= {"title": finding.headline, "flags": ["Reachable"]}
        notes["title"] = f"{finding.protocol} {finding.ports} from {finding.edge_id}"
    return ListRow(
        cells,
        href=request.link(f"/findings/{row.id}"),
        key=str(row.id),
        links={"instance": instance_link(request, row.account, row.instance)},
        notes=notes,
    )


def finding_reader(
    request: PageRequest,
    search: FindingSearch,
    row_of: Callable[[PageRequest, FindingRow, Instance | None], ListRow] = finding_row,
) -> RowReader:
    """Return what reads the rows of a search. It raises WebError for a position of another list."""

    def read(after: Position, size: int) -> tuple[Sequence[ListRow], Position]:
        try:
            page = request.store.found_findings.page(search, size, after)
        except ValueError as error:
            raise wrong_position() from error
        rows = [
            row_of(request, row, page.instances.get((row.account, row.instance)))
            for row in page.rows
        ]
        return rows, page.position

    return read


def _flags(finding: Finding) -> list[str]:
    flags = ["Exploited"] if finding.exploited_since else []
    return flags + (["No fix"] if finding.fix_available is FixAvailable.NO else [])


def may_see_rule(request: PageRequest, rule: SuppressionRule) -> bool:
    """Whether the person may see a rule: the fleet's are seen by those of the whole fleet."""
    if request.scope.visible is None:
        return not request.scope.account or rule.owner in ("", request.scope.account)
    return rule.owner in request.scope.visible
