"""The demo's tables of findings, and a look at the account by plain boto3."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNTRIAGED")
MOST_SHOWN = 8
# With a path's column, the table takes so many columns.
WIDTH_WITH_PATHS = 120


def by_machine(findings: list[dict[str, Any]], names: Mapping[str, str]) -> Table:
    """Findings by severity and machine; `names` of instances by their id."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in names.values()}
    for finding in findings:
        name = names.get(finding["instance"], finding["instance"])
        counts.setdefault(name, Counter())[finding["severity"]] += 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("machine", min_width=10)
    for severity in SEVERITIES:
        table.add_column(severity.lower(), justify="right")
    for name, count in sorted(counts.items()):
        table.add_row(name, *(str(count[severity]) for severity in SEVERITIES))
    return table


def worst(findings: list[dict[str, Any]], width: int) -> Table:
    """A few of the most severe findings that have a fix, a package each; paths where they fit."""
    fixable = [item for item in findings if item.get("fixed_version")]
    fixable.sort(key=lambda item: SEVERITIES.index(item["severity"]))
    table = Table(
        box=None, pad_edge=False, header_style="bold", title_justify="left",
        title="most severe, with a fix",
    )  # fmt: skip
    columns = ["severity", "vulnerability", "package", "installed", "fixed in"]
    with_paths = width >= WIDTH_WITH_PATHS
    for name in [*columns, "path"] if with_paths else columns:
        table.add_column(name, overflow="fold")
    seen: set[str] = set()
    for item in fixable:
        package = item["package"]
        if package["name"] in seen or len(seen) == MOST_SHOWN:
            continue
        seen.add(package["name"])
        row = [item["severity"], item["vulnerability"], package["name"], package["version"],
               item["fixed_version"]]  # fmt: skip
        table.add_row(*row, *([package["path"]] if with_paths else []))
    return table


def ec2_client(environment: Mapping[str, str]) -> Any:
    """A plain boto3 client: a second opinion that is not Sidelight's own code."""
    import boto3

    make: Any = boto3.client
    return make(
        "ec2",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def instance_names(environment: Mapping[str, str]) -> dict[str, str]:
    """Instance id -> its Name tag."""
    names = {}
    for reservation in ec2_client(environment).describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}
            names[instance["InstanceId"]] = tags.get("Name", instance["InstanceId"])
    return names


def tagged_snapshots(environment: Mapping[str, str]) -> list[str]:
    """Ids of the snapshots that carry a scan's tag."""
    answer = ec2_client(environment).describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["InspectorScan"]}]
    )
    return [snapshot["SnapshotId"] for snapshot in answer["Snapshots"]]
