"""Suppression rules: what is hidden, why, by whom, and until when."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dispatcher.console.criteria import finding_filter
from dispatcher.console.finding_rows import may_see_rule
from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, RedirectAnswer, TemplateAnswer
from dispatcher.console.pages.finding import end_of
from dispatcher.console.web_messages import WebError
from dispatcher.services.finding_filters import FilterQuotaError, FilterService
from sidelight.model import SUPPRESS, Role, SuppressionRule

if TYPE_CHECKING:
    from dispatcher.console.page import DownloadAnswer, PageRequest

COLUMNS: Final = (
    ListColumn("name", "Rule", sort="name"),
    ListColumn("matches", "Matches", "prose"),
    ListColumn("reason", "Reason", "prose"),
    ListColumn("owner", "Owner", sort="owner", narrow=True),
    ListColumn("state", "State", "status", sort="state"),
    ListColumn("ends", "Ends", "time", sort="ends"),
    ListColumn("changed", "Changed", "time", sort="changed", narrow=True),
    ListColumn("description", "Description", "prose", optional=True),
    ListColumn("criteria", "Criteria", "code", optional=True),
)


def rules(request: PageRequest) -> TemplateAnswer | DownloadAnswer:
    """List rules."""
    found = [rule for rule in request.store.suppression_rules.all() if may_see_rule(request, rule)]
    soon = bool(request.one_of("ending", ("soon",)))
    listing = Listing(request, "Suppression rules", COLUMNS, sort="name")
    rows = [_row(request, rule) for rule in found if not soon or rule.expires_at]
    if listing.format:
        return listing.download_items(rows, "suppression-rules")
    active = sum(rule.action == SUPPRESS for rule in found)
    data = {
        "t": listing.in_memory(rows),
        "tabs": [
            ("All", request.here(ending=None), not soon, len(found)),
            ("With an end", request.here(ending="soon"), soon,
             sum(rule.expires_at is not None for rule in found)),
        ],
        "suppressed": request.link("/findings", status="SUPPRESSED"),
    }  # fmt: skip
    noun = "rule suppresses" if active == 1 else "rules suppress"
    return TemplateAnswer("rules.html", data, fact=f"{active:,} {noun} findings.")


def rule_page(request: PageRequest) -> TemplateAnswer:
    """Show one rule."""
    rule = _rule(request)
    data = {"rule": rule, "is_active": rule.action == SUPPRESS,
            "criteria": json.dumps(json.loads(rule.criteria), indent=2).splitlines()}  # fmt: skip
    return TemplateAnswer("rule.html", data, title=rule.name)


def create(request: PageRequest) -> RedirectAnswer:
    """Create a rule of the filters of the form."""
    name, reason = request.posted("name")[:128], request.posted("reason")[:500]
    if not name or not reason:
        raise WebError(400, "A rule needs a name and a reason.")
    fields = {key: values for key, values in request.form.items() if any(values)}
    filters = replace(request, segments={}, fields=fields)
    document = finding_filter(filters, default_status="").document
    document = {**document, **request.scope.criteria()}
    if not document:
        raise WebError(400, "A rule needs a filter.", "Without any it would hide all findings.")
    owner = "" if request.principal.accounts is None else request.principal.account_id
    rule = SuppressionRule(
        name=name,
        criteria=json.dumps(document),
        description=f"By {request.principal.name} on the console",
        owner=owner,
        reason=reason,
        expires_at=end_of(request),
    )
    try:
        FilterService(request.store).create(rule)
    except FilterQuotaError as error:
        raise WebError(409, f"There are {error.what}.", "Remove rules first.") from error
    return RedirectAnswer(request.link("/rules"), "The rule suppresses the findings that match.")


def remove(request: PageRequest) -> RedirectAnswer:
    """Remove a rule; its findings are active again."""
    rule = _rule(request)
    FilterService(request.store).remove(rule.name, rule.owner)
    return RedirectAnswer(request.link("/rules"), "The rule is removed; its findings are active.")


def _rule(request: PageRequest) -> SuppressionRule:
    rule = request.store.suppression_rules.find(request.segments["number"][:64])
    if rule is None or not may_see_rule(request, rule):
        raise WebError(404, "There is no such rule, or you may not see it.")
    return rule


def _row(request: PageRequest, rule: SuppressionRule) -> ListRow:
    cells = {
        "name": rule.name,
        "matches": described(rule.criteria),
        "reason": rule.reason,
        "owner": rule.owner or "whole fleet",
        "state": "ACTIVE" if rule.action == SUPPRESS else "OFF",
        "ends": rule.expires_at,
        "changed": rule.updated_at,
        "description": rule.description,
        "criteria": rule.criteria,
    }
    return ListRow(cells, href=request.link(f"/rules/{rule.id}"))


def described(criteria: str) -> str:
    """Return FilterCriteria in a line: each criterion's name and values."""
    parts = []
    for name, tests in json.loads(criteria).items():
        values = [_value(test) for test in tests if isinstance(test, dict)]
        more = f" and {len(values) - 3} more" if len(values) > 3 else ""
        parts.append(f"{name} {', '.join(values[:3])}{more}")
    return "; ".join(parts)[:1000]


def _value(test: dict[str, object]) -> str:
    if "comparison" in test:
        sign = {"NOT_EQUALS": "not ", "PREFIX": "begins with "}.get(str(test["comparison"]), "")
        key = f"{test['key']}=" if "key" in test else ""
        return f"{sign}{key}{test.get('value', '')}"
    return ", ".join(
        f"{name} {_value(value) if isinstance(value, dict) else value}"
        for name, value in test.items()
    )


PAGES = (
    ConsolePage("/rules", "Suppression rules", rules),
    ConsolePage("/rules/{number}", "Suppression rule", rule_page, section="/rules"),
    ConsolePage("/rules", "Create rule", create, Role.OPERATOR, "POST", "/rules", "CreateRule"),
    ConsolePage("/rules/{number}/remove", "Remove rule", remove, Role.OPERATOR, "POST", "/rules",
                "RemoveRule"),
)  # fmt: skip
