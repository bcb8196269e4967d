"""The filters of findings in a URL, as Inspector's FilterCriteria and as chips.

`severity=HIGH&severity=CRITICAL` are alternatives, `vulnerability=!CVE-1` excludes, `package=open*`
is a beginning, `epss=0.1..` and `first=2026-01-01..2026-02-01` are ranges, `first=7d` the last
seven days. Every criterion of Inspector may be named as there: `ec2InstanceVpcId=vpc-1`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dispatcher.console.web_messages import WebError
from sidelight.errors import FormatError
from sidelight.store import FindingSearch
from sidelight.suppression import FIELDS, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dispatcher.console.page import PageRequest

# Field of the URL -> criterion, and what a person calls it.
NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "severity": ("severity", "Severity"),
    "status": ("findingStatus", "Status"),
    "type": ("findingType", "Type"),
    "vulnerability": ("vulnerabilityId", "Vulnerability"),
    "related": ("relatedVulnerabilities", "Advisory"),
    "source": ("vulnerabilitySource", "Source"),
    "vendor": ("vendorSeverity", "Vendor severity"),
    "fix": ("fixAvailable", "Fix available"),
    "exploit": ("exploitAvailable", "Exploited"),
    "title": ("title", "Title"),
    "instance": ("resourceId", "Instance"),
    "image": ("ec2InstanceImageId", "Image"),
    "vpc": ("ec2InstanceVpcId", "VPC"),
    "subnet": ("ec2InstanceSubnetId", "Subnet"),
    "score": ("inspectorScore", "Score"),
    "epss": ("epssScore", "EPSS"),
    "first": ("firstObservedAt", "First seen"),
    "last": ("lastObservedAt", "Last seen"),
    "updated": ("updatedAt", "Changed"),
    "port": ("portRange", "Port"),
    "protocol": ("networkProtocol", "Protocol"),
    "component": ("componentId", "Path goes through"),
    "arn": ("findingArn", "ARN"),
}
PACKAGE: Final[Mapping[str, tuple[str, str]]] = {
    "package": ("name", "Package"),
    "version": ("version", "Version"),
    "release": ("release", "Release"),
    "architecture": ("architecture", "Architecture"),
    "path": ("filePath", "Path"),
}
ANY: Final = "any"  # of `status`: every state
_OTHERS: Final = {
    name: (name, name) for name in FIELDS
    if name not in {criterion for criterion, _ in NAMES.values()}
    and name not in ("vulnerablePackages", "resourceTags", "awsAccountId", "cloudProviderRegion")
}  # fmt: skip
_DAYS: Final = re.compile(r"(\d{1,4})([dh])")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")  # as an end, with all of its hours
_RANGES: Final = {
    "number": ("lowerInclusive", "upperInclusive"),
    "date": ("startInclusive", "endInclusive"),
    "ports": ("beginInclusive", "endInclusive"),
}


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """The filters of a URL: FilterCriteria, and chips of (field, operator, value, removing URL)."""

    document: Mapping[str, object]
    chips: Sequence[tuple[str, str, str, str]]

    def search(self, request: PageRequest, sort: str = "", *, descending: bool = False
               ) -> FindingSearch:  # fmt: skip
        """Return the search of these filters in the request's scope. Raises WebError."""
        document = {**self.document, **request.scope.criteria()}
        try:
            criteria = parse(document) if document else None
        except FormatError as error:
            raise WebError(400, f"The filter {error.where} {error.what}.") from error
        return FindingSearch(criteria, request.scope.accounts, sort, descending)


def finding_filter(request: PageRequest, *, default_status: str = "ACTIVE") -> FindingFilter:
    """Return the filters of a request. Raises WebError."""
    document: dict[str, object] = {}
    chips: list[tuple[str, str, str, str]] = []
    for name, (criterion, label) in {**NAMES, **_OTHERS}.items():
        values = [value for value in request.fields.get(name, []) if value]
        if not values or (name == "status" and ANY in values):
            continue
        kind = FIELDS[criterion][0]
        document[criterion] = [_test(kind, value, request) for value in values]
        chips += [_chip(request, name, label, value, values) for value in values]
    packages = {name: [value for value in request.fields.get(name, []) if value]
                for name in PACKAGE}  # fmt: skip
    if tests := _packages(packages):
        document["vulnerablePackages"] = tests
        chips += [
            _chip(request, name, PACKAGE[name][1], value, values)
            for name, values in packages.items() for value in values
        ]  # fmt: skip
    if "status" not in request.fields and default_status:
        document["findingStatus"] = [{"comparison": "EQUALS", "value": default_status}]
    return FindingFilter(document, chips)


def text_test(value: str) -> dict[str, str]:
    """Return the StringFilter of a value: `!x` excludes, `x*` is a beginning."""
    if value.startswith("!") and len(value) > 1:
        return {"comparison": "NOT_EQUALS", "value": value[1:]}
    if value.endswith("*") and len(value) > 1:
        return {"comparison": "PREFIX", "value": value[:-1]}
    return {"comparison": "EQUALS", "value": value}


def _packages(fields: Mapping[str, Sequence[str]]) -> list[dict[str, object]]:
    """Return PackageFilters: one for each name, with the first value of the other members."""
    others: dict[str, object] = {
        PACKAGE[name][0]: text_test(values[0])
        for name, values in fields.items() if values and name != "package"
    }  # fmt: skip
    names = fields["package"]
    if not names:
        return [others] if others else []
    return [{"name": text_test(name), **others} for name in names]


def _test(kind: str, value: str, request: PageRequest) -> dict[str, object]:
    if kind not in _RANGES:
        return {**text_test(value)}
    low_name, high_name = _RANGES[kind]
    recent = _DAYS.fullmatch(value)
    if kind == "date" and recent is not None:
        unit = timedelta(days=1) if recent[2] == "d" else timedelta(hours=1)
        return {low_name: (request.now - int(recent[1]) * unit).isoformat()}
    low, dots, high = value.partition("..")
    if not dots:
        high = low
    test: dict[str, object] = {}
    for name, text in ((low_name, low), (high_name, high)):
        if text:
            is_day = kind == "date" and name == high_name and _DAY.fullmatch(text)
            end = f"{text}T23:59:59.999" if is_day else text
            test[name] = end if kind == "date" else _number(text)
    if not test:
        raise WebError(400, f"The range {value[:60]!r} has no limit.")
    return test


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise WebError(400, f"{text[:60]!r} is not a number.") from error


def _chip(
    request: PageRequest, name: str, label: str, value: str, values: Sequence[str]
) -> tuple[str, str, str, str]:
    test = text_test(value)
    operator = {"EQUALS": "is", "NOT_EQUALS": "is not", "PREFIX": "begins with"}[test["comparison"]]
    removed = request.here(**{name: [other for other in values if other != value]})
    return label, operator, test["value"], removed
