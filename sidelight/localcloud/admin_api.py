"""The control endpoint: what a test or a demo does to a local cloud in another process.

    POST /_sidelight/instances   a Machine as JSON        -> {"instance_id", "volumes"}
    GET  /_sidelight/calls       counters by operation and account; DELETE forgets them
    GET  /_sidelight/faults      what was injected; PUT {"seed", "rules"} swaps the plan
    PUT  /_sidelight/latency     {"seconds": 0.03}, for every call
    PUT  /_sidelight/clock       {"advance": 3600}
    GET  /_sidelight/snapshots   {"snapshots": [...]}: all that exist, over accounts and regions

A body has to be declared as application/json: a web page cannot send that here unasked.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol

from sidelight.errors import UsageError
from sidelight.localcloud.faults import FaultPlan
from sidelight.localcloud.machine import LocalMachine, by_device
from sidelight.localcloud.messages import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidelight.localcloud.clock import Clock
    from sidelight.localcloud.counters import Counters
    from sidelight.localcloud.messages import Request

PREFIX = "/_sidelight/"


class Administered(Protocol):
    """What of a local cloud is read and changed here."""

    clock: Clock
    counters: Counters
    plan: FaultPlan
    latency: float

    def add_instance(self, name: str, images: Any, **options: Any) -> str:
        """Run a machine; its id."""

    def volumes(self, instance_id: str) -> dict[str, str]:
        """Its volumes' ids by device."""

    def snapshots(self) -> list[str]:
        """The ids of all that exist."""


def machine_of(name: str, images: Any, options: Mapping[str, Any]) -> LocalMachine:
    """A checked Machine. Raises UsageError."""
    if not isinstance(images, list | tuple | dict):
        raise UsageError("images are a list of paths, or paths by device")
    known = {field.name for field in fields(LocalMachine)} - {"name", "images"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise UsageError(f"an instance has no {', '.join(unknown)}")
    values = dict(options)
    values["tags"] = {"Name": name, **dict(values.get("tags") or {})}
    values["security_group_ids"] = tuple(values.get("security_group_ids") or ())
    machine = LocalMachine(name=name, images=by_device(images), **values)
    machine.check()
    return machine


def answer(cloud: Administered, request: Request) -> Reply:
    """The reply to a request under /_sidelight/."""
    what = request.path.removeprefix(PREFIX)
    action = ACTIONS.get((request.method, what))
    if action is None:
        return _json(404, {"error": f"no {request.method} {request.path}"})
    try:
        return _json(200, action(cloud, _body(request)))
    except (UsageError, TypeError, ValueError, KeyError, AttributeError) as error:
        return _json(400, {"error": str(error)})


def _body(request: Request) -> dict[str, object]:
    if request.method not in ("POST", "PUT"):
        return {}
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise UsageError("send application/json")
    body = json.loads(request.body)
    if not isinstance(body, dict):
        raise UsageError("send a JSON object")
    return body


def _add(cloud: Administered, body: dict[str, Any]) -> dict[str, Any]:
    options = {key: value for key, value in body.items() if key not in ("name", "images")}
    instance_id = cloud.add_instance(body["name"], body["images"], **options)
    return {"instance_id": instance_id, "volumes": cloud.volumes(instance_id)}


def _calls(cloud: Administered, _: dict[str, object]) -> dict[str, object]:
    return cloud.counters.as_json()


def _forget(cloud: Administered, _: dict[str, object]) -> dict[str, object]:
    cloud.counters.reset()
    return {}


def _faults(cloud: Administered, _: dict[str, object]) -> dict[str, object]:
    return cloud.plan.as_json()


def _swap(cloud: Administered, body: dict[str, Any]) -> dict[str, Any]:
    cloud.plan = FaultPlan.from_json(body)
    return cloud.plan.as_json()


def _latency(cloud: Administered, body: dict[str, Any]) -> dict[str, Any]:
    cloud.latency = float(body["seconds"])
    return {"seconds": cloud.latency}


def _clock(cloud: Administered, body: dict[str, Any]) -> dict[str, Any]:
    cloud.clock.advance(float(body["advance"]))
    return {"now": cloud.clock.now()}


def _snapshots(cloud: Administered, _: dict[str, object]) -> dict[str, object]:
    return {"snapshots": cloud.snapshots()}


ACTIONS: dict[tuple[str, str], Callable[[Administered, dict[str, object]], dict[str, object]]] = {
    ("POST", "instances"): _add,
    ("GET", "calls"): _calls,
    ("DELETE", "calls"): _forget,
    ("GET", "faults"): _faults,
    ("PUT", "faults"): _swap,
    ("PUT", "latency"): _latency,
    ("PUT", "clock"): _clock,
    ("GET", "snapshots"): _snapshots,
}


def _json(status: int, body: dict[str, Any]) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(body).encode())
