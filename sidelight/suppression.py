"""Inspector's FilterCriteria: which findings a rule suppresses, or a filter shows. PURE.

Names and shapes are those of `inspector2`'s CreateFilter. All criteria must match. Of one
criterion's tests, any positive test suffices, and no NOT_EQUALS may fail: two NOT_EQUALS exclude
two values. A criterion about fields that Sidelight's findings never have (container images,
functions, code) matches only if it has NOT_EQUALS tests alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from sidelight.errors import FormatError
from sidelight.model import NetworkFinding
from sidelight.versions import evr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sidelight.model import Finding, FindingRow, Instance, Package

    _Test = tuple[str, object]  # the kind of comparison, and its operand
    Values = Mapping[str, Sequence[object]]


class Level(Enum):
    """The subject of a criterion, so that it is judged once for all findings that share it."""

    DETAIL = "the vulnerability and the package"
    INSTANCE = "the instance"
    ROW = "the finding's own dates and state"


_STRINGS = {
    Level.DETAIL: (
        "findingType severity title vulnerabilityId vulnerabilitySource vendorSeverity "
        "relatedVulnerabilities fixAvailable exploitAvailable networkProtocol componentId "
        "componentType ecrImageArchitecture ecrImageRegistry ecrImageRepositoryName ecrImageTags "
        "ecrImageHash lambdaFunctionName lambdaFunctionLayers lambdaFunctionRuntime "
        "lambdaFunctionExecutionRoleArn codeVulnerabilityDetectorName "
        "codeVulnerabilityDetectorTags codeVulnerabilityFilePath codeRepositoryProjectName "
        "codeRepositoryProviderType machineImageId machineImageName machineImageOwnerAccountId "
        "machineImagePlatform cloudProviderOrgId cloudVmImageReference cloudVmNetworkId "
        "cloudVmSubnetIds cloudImageRepositoryName cloudImageRegistry cloudImageDigest "
        "cloudImageTags cloudImageArchitecture cloudServerlessFunctionName "
        "cloudServerlessFunctionRuntime cloudServerlessFunctionExecutionRole"
    ),
    Level.INSTANCE: (
        "awsAccountId resourceType resourceId ec2InstanceImageId ec2InstanceVpcId "
        "ec2InstanceSubnetId cloudProvider cloudProviderRegion cloudProviderAccountId"
    ),
    Level.ROW: "findingArn findingStatus",
}
_OTHERS = {
    "inspectorScore": ("number", Level.DETAIL),
    "epssScore": ("number", Level.DETAIL),
    "ecrImageInUseCount": ("number", Level.DETAIL),
    "cloudImageInUseCount": ("number", Level.DETAIL),
    "firstObservedAt": ("date", Level.ROW),
    "lastObservedAt": ("date", Level.ROW),
    "updatedAt": ("date", Level.ROW),
    "ecrImagePushedAt": ("date", Level.DETAIL),
    "ecrImageLastInUseAt": ("date", Level.DETAIL),
    "lambdaFunctionLastModifiedAt": ("date", Level.DETAIL),
    "cloudImagePushedAt": ("date", Level.DETAIL),
    "cloudImageLastInUseAt": ("date", Level.DETAIL),
    "cloudServerlessFunctionLastModifiedAt": ("date", Level.DETAIL),
    "resourceTags": ("map", Level.INSTANCE),
    "vulnerablePackages": ("package", Level.DETAIL),
    "portRange": ("ports", Level.DETAIL),
}
# Name -> (kind, level).
FIELDS: dict[str, tuple[str, Level]] = {
    name: ("string", level) for level, names in _STRINGS.items() for name in names.split()
} | _OTHERS
# Members of a PackageFilter -> kind.
PACKAGE_FIELDS = {
    "name": "string",
    "version": "string",
    "epoch": "number",
    "release": "string",
    "architecture": "string",
    "sourceLayerHash": "string",
    "sourceLambdaLayerArn": "string",
    "filePath": "string",
}
UNNAMED_SOURCE = "Sidelight"  # of a finding whose advisory names no publisher
_MOST = 10  # tests of one criterion, the service's limit
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Criteria:
    """Parsed criteria: by level, the name, the kind and the tests of each."""

    tests: tuple[tuple[Level, str, str, tuple[_Test, ...]], ...]

    def agree(self, level: Level, values: Values) -> bool:
        """Return whether all criteria of a level match the values of the `..._values` functions."""
        return all(
            _passes(kind, tests, values.get(name, ()))
            for own, name, kind, tests in self.tests
            if own is level
        )


def parse(document: Any) -> Criteria:
    """Parse FilterCriteria from decoded JSON. Raises FormatError, naming the criterion."""
    if not isinstance(document, dict) or not document:
        raise FormatError("no criteria: a rule without any would suppress everything")
    criteria = []
    for name, tests in document.items():
        if name not in FIELDS:
            raise FormatError("is not a criterion of Inspector's", where=str(name)[:100])
        kind, level = FIELDS[name]
        if not isinstance(tests, list) or not 0 < len(tests) <= _MOST:
            raise FormatError(f"takes a list of 1 to {_MOST} tests", where=name)
        criteria.append((level, name, kind, tuple(_test(kind, item, name) for item in tests)))
    return Criteria(tuple(criteria))


def _test(kind: str, item: object, where: str) -> _Test:
    if not isinstance(item, dict) or not item:
        raise FormatError("a test is an object", where=where)
    if kind == "string":
        return _comparison(item, where)
    if kind == "number":
        return kind, _range(item, "lowerInclusive", "upperInclusive", _number, where)
    if kind == "date":
        begin, end = _range(item, "startInclusive", "endInclusive", _date, where)
        return kind, (begin, None if end is None else last_within(end))
    if kind == "ports":
        return kind, _range(item, "beginInclusive", "endInclusive", _number, where)
    if kind == "map":
        _only(item, {"comparison", "key", "value"}, where)
        if item.get("comparison") != "EQUALS":
            raise FormatError("a map is compared by EQUALS", where=where)
        value = None if item.get("value") is None else _text(item["value"], where, least=0)
        return kind, (_text(item.get("key"), where), value)
    _only(item, set(PACKAGE_FIELDS), where)
    return kind, tuple(
        (name, PACKAGE_FIELDS[name], _test(PACKAGE_FIELDS[name], test, f"{where}.{name}"))
        for name, test in item.items()
    )


def _comparison(item: dict[str, object], where: str) -> _Test:
    _only(item, {"comparison", "value"}, where)
    comparison = item.get("comparison")
    if comparison not in ("EQUALS", "PREFIX", "NOT_EQUALS"):
        raise FormatError("comparison is EQUALS, PREFIX or NOT_EQUALS", where=where)
    return comparison, _text(item.get("value"), where)


def _only(item: dict[str, Any], names: set[str], where: str) -> None:
    unknown = sorted(map(str, item.keys() - names))
    if unknown:
        raise FormatError(f"takes {', '.join(sorted(names))}, not {unknown[0][:40]}", where=where)


def _text(value: object, where: str, *, least: int = 1) -> str:
    if not isinstance(value, str) or not least <= len(value) <= _LONGEST:
        raise FormatError(f"takes a text of {least} to {_LONGEST} characters", where=where)
    return value


def _range(item: dict[str, Any], low: str, high: str, read: Any, where: str) -> tuple[Any, Any]:
    _only(item, {low, high}, where)
    begin, end = (None if item.get(n) is None else read(item[n], where) for n in (low, high))
    if begin is not None and end is not None and begin > end:
        raise FormatError(f"{low} is above {high}", where=where)
    return begin, end


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FormatError("takes a number", where=where)
    return float(value)


def last_within(end: datetime) -> datetime:
    """Return the last time that answers show as this end of a range: they show milliseconds.

    So a finding is within a range that begins or ends with its own time, as it was answered.
    """
    return end.replace(microsecond=end.microsecond // 1000 * 1000 + 999)


def iso_time(text: str) -> datetime:
    """Parse ISO 8601, in UTC where it names no zone. Raises ValueError."""
    read = datetime.fromisoformat(text)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read


def _date(value: object, where: str) -> datetime:
    """Parse seconds since 1970, as in the service's JSON, or ISO 8601."""
    try:
        if isinstance(value, str):
            return iso_time(value)
        return datetime.fromtimestamp(_number(value, where), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise FormatError("takes a date", where=where) from error


def _passes(kind: str, tests: Sequence[_Test], values: Sequence[object]) -> bool:
    for comparison, operand in tests:
        if comparison == "NOT_EQUALS" and operand in values:
            return False
    positive = [test for test in tests if test[0] != "NOT_EQUALS"]
    return not positive or any(
        _says(kind, comparison, operand, value)
        for comparison, operand in positive
        for value in values
    )


def _says(kind: str, comparison: str, operand: Any, value: Any) -> bool:
    if kind == "string":
        return bool(value == operand if comparison == "EQUALS" else value.startswith(operand))
    if kind == "map":
        key, wanted = operand
        return bool(value[0] == key and (wanted is None or value[1] == wanted))
    if kind == "package":
        return all(_passes(own, (test,), value.get(name, ())) for name, own, test in operand)
    low, high = operand
    if kind == "ports":
        return (low is None or value[0] >= low) and (high is None or value[1] <= high)
    return (low is None or value >= low) and (high is None or value <= high)


def detail_values(finding: Finding | NetworkFinding) -> dict[str, Sequence[object]]:
    """Return the values for criteria of Level.DETAIL."""
    common: dict[str, Sequence[object]] = {
        "findingType": (finding.type.value,),
        "severity": (finding.severity.value,),
        "title": (finding.headline,),
    }
    if isinstance(finding, NetworkFinding):
        return common | _network_values(finding)
    return common | _package_finding_values(finding)


def _network_values(finding: NetworkFinding) -> dict[str, Sequence[object]]:
    return {
        "networkProtocol": (finding.protocol,),
        "portRange": ((finding.port_begin, finding.port_end),),
        "componentId": tuple(step.id for step in finding.steps),
        "componentType": tuple(step.type for step in finding.steps),
    }


def _package_finding_values(finding: Finding) -> dict[str, Sequence[object]]:
    related = [name for name in finding.advisories if name != finding.vulnerability]
    return {
        "vulnerabilityId": (finding.vulnerability,),
        "vulnerabilitySource": (finding.source or UNNAMED_SOURCE,),
        "vendorSeverity": _text_values(finding.severity_source and finding.severity.value),
        "relatedVulnerabilities": related,
        "fixAvailable": (finding.fix_available.value,),
        "exploitAvailable": ("YES" if finding.exploit_available else "NO",),
        "inspectorScore": () if finding.score is None else (finding.score,),
        "epssScore": () if finding.epss is None else (finding.epss,),
        "vulnerablePackages": (_package_values(finding.package),),
    }


def _package_values(package: Package) -> dict[str, Sequence[object]]:
    parts = evr.split(package.type, package.version)
    return {
        "name": (package.name,),
        "version": (parts.version,),
        "epoch": (parts.epoch,),
        "release": _text_values(parts.release),
        "architecture": _text_values(package.arch),
        "filePath": _text_values(package.path),
    }


def instance_values(
    account: str, region: str, instance_id: str, instance: Instance | None
) -> dict[str, Sequence[object]]:
    """Return the values for criteria of Level.INSTANCE; `instance` as discovered, if it was."""
    values: dict[str, Sequence[object]] = {
        "awsAccountId": (account,),
        "resourceType": ("AWS_EC2_INSTANCE",),
        "resourceId": (instance_id,),
        "cloudProvider": ("AWS",),
        "cloudProviderRegion": (region,),
        "cloudProviderAccountId": (account,),
    }
    if instance is not None:
        values |= {
            "resourceTags": instance.tags,
            "ec2InstanceImageId": _text_values(instance.image_id),
            "ec2InstanceVpcId": _text_values(instance.vpc_id),
            "ec2InstanceSubnetId": _text_values(instance.subnet_id),
        }
    return values


def row_values(
    arn: str, status: str, first: datetime, last: datetime, updated: datetime
) -> dict[str, Sequence[object]]:
    """Return the values for criteria of Level.ROW; the API names another service in ARNs."""
    return {
        "findingArn": (arn, api_arn(arn)),
        "findingStatus": (status,),
        "firstObservedAt": (first,),
        "lastObservedAt": (last,),
        "updatedAt": (updated,),
    }


def api_arn(arn: str) -> str:
    """Return a finding's ARN as the API has it: its model allows no service but Inspector's."""
    return arn.replace(":sidelight:", ":inspector2:", 1)


def _text_values(value: str) -> Sequence[str]:
    return (value,) if value else ()


def filtered(
    rows: Iterable[FindingRow],
    criteria: Criteria,
    known: Callable[[str, str], Instance | None],
) -> list[FindingRow]:
    """Return the findings that a filter shows; `known(account, instance)` is the instance."""
    shown = []
    for row in rows:
        about_row = row_values(
            row.arn, row.status.value, row.first_observed, row.last_observed, row.updated_at
        )
        if (
            criteria.agree(Level.ROW, about_row)
            and criteria.agree(Level.DETAIL, detail_values(row.finding))
            and criteria.agree(
                Level.INSTANCE,
                instance_values(
                    row.account, row.region, row.instance, known(row.account, row.instance)
                ),
            )
        ):
            shown.append(row)
    return shown
