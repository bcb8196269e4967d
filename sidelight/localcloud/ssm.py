"""SSM's DescribeInstanceInformation, which moto lacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from moto.core.responses import ActionResult
from moto.ssm.responses import SimpleSystemManagerResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

Managed = dict[tuple[str, str], dict[str, dict[str, Any]]]

# Filter key -> member of InstanceInformation.
FILTERS = {
    "InstanceIds": "InstanceId",
    "PingStatus": "PingStatus",
    "PlatformTypes": "PlatformType",
    "AgentVersion": "AgentVersion",
    "ResourceType": "ResourceType",
}


class ManagedInstanceCalls(SimpleSystemManagerResponse):
    """moto's SSM with the managed instances that were registered."""

    managed: ClassVar[Managed]

    @classmethod
    def bind(cls, managed: Managed) -> type[ManagedInstanceCalls]:
        """`managed`: (account, region) -> instance id -> its InstanceInformation."""
        return type("BoundManagedInstanceCalls", (cls,), {"managed": managed})

    def describe_instance_information(self) -> ActionResult:
        """The registered instances of the account and region, filtered and paged."""
        asked: Mapping[str, Any] = json.loads(self.body or "{}")
        found = list(self.managed.get((self.current_account, self.region), {}).values())
        for item in asked.get("Filters", []):
            member = FILTERS.get(item["Key"], item["Key"])
            found = [one for one in found if one.get(member) in item["Values"]]
        for item in asked.get("InstanceInformationFilterList", []):
            member = FILTERS.get(item["key"], item["key"])
            found = [one for one in found if one.get(member) in item["valueSet"]]
        begin = int(asked.get("NextToken") or 0)
        size = int(asked.get("MaxResults") or 50)
        result: dict[str, Any] = {"InstanceInformationList": found[begin : begin + size]}
        if begin + size < len(found):
            result["NextToken"] = str(begin + size)
        return ActionResult(result)
