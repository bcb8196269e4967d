"""One finding: what it is, the evidence, how to fix it; suppression with a reason and an end."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.console.finding_rows import instance_link, may_see_rule, vulnerability_link
from dispatcher.console.page import ConsolePage, RedirectAnswer, TemplateAnswer
from dispatcher.console.signals import signal_feeds
from dispatcher.console.web_messages import MOST_ID, WebError, whole_number
from dispatcher.services.finding_filters import FilterQuotaError, FilterService
from dispatcher.services.package_relations import package_key
from sidelight.errors import SidelightError
from sidelight.model import Finding, Role, SuppressionRule, VexReason
from sidelight.report.escape import printable
from sidelight.suppression import api_arn
from sidelight.versions import scheme_of, sort_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dispatcher.console.page import PageRequest
    from sidelight.model import FindingRow, Package

_TESTS: Final = 10  # ARNs of one rule, Inspector's limit
_MOST: Final = 200  # findings of one request
_MOST_DAYS: Final = 3650  # of a rule's life
_GONE: Final = "There is no such finding, or you may not see it."


def finding_of(request: PageRequest, text: str) -> FindingRow:
    """Return a visible finding by its number. Raises WebError."""
    number = whole_number(text, MOST_ID)
    if number is not None:
        row = request.store.found_findings.by_id([number], request.scope.visible).get(number)
        if row is not None:
            return row
    raise WebError(404, _GONE)


def finding(request: PageRequest) -> TemplateAnswer:
    """Show a finding."""
    row = finding_of(request, request.segments["number"])
    instance = request.store.instances.instance(row.account, row.instance)
    package = row.finding if isinstance(row.finding, Finding) else None
    reason = request.store.suppression_reasons.of([row]).get(row.id)
    data = {
        "row": row,
        "finding": row.finding,
        "package": package,
        "lacks": signal_feeds(request),
        "instance": instance,
        "instance_href": instance_link(request, row.account, row.instance),
        "vulnerability_href": vulnerability_link(request, package.vulnerability) if package else "",
        "order": version_order(package) if package else "",
        "why_href": _why_link(request, row, package.package) if package else "",
        "references": [url for url in (package.references if package else ())
                       if url.startswith("https://")][:50],
        "network": None if package else row.finding,
        "vex": reason if isinstance(reason, VexReason) else None,
        "rule": None if isinstance(reason, VexReason) else _visible_rule(request, reason),
    }  # fmt: skip
    return TemplateAnswer("finding.html", data, title=row.finding.headline)


def version_order(found: Finding) -> str:
    """Return how the installed version compares with the fixed one; empty without a fixed one."""
    package, fixed = found.package, found.fixed_version
    if not fixed:
        return ""
    try:
        scheme = scheme_of(found.ecosystem or package.type)
        end = sort_key(scheme, fixed)
        for version, whose in ((package.version, ""), (package.source_version, " of its source")):
            if version and sort_key(scheme, version) < end:
                return f"{version}{whose} is before {fixed}, in the order {scheme}."
    except SidelightError as error:
        return f"{error.what}: the advisory's own ranges decide."
    return f"In the order {scheme} it is not before {fixed}: the advisory's own ranges decide."


def _why_link(request: PageRequest, row: FindingRow, package: Package) -> str:
    """Return the URL of what requires a finding's package on its instance.

    Empty for the system itself, which inventories have as a machine's and not as a package.
    """
    if package.type == "os":
        return ""
    path = instance_link(request, row.account, row.instance, "packages")
    return f"{path}{'&' if '?' in path else '?'}of={package_key(package)}"


def _visible_rule(request: PageRequest, rule: SuppressionRule | None) -> SuppressionRule | None:
    """Return the rule that suppresses a finding; None for one that the person may not see."""
    return rule if rule is not None and may_see_rule(request, rule) else None


def suppress_one(request: PageRequest) -> RedirectAnswer:
    """Suppress a finding by a rule of its ARN."""
    row = finding_of(request, request.segments["number"])
    undo = _suppress(request, [row])
    target = request.link(f"/findings/{row.id}")
    return RedirectAnswer(target, "The finding is suppressed.", undo)


def suppress_selected(request: PageRequest) -> RedirectAnswer:
    """Suppress the selected findings."""
    keys = list(dict.fromkeys(request.form.get("key", [])))
    if not 0 < len(keys) <= _MOST:
        raise WebError(400, f"Select 1 to {_MOST} findings.")
    rows = [finding_of(request, key) for key in keys]
    undo = _suppress(request, rows)
    noun = "finding is" if len(rows) == 1 else "findings are"
    return RedirectAnswer(request.link("/findings"), f"{len(rows)} {noun} suppressed.", undo)


def end_of(request: PageRequest) -> datetime | None:
    """Return when a rule of the form ends; None for never. Raises WebError."""
    days = request.posted("days")
    if not days:
        return None
    number = whole_number(days, _MOST_DAYS)
    if not number:
        raise WebError(400, f"A rule ends in 1 to {_MOST_DAYS} days.")
    return request.now + timedelta(days=number)


def _suppress(request: PageRequest, rows: Sequence[FindingRow]) -> str:
    """Create rules of these findings' ARNs: of the fleet, or of each account.

    Returns the path that takes them back, empty where there is more than one rule.
    """
    reason = request.posted("reason")[:500]
    if not reason:
        raise WebError(400, "Say why.", "A suppression needs a reason.")
    ends = end_of(request)
    fleet_wide = request.principal.accounts is None
    owners: dict[str, list[FindingRow]] = {}
    for row in rows:
        owners.setdefault("" if fleet_wide else row.account, []).append(row)
    service, undo = FilterService(request.store), []
    for owner, own in owners.items():
        for begin in range(0, len(own), _TESTS):
            part = own[begin : begin + _TESTS]
            tests = [{"comparison": "EQUALS", "value": api_arn(row.arn)} for row in part]
            criteria = json.dumps({"findingArn": tests})
            digest = hashlib.sha256(f"{criteria}\0{reason}".encode()).hexdigest()
            rule = SuppressionRule(
                name=f"{printable(part[0].finding.headline)[:80]} ({digest[:8]})",
                criteria=criteria,
                description=f"By {request.principal.name} on the console",
                owner=owner,
                reason=reason,
                expires_at=ends,
            )
            try:
                created = service.create_once(rule)
            except FilterQuotaError as error:
                raise WebError(409, f"There are {error.what}.", "Remove rules first.") from error
            undo.append(f"/rules/{created.id}/remove")
    return undo[0] if len(undo) == 1 else ""


PAGES = (
    ConsolePage("/findings/{number}", "Finding", finding, section="/findings"),
    ConsolePage("/findings/{number}/suppress", "Suppress", suppress_one, Role.OPERATOR, "POST",
                "/findings", "SuppressFinding"),
    ConsolePage("/findings/suppress", "Suppress", suppress_selected, Role.OPERATOR, "POST",
                "/findings", "SuppressFindings"),
)  # fmt: skip
