"""SSM's operations that moto lacks, above moto's own (documents, parameters, commands)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from moto.core.responses import ActionResult
from moto.ssm.responses import SimpleSystemManagerResponse

from sidelight.localcloud.messages import AwsError
from sidelight.localcloud.ssm import (
    association_calls,
    command_runs,
    data_sync,
    inventory_calls,
    request_model,
)
from sidelight.localcloud.ssm.agents import AgentRegion

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.clock import Clock

# Filter key -> member of InstanceInformation.
FILTERS: Final = {
    "InstanceIds": "InstanceId",
    "PingStatus": "PingStatus",
    "PlatformTypes": "PlatformType",
    "AgentVersion": "AgentVersion",
    "ResourceType": "ResourceType",
}


class AgentRegions:
    """The agents of all accounts and Regions of one local cloud."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: dict[tuple[str, str], AgentRegion] = {}

    def __getitem__(self, key: tuple[str, str]) -> AgentRegion:
        """The place of an account and Region."""
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = AgentRegion(*key, self._clock)
            place.on_inventory = data_sync.write
            place.on_command = command_runs.run
        return place

    def stop_agent(self, instance_id: str) -> None:
        """Let an instance's agent ping no more. Raises KeyError for one that has none."""
        for place in self._places.values():
            if instance_id in place.agents:
                place.agents[instance_id].stopped_at = place.now
                return
        raise KeyError(instance_id)

    def start_agent(self, instance_id: str) -> None:
        """Let it ping again."""
        for place in self._places.values():
            if instance_id in place.agents:
                place.agents[instance_id].stopped_at = None

    def set_commands(self, instance_id: str, root: Path | None, output: bytes | None) -> None:
        """Let an agent run commands on a directory, or print a canned output."""
        for place in self._places.values():
            if instance_id in place.agents:
                place.agents[instance_id].root = root
                place.agents[instance_id].output = output

    def install(self, instance_id: str, type_name: str, entries: list[dict[str, str]]) -> None:
        """Change what an agent finds on its machine; its next inventory has it."""
        for place in self._places.values():
            if instance_id in place.agents:
                place.agents[instance_id].software[type_name] = entries


class ManagedInstanceCalls(SimpleSystemManagerResponse):
    """moto's SSM with agents. `bind` makes one."""

    places: ClassVar[AgentRegions]

    @classmethod
    def bind(cls, places: AgentRegions) -> type[ManagedInstanceCalls]:
        """The same with these agents: moto makes a new object for each request."""
        return type("BoundManagedInstanceCalls", (cls,), {"places": places})

    def _begin(self, operation: str) -> tuple[AgentRegion, dict[str, Any]]:
        """Check the request, and let the agents do what was due."""
        try:
            request = json.loads(self.body or "{}")
        except ValueError as error:
            raise AwsError("SerializationException", "The request is not JSON.") from error
        if not isinstance(request, dict):
            raise AwsError("SerializationException", "The request is not an object.")
        request_model.check(operation, request)
        place = self.places[self.current_account, self.region]
        place.catch_up()
        return place, request

    def describe_instance_information(self) -> ActionResult:
        """The registered instances of the account and Region, filtered and paged."""
        place, request = self._begin("DescribeInstanceInformation")
        found = [place.information(agent) for agent in place.agents.values()]
        filters = [(item["Key"], item["Values"]) for item in request.get("Filters", [])]
        older = request.get("InstanceInformationFilterList", [])
        filters += [(item["key"], item["valueSet"]) for item in older]
        for key, values in filters:
            found = [one for one in found if one.get(FILTERS.get(key, key)) in values]
        return _page(request, "InstanceInformationList", found)

    def list_inventory_entries(self) -> ActionResult:
        """An instance's entries of one type, up to 50 a page."""
        place, request = self._begin("ListInventoryEntries")
        answer = inventory_calls.entries(place, request)
        return _page(request, "Entries", answer.pop("Entries"), answer)

    def get_inventory(self) -> ActionResult:
        """The inventories of all instances, up to 50 a page."""
        place, request = self._begin("GetInventory")
        return _page(request, "Entities", inventory_calls.entities(place, request))

    def get_inventory_schema(self) -> ActionResult:
        """The types that agents sent, with their attributes."""
        place, request = self._begin("GetInventorySchema")
        return _page(request, "Schemas", inventory_calls.schemas(place, request), most=200)

    def put_inventory(self) -> ActionResult:
        """Keep the items that an agent sends."""
        place, request = self._begin("PutInventory")
        inventory_calls.put(place, request)
        return ActionResult({"Message": "Inventory was put"})

    def create_association(self) -> ActionResult:
        """Make an association; it runs soon."""
        place, request = self._begin("CreateAssociation")
        command_runs.check_document(place, request)
        return ActionResult({"AssociationDescription": association_calls.create(place, request)})

    def update_association(self) -> ActionResult:
        """Make a new version of an association; it runs soon."""
        place, request = self._begin("UpdateAssociation")
        return ActionResult({"AssociationDescription": association_calls.update(place, request)})

    def delete_association(self) -> ActionResult:
        """Delete an association."""
        place, request = self._begin("DeleteAssociation")
        association_calls.delete(place, request)
        return ActionResult({})

    def describe_association(self) -> ActionResult:
        """Describe one association."""
        place, request = self._begin("DescribeAssociation")
        return ActionResult({"AssociationDescription": association_calls.describe(place, request)})

    def list_associations(self) -> ActionResult:
        """All associations, up to 50 a page."""
        place, request = self._begin("ListAssociations")
        return _page(request, "Associations", association_calls.listed(place, request))

    def start_associations_once(self) -> ActionResult:
        """Run associations now."""
        place, request = self._begin("StartAssociationsOnce")
        association_calls.start(place, request)
        return ActionResult({})

    def describe_association_executions(self) -> ActionResult:
        """The runs of an association."""
        place, request = self._begin("DescribeAssociationExecutions")
        found = association_calls.executions(place, request)
        return _page(request, "AssociationExecutions", found)

    def describe_association_execution_targets(self) -> ActionResult:
        """The instances of one run."""
        place, request = self._begin("DescribeAssociationExecutionTargets")
        found = association_calls.execution_targets(place, request)
        return _page(request, "AssociationExecutionTargets", found)

    def create_resource_data_sync(self) -> ActionResult:
        """Make a data sync. An account and Region may have five."""
        place, request = self._begin("CreateResourceDataSync")
        name = request["SyncName"]
        if name in place.syncs:
            raise AwsError("ResourceDataSyncAlreadyExistsException", f"{name} exists already")
        if len(place.syncs) >= data_sync.QUOTA:
            raise AwsError("ResourceDataSyncCountExceededException", "You have 5 data syncs")
        destination = request.get("S3Destination")
        if destination is None or data_sync.bucket_of(destination["BucketName"]) is None:
            code = "ResourceDataSyncInvalidConfigurationException"
            raise AwsError(code, "S3 write failed: the bucket does not exist")
        place.syncs[name] = {
            "SyncName": name,
            "SyncType": request.get("SyncType", "SyncToDestination"),
            "S3Destination": destination,
            "SyncCreatedTime": place.now,
        }
        for agent in place.agents.values():
            data_sync.write(place, agent, agent.inventory)
        return ActionResult({})

    def list_resource_data_sync(self) -> ActionResult:
        """All data syncs."""
        place, request = self._begin("ListResourceDataSync")
        return _page(request, "ResourceDataSyncItems", list(place.syncs.values()))

    def delete_resource_data_sync(self) -> ActionResult:
        """Delete a data sync; the objects in its bucket stay."""
        place, request = self._begin("DeleteResourceDataSync")
        if place.syncs.pop(request["SyncName"], None) is None:
            raise AwsError("ResourceDataSyncNotFoundException", "There is no such data sync")
        return ActionResult({})


def _page(
    request: dict[str, Any],
    member: str,
    found: list[Any],
    others: dict[str, Any] | None = None,
    most: int = 50,
) -> ActionResult:
    token = str(request.get("NextToken") or "0")
    if not token.isdecimal() or int(token) > len(found):
        raise AwsError("InvalidNextToken", "The specified token is not valid.")
    begin, size = int(token), int(request.get("MaxResults") or most)
    result: dict[str, Any] = {**(others or {}), member: found[begin : begin + size]}
    if begin + size < len(found):
        result["NextToken"] = str(begin + size)
    return ActionResult(result)
