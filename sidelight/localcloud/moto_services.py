"""moto behind one door: the services besides EBS direct, and the machines put into it.

moto's state belongs to the process, so that one local cloud can run in a process at a time.
"""

from __future__ import annotations

import importlib
import json
import os
import threading
from typing import TYPE_CHECKING, Any

# moto reads its settings when it makes a region: no AMIs of Amazon's, a second saved each.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

from moto.core.base_backend import BackendDict
from moto.core.exceptions import ServiceException
from moto.core.request import Request as MotoRequest
from moto.ec2.models import ec2_backends
from moto.ec2.models.block_device import BlockDeviceType
from moto.iam.models import get_account_id_from, iam_backends
from werkzeug.exceptions import HTTPException

from sidelight.errors import UsageError
from sidelight.localcloud.ec2.base import CONNECTION
from sidelight.localcloud.ec2.regions import NOT_OPTED_IN, OPTED_IN, opt_in_status
from sidelight.localcloud.ec2.snapshots import MotoSnapshots
from sidelight.localcloud.kms import KeyCalls, grants
from sidelight.localcloud.messages import AwsError, Reply
from sidelight.localcloud.moto_clock import set_clock
from sidelight.localcloud.policies import enforcement, simulation
from sidelight.localcloud.policies.accesses import Accesses
from sidelight.localcloud.refusals import text as refusal_text
from sidelight.localcloud.snapshot_store import VolumeImage
from sidelight.localcloud.ssm.agents import LocalAgent
from sidelight.localcloud.ssm.calls import AgentRegions, ManagedInstanceCalls
from sidelight.localcloud.sts import RoleCalls, is_version_1

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.localcloud.machine import LocalMachine
    from sidelight.localcloud.messages import Caller, Request
    from sidelight.localcloud.snapshot_store import Shelf
    from sidelight.localcloud.sts import Sessions


# Signing name -> moto's dispatcher, imported when it is first called.
SERVICES = {
    "directconnect": "sidelight.localcloud.network_services:DirectConnectCalls.dispatch",
    "iam": "moto.iam.responses:IamResponse.dispatch",
    "network-firewall": "sidelight.localcloud.network_services:FirewallCalls.dispatch",
    "organizations": "sidelight.localcloud.organizations:dispatch",
    "servicequotas": "sidelight.localcloud.quotas:QuotaCalls.dispatch",
    "s3": "sidelight.localcloud.s3:dispatch",
    "sqs": "moto.sqs.responses:SQSResponse.dispatch",
    "elasticloadbalancing": "moto.elb.urls:api_version_elb_backend",
}

UNRECOGNIZED = ("UnrecognizedClientException", 403)
EXPIRED = {"ec2": "RequestExpired", "sts": "ExpiredToken", "iam": "ExpiredToken"}


class ControlPlane:
    """moto's services for one local cloud."""

    def __init__(self, shelf: Shelf, sessions: Sessions) -> None:
        """Whatever an earlier local cloud of this process left is forgotten."""
        BackendDict.reset()
        set_clock(shelf.clock)
        self._shelf = shelf
        self._sessions = sessions
        self._lock = threading.RLock()
        self.agents = AgentRegions(shelf.clock)
        self._services: dict[str, Callable[..., Any]] = {
            "ec2": MotoSnapshots.bind(shelf).dispatch,
            "kms": KeyCalls.bind(shelf.conditions).dispatch,
            "sts": RoleCalls.bind(sessions, shelf.lags, shelf.conditions).dispatch,
        }

    def account(self, access_key: str) -> str:
        """The key's account: a key of 12 digits is one, one from STS or IAM is known to moto."""
        if len(access_key) == 12 and access_key.isdecimal():
            return access_key
        return str(get_account_id_from(access_key))

    def check(self, caller: Caller, token: str = "") -> None:
        """Raise AwsError where a role's session has ended, or the Region knows nobody like this.

        `token`: the session token. STS says for itself where it does not know an account.
        """
        if self._sessions.expired(caller.access_key):
            code = EXPIRED.get(caller.service, "ExpiredTokenException")
            raise AwsError(code, "The security token included in the request is expired")
        status = opt_in_status(caller.region, self._shelf.conditions)
        barred = status == NOT_OPTED_IN or (status == OPTED_IN and is_version_1(token))
        if barred and caller.service != "sts":
            code, number = ("AuthFailure", 401) if caller.service == "ec2" else UNRECOGNIZED
            raise AwsError(code, refusal_text(code, {}), status=number)

    def authorize(
        self, request: Request, caller: Caller, account: str, operation: str, snapshot: str
    ) -> None:
        """Raise AwsError where the caller's role has policies that do not allow the request.

        `snapshot`: the one that EBS direct is asked for.
        """
        with self._lock:
            accesses = Accesses(self._shelf, account, caller.region)
            enforcement.check(caller, account, lambda: accesses.of(operation, request, snapshot))

    def simulate(self, request: Request, account: str) -> Reply:
        """Answer IAM's SimulatePrincipalPolicy, which moto does not have. Raises AwsError."""
        with self._lock:
            return simulation.answer(request, account)

    def answer(self, request: Request, caller: Caller, account: str) -> Reply:
        """Let moto answer, one request at a time: it is not made for threads. Raises AwsError."""
        if caller.region not in ec2_backends[account]:
            raise AwsError("AuthFailure", f"There is no region '{caller.region}'.", status=401)
        host = f"https://{caller.service}.{caller.region}.amazonaws.com"
        if caller.service == "sqs":
            # A queue's URL is made of the host that was asked, and clients then go to that URL.
            host = "http://" + request.headers.get("host", "")
        url = host + request.path + (f"?{request.query_string}" if request.query_string else "")
        headers = {**request.headers, "host": host.partition("://")[2]}
        headers["x-moto-account-id"] = account
        headers[CONNECTION] = str(request.connection)
        body = _short_poll(request.body) if caller.service == "sqs" else request.body
        with self._lock:
            dispatch = self._service(caller.service)
            moto_request = MotoRequest.from_primitives(request.method, url, headers, body)
            try:
                status, reply_headers, text = dispatch(moto_request, url, moto_request.headers)
            except HTTPException as error:
                code = int(error.code or 400)
                page = error.get_body()
                return Reply(code, dict(error.get_headers()), str(page).encode())
            except ServiceException as error:
                raise AwsError(error.code, str(error.message)) from error
            except NotImplementedError as error:
                raise AwsError("InvalidAction", f"Not in the local cloud: {error}") from error
            self._note(caller, account)
        kept = {
            str(name): str(value)
            for name, value in reply_headers.items()
            if str(name).lower() not in ("status", "content-length", "connection")
        }
        return Reply(int(status), kept, text if isinstance(text, bytes) else str(text).encode())

    def _note(self, caller: Caller, account: str) -> None:
        """Remember when grants and roles were made: they are seen later."""
        if caller.service == "kms":
            self._shelf.lags.note_grants(grants(account, caller.region))
        elif caller.service == "iam":
            for role in iam_backends[account]["aws"].roles.values():
                self._shelf.lags.note_role(role.arn, str(role.assume_role_policy_document))

    def add(self, machine: LocalMachine) -> tuple[str, dict[str, str]]:
        """Run the machine. Its instance id, and its volumes' ids by device. Raises UsageError."""
        with self._lock:
            backend = ec2_backends[machine.account][machine.region]
            try:
                instance = self._launch(backend, machine)
            except (ServiceException, KeyError, ValueError) as error:
                raise UsageError(f"cannot be run: {error}", where=machine.name) from error
            instance.root_device_name = next(iter(machine.images), instance.root_device_name)
            if not machine.images:
                instance.root_device_type = "instance-store"
            if machine.platform:
                instance.platform = machine.platform
            volumes = {d: b.volume_id for d, b in instance.get_block_device_mapping}
            for device, path in machine.images.items():
                self._shelf.images[volumes[device]] = VolumeImage(path, machine.immutable)
            self._settle(backend, instance, machine)
            self._shelf.lags.note_launch(str(instance.id))
        return str(instance.id), volumes

    def share(self, volume_id: str, instance_id: str, device: str) -> None:
        """Attach a volume to one more instance; DescribeVolumes shows the first. UsageError."""
        with self._lock:
            for regions in ec2_backends.values():
                for backend in regions.values():
                    for instance in backend.all_instances():
                        if instance.id == instance_id and volume_id in backend.volumes:
                            instance.block_device_mapping[device] = BlockDeviceType(
                                volume_id=volume_id, status="attached"
                            )
                            return
        raise UsageError("no such instance and volume", where=f"{instance_id}, {volume_id}")

    def _launch(self, backend: Any, machine: LocalMachine) -> Any:
        reservation = backend.run_instances(
            machine.image_id,
            1,
            None,
            [],
            instance_type=machine.instance_type,
            is_instance_type_default=True,
            region_name=machine.region,
            subnet_id=machine.subnet_id or None,
            security_group_ids=list(machine.security_group_ids),
            tags={"instance": dict(machine.tags), "volume": dict(machine.volume_tags)},
            block_device_mappings=[
                {
                    "DeviceName": device,
                    "Ebs": {
                        "VolumeSize": machine.size_gib(device),
                        "VolumeType": machine.volume_type,
                        "Encrypted": machine.encrypted,
                        "KmsKeyId": machine.kms_key_id or None,
                        "DeleteOnTermination": True,
                    },
                }
                for device in machine.images
            ],
        )
        return reservation.instances[0]

    def _settle(self, backend: Any, instance: Any, machine: LocalMachine) -> None:
        """Bring the instance to the state asked for, and under SSM where it is managed."""
        if machine.state == "stopped":
            backend.stop_instances([instance.id])
        elif machine.state == "terminated":
            backend.terminate_instances([instance.id])
            self._shelf.lags.note_end(str(instance.id))
        if machine.ssm is not None:
            information = {
                "PingStatus": "Online",
                "AgentVersion": "3.3.0.0",
                "PlatformType": "Linux",
                "ResourceType": "EC2Instance",
                **machine.ssm,
            }
            software = {name: [*entries] for name, entries in machine.inventory.items()}
            place = self.agents[machine.account, machine.region]
            place.agents[instance.id] = LocalAgent(str(instance.id), information, software)

    def _service(self, name: str) -> Callable[..., Any]:
        if name not in self._services:
            if name == "ssm":
                self._services[name] = ManagedInstanceCalls.bind(self.agents).dispatch
            elif name in SERVICES:
                module, _, path = SERVICES[name].partition(":")
                found: Any = importlib.import_module(module)
                for part in path.split("."):
                    found = getattr(found, part)
                self._services[name] = found
            else:
                raise AwsError(
                    "UnknownOperationException", f"The local cloud has no service '{name}'."
                )
        return self._services[name]


def _short_poll(body: bytes) -> bytes:
    """A request without its wait for messages: moto would sleep while all others wait for it."""
    try:
        parameters = json.loads(body)
    except ValueError:
        return body
    if not isinstance(parameters, dict) or "WaitTimeSeconds" not in parameters:
        return body
    return json.dumps({**parameters, "WaitTimeSeconds": 0}).encode()
