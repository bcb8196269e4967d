"""What SSM agents do: they ping, run the associations that target them, and send inventories.

An agent has the software that it was given (`software`). An association of
AWS-GatherSoftwareInventory sends it when it runs: first soon after it was made, then by its rate.
Until then an instance has no inventory. An agent that is stopped pings no more, runs nothing, and
its last inventory stays. All happens when it is asked for: `catch_up` runs what was due.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sidelight.localcloud.ssm.schedules import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from sidelight.localcloud.clock import Clock

GATHER: Final = "AWS-GatherSoftwareInventory"
LOST_AFTER: Final = 300.0  # seconds without a ping until ConnectionLost
# The document's parameters, and the types that they let an agent send.
_PARAMETERS: Final = {
    "applications": "AWS:Application",
    "awsComponents": "AWS:AWSComponent",
    "networkConfig": "AWS:Network",
    "windowsUpdates": "AWS:WindowsUpdate",
    "instanceDetailedInformation": "AWS:InstanceDetailedInformation",
    "services": "AWS:Service",
    "windowsRoles": "AWS:WindowsRole",
    "billingInfo": "AWS:BillingInfo",
}
_BY_LIST: Final = {"files": "AWS:File", "windowsRegistry": "AWS:WindowsRegistry"}
SCHEMA_VERSIONS: Final = {"AWS:Application": "1.1"}


def iso(seconds: float) -> str:
    """A time as SSM writes capture times: `2024-07-01T16:59:14Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class StoredItem:
    """One type of an instance's inventory as SSM keeps it."""

    entries: list[dict[str, str]]
    capture_time: str
    content_hash: str
    schema_version: str = "1.0"


@dataclass(slots=True)
class LocalAgent:
    """An instance's agent. `information` has members of SSM's InstanceInformation.

    `root` is the directory that stands for its machine where commands are really run; without one
    each command prints `output`, by default what a collector of deep inspection prints on a machine
    without language packages.
    """

    instance_id: str
    information: dict[str, Any]
    software: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    stopped_at: float | None = None
    inventory: dict[str, StoredItem] = field(default_factory=dict)
    root: Path | None = None
    output: bytes | None = None


@dataclass(slots=True)
class Association:
    """A State Manager association, with its runs (times, oldest first; the last 50)."""

    description: dict[str, Any]
    made_at: float
    ran_at: float | None = None
    is_due: bool = True  # runs soon after it was made, changed or started
    runs: list[tuple[str, float, list[str]]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The association's id."""
        return str(self.description["AssociationId"])


class AgentRegion:
    """The agents, associations and data syncs of one account and Region."""

    def __init__(self, account: str, region: str, clock: Clock) -> None:
        self.account = account
        self.region = region
        self.agents: dict[str, LocalAgent] = {}
        self.associations: dict[str, Association] = {}
        self.syncs: dict[str, dict[str, Any]] = {}
        self.on_inventory: Callable[[AgentRegion, LocalAgent, Iterable[str]], None] = _nothing
        self.on_command: Callable[[AgentRegion, LocalAgent, Association, str], None] = _nothing
        self._clock = clock

    @property
    def now(self) -> float:
        """The cloud's time in seconds since the epoch."""
        return self._clock.now()

    def information(self, agent: LocalAgent) -> dict[str, Any]:
        """The agent's InstanceInformation at this moment."""
        answer = {"InstanceId": agent.instance_id, **agent.information}
        last = self.now if agent.stopped_at is None else agent.stopped_at
        answer.setdefault("LastPingDateTime", last)
        if agent.stopped_at is not None and self.now - agent.stopped_at >= LOST_AFTER:
            answer["PingStatus"] = "ConnectionLost"
        runs = [
            association.ran_at
            for association in self.associations.values()
            if association.ran_at is not None and self.targets(association, agent)
        ]
        if runs:
            answer["AssociationStatus"] = "Success"
            answer["LastAssociationExecutionDate"] = max(runs)
            answer["LastSuccessfulAssociationExecutionDate"] = max(runs)
            counts = {"Success": len(runs)}
            answer["AssociationOverview"] = {"InstanceAssociationStatusAggregatedCount": counts}
        return answer

    def targets(self, association: Association, agent: LocalAgent) -> bool:
        """Whether an association is for this agent: by its id, or for all (`*`)."""
        single = association.description.get("InstanceId")
        if single:
            return bool(single == agent.instance_id)
        return any(
            target["Key"] == "InstanceIds" and {"*", agent.instance_id} & set(target["Values"])
            for target in association.description.get("Targets", [])
        )

    def catch_up(self) -> None:
        """Run every association that became due, once."""
        for association in list(self.associations.values()):
            between = seconds_between(association.description.get("ScheduleExpression", ""))
            last = association.ran_at
            is_time = between is not None and last is not None and self.now - last >= between
            if association.is_due or is_time:
                self._run(association)

    def _run(self, association: Association) -> None:
        online = [
            agent
            for agent in self.agents.values()
            if agent.stopped_at is None and self.targets(association, agent)
        ]
        association.is_due = False
        association.ran_at = self.now
        if association.description["Name"] == GATHER:
            wanted = _types_of(association.description.get("Parameters", {}))
            for agent in online:
                self._send(agent, wanted)
        execution = hashlib.sha256(f"{association.id}{self.now}".encode()).hexdigest()
        number = "-".join((execution[:8], execution[8:12], execution[12:16], execution[16:20]))
        if association.description["Name"] != GATHER:
            for agent in online:
                self.on_command(self, agent, association, number)
        ids = [agent.instance_id for agent in online]
        association.runs.append((f"{number}-{execution[20:32]}", self.now, ids))
        del association.runs[:-50]

    def _send(self, agent: LocalAgent, wanted: set[str]) -> None:
        information = self.information(agent)
        own = [
            {
                name: str(information.get(name, ""))
                for name in ("InstanceId", "PlatformName", "PlatformType", "PlatformVersion")
            }
            | {"AgentType": "amazon-ssm-agent", "ResourceType": "EC2Instance"}
        ]
        contents = {"AWS:InstanceInformation": own}
        contents |= {name: agent.software[name] for name in sorted(wanted & agent.software.keys())}
        for name, entries in contents.items():
            self.put(agent, name, entries, iso(self.now))
        self.on_inventory(self, agent, contents)

    def put(
        self, agent: LocalAgent, name: str, entries: list[dict[str, str]], captured: str
    ) -> None:
        """Keep an item that an agent sent. Its hash is the same for the same entries."""
        text = json.dumps(entries, sort_keys=True)
        digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        version = SCHEMA_VERSIONS.get(name, "1.0")
        agent.inventory[name] = StoredItem([*entries], captured, digest, version)


def _types_of(parameters: dict[str, list[str]]) -> set[str]:
    found = {name for key, name in _PARAMETERS.items() if parameters.get(key) == ["Enabled"]}
    lists = {name for key, name in _BY_LIST.items() if parameters.get(key, [""])[0].strip("[] ")}
    custom = {"Custom:*"} if parameters.get("customInventory") == ["Enabled"] else set()
    return found | lists | custom


def _nothing(*_: object) -> None:
    """Without a data sync nothing more happens."""
