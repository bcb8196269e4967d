"""GetInventory, GetInventorySchema, ListInventoryEntries and PutInventory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sidelight.localcloud.messages import AwsError

if TYPE_CHECKING:
    from sidelight.localcloud.ssm.agents import AgentRegion, LocalAgent, StoredItem

_TYPE = re.compile(r"(?:AWS|Custom):[\w.:-]{1,90}")
MAX_ITEM: Final = 1024 << 10  # bytes of one item of PutInventory
MAX_ATTRIBUTES: Final = 50


def _of(place: AgentRegion, instance_id: str) -> LocalAgent:
    agent = place.agents.get(instance_id)
    if agent is None:
        raise AwsError("InvalidInstanceId", f"Instance {instance_id} is not managed")
    return agent


def _checked(type_name: str) -> str:
    if not _TYPE.fullmatch(type_name):
        raise AwsError("InvalidTypeNameException", f"The type {type_name} is not valid")
    return type_name


def entries(place: AgentRegion, request: dict[str, Any]) -> dict[str, Any]:
    """ListInventoryEntries, all entries; the caller pages them."""
    agent, name = _of(place, request["InstanceId"]), _checked(request["TypeName"])
    answer: dict[str, Any] = {"TypeName": name, "InstanceId": agent.instance_id, "Entries": []}
    item = agent.inventory.get(name)
    if item is not None:
        answer |= {"SchemaVersion": item.schema_version, "CaptureTime": item.capture_time}
        answer["Entries"] = [
            entry for entry in item.entries if _passes(entry, request.get("Filters", []))
        ]
    return answer


def entities(place: AgentRegion, request: dict[str, Any]) -> list[dict[str, Any]]:
    """GetInventory: an entity an instance, with the types of the result attributes."""
    wanted = [item["TypeName"] for item in request.get("ResultAttributes", [])]
    names = [_checked(name) for name in wanted] or ["AWS:InstanceInformation"]
    found = []
    for agent in sorted(place.agents.values(), key=lambda agent: agent.instance_id):
        if agent.inventory and _fits(agent, request.get("Filters", [])):
            data = {
                name: _document(name, agent.inventory[name])
                for name in names
                if name in agent.inventory
            }
            found.append({"Id": agent.instance_id, "Data": data})
    return found


def _document(name: str, item: StoredItem) -> dict[str, object]:
    return {
        "TypeName": name,
        "SchemaVersion": item.schema_version,
        "CaptureTime": item.capture_time,
        "ContentHash": item.content_hash,
        "Content": item.entries,
    }


def schemas(place: AgentRegion, request: dict[str, Any]) -> list[dict[str, Any]]:
    """GetInventorySchema: the attributes of each type that an agent sent."""
    found: dict[str, dict[str, Any]] = {}
    for agent in place.agents.values():
        for name, item in agent.inventory.items():
            if name.startswith(request.get("TypeName", "")):
                known = found.setdefault(name, {"TypeName": name, "Version": item.schema_version})
                keys = {key for entry in item.entries for key in entry}
                keys |= {one["Name"] for one in known.get("Attributes", [])}
                known["Attributes"] = [
                    {"Name": key, "DataType": "STRING"} for key in sorted(keys)
                ] or [{"Name": "Name", "DataType": "STRING"}]
    return [found[name] for name in sorted(found)]


def put(place: AgentRegion, request: dict[str, Any]) -> None:
    """PutInventory: what an agent, or a script on the machine, sends."""
    agent = _of(place, request["InstanceId"])
    names = []
    for item in request["Items"]:
        name = _checked(item["TypeName"])
        content = item.get("Content")
        known = agent.inventory.get(name)
        if content is None:
            if known is None or known.content_hash != item.get("ContentHash"):
                raise AwsError("ItemContentMismatchException", "The content is not known")
            known.capture_time = item["CaptureTime"]
        else:
            if sum(len(str(entry)) for entry in content) > MAX_ITEM:
                raise AwsError("ItemSizeLimitExceededException", "The item is too large")
            if any(len(entry) > MAX_ATTRIBUTES for entry in content):
                raise AwsError("InvalidItemContentException", "An entry has too many attributes")
            place.put(agent, name, content, item["CaptureTime"])
            stored = agent.inventory[name]
            stored.content_hash = item.get("ContentHash", stored.content_hash)
            stored.schema_version = item["SchemaVersion"]
        names.append(name)
    place.on_inventory(place, agent, names)


def _fits(agent: LocalAgent, filters: list[dict[str, Any]]) -> bool:
    for item in filters:
        type_name, _dot, attribute = item["Key"].rpartition(".")
        stored = agent.inventory.get(type_name)
        rows = stored.entries if stored is not None else []
        own = {"Key": attribute, "Values": item["Values"], "Type": item.get("Type", "Equal")}
        if not any(_passes(row, [own]) for row in rows):
            return False
    return True


def _passes(entry: dict[str, str], filters: list[dict[str, Any]]) -> bool:
    for item in filters:
        value, values = entry.get(item["Key"].rpartition(".")[2], ""), item["Values"]
        passes = {
            "Equal": value in values,
            "NotEqual": value not in values,
            "BeginWith": value.startswith(tuple(values)),
            "LessThan": value < values[0],
            "GreaterThan": value > values[0],
            "Exists": bool(value),
        }
        if not passes[item.get("Type", "Equal")]:
            return False
    return True
